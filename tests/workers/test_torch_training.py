import io

import numpy as np
import pytest
import torch
from torch import nn

from autosched.trainer import Diverged, OutOfMemoryError
from workers.feed import update_seed
from workers.gpt import GptTrainer
from workers.optimizers.updates import Updates
from workers.registry import make_trainer
from workers.torch_training import TorchRun

TINY = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 2, "eval_batches": 2, "device": "cpu"}


def linear_run(clip: float = 0.0, inputs: int = 1) -> TorchRun:
    """One weight at 1 for each input, trained by plain gradient descent."""

    def model() -> nn.Module:
        layer = nn.Linear(inputs, 1, bias=False)
        nn.init.ones_(layer.weight)
        return layer

    run = TorchRun(device="cpu", dtype="float32")
    run.begin(model, lambda layer: Updates(torch.optim.SGD(layer.parameters(), lr=0.0), {}), clip=clip)
    return run


def weight_of(run: TorchRun) -> float:
    return run.forward(torch.ones(1, 1)).item()


def output(run: TorchRun, slope: float = 1.0):
    """A loss whose gradient is `slope`, whatever the weight."""
    return lambda step: slope * run.forward(torch.ones(1, 1)).sum()


def train(run: TorchRun, lrs, loss_of, seed: int = 0):
    """Updates whose loss is a function of their number."""
    return run.train(
        lrs, batch_of=lambda step, noise: (torch.tensor(step),), loss_of=lambda step: loss_of(int(step)), seed=seed
    )


def test_update_i_uses_lr_i():
    run = linear_run()
    weights = []
    for lr in (0.5, 0.25):
        train(run, np.array([lr]), output(run), seed=0)
        weights.append(weight_of(run))
    assert weights == [0.5, 0.25]
    both = linear_run()
    train(both, np.array([0.5, 0.25]), output(both), seed=0)
    assert weight_of(both) == 0.25


def test_a_long_gradient_is_shortened_to_the_clip_and_reported_in_full():
    run = linear_run(clip=2.0)
    means = train(run, np.array([0.1]), output(run, slope=8.0), seed=0)
    assert means == {"train_loss": 8.0, "grad_norm": 8.0, "grad_norm_l1": 8.0}
    assert weight_of(run) == pytest.approx(1.0 - 0.1 * 2.0, rel=1e-5)


def test_both_norms_of_the_gradient_are_means_over_the_updates():
    run = linear_run(inputs=2)
    slopes = [3.0, -4.0]

    def loss_of(step):
        return (step + 1) * run.forward(torch.tensor([slopes])).sum()

    means = train(run, np.array([0.0, 0.0]), loss_of, seed=0)
    assert means["grad_norm"] == pytest.approx((5.0 + 10.0) / 2)
    assert means["grad_norm_l1"] == pytest.approx((7.0 + 14.0) / 2)


def test_a_short_gradient_is_left_as_it_is():
    run = linear_run(clip=2.0)
    train(run, np.array([0.5]), output(run, slope=0.5), seed=0)
    assert weight_of(run) == 0.75


def test_the_loss_is_asked_for_every_update_by_number():
    run, asked = linear_run(), []

    def loss_of(step):
        asked.append(step)
        return output(run)(step)

    train(run, np.zeros(2), loss_of, seed=0)
    train(run, np.zeros(3), loss_of, seed=0)
    assert asked == [0, 1, 2, 3, 4]
    assert run.step == 5


def test_random_numbers_of_an_update_depend_on_seed_and_step():
    def draws(seed, cuts):
        run, drawn = linear_run(), []

        def loss_of(step):
            drawn.append(torch.rand(()).item())
            return output(run)(step)

        for length in cuts:
            train(run, np.zeros(length), loss_of, seed=seed)
        return drawn

    assert draws(0, [4]) == draws(0, [1, 3])
    assert len(set(draws(0, [4]) + draws(1, [4]))) == 8


def test_training_leaves_the_process_random_stream_alone():
    run, before = linear_run(), torch.get_rng_state()
    train(run, np.zeros(2), lambda step: output(run)(step) + torch.rand(()), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.\nmore"), "the GPU is full .CUDA out of"),
        (torch.OutOfMemoryError(), "the GPU is full"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            "memory is full .CUDA err",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory is full .Default"),
    ],
)
def test_a_full_device_is_reported_with_advice(error, message):
    run = linear_run()

    def loss_of(step):
        raise error

    for work in (
        lambda: train(run, np.zeros(2), loss_of, seed=0),
        lambda: run.mean_losses(lambda x, y: loss_of(0), {"": [(torch.ones(1, 1), torch.ones(1))]}),
        lambda: run.begin(lambda: loss_of(0), lambda model: None, clip=0.0),
    ):
        with pytest.raises(OutOfMemoryError, match=f"^{message}.*make batch, context or width smaller") as info:
            work()
        assert "\n" not in str(info.value)


def test_other_errors_of_torch_are_left_as_they_are():
    run = linear_run()
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        train(run, np.zeros(1), lambda step: run.forward(torch.ones(1, 2)).sum(), seed=0)


def test_a_divergence_is_told_at_the_end_of_the_call_with_the_update_that_diverged():
    run = linear_run()
    train(run, np.array([0.5]), output(run), seed=0)
    with pytest.raises(Diverged) as info:
        train(run, np.full(3, 0.5), lambda step: output(run, slope=float("nan") if step == 2 else 1.0)(step))
    assert info.value.step == 3


def test_what_an_optimizer_raises_over_a_lost_run_is_a_divergence():
    class Strict(torch.optim.SGD):
        def step(self, closure=None):
            super().step()
            if any(not weight.isfinite().all() for group in self.param_groups for weight in group["params"]):
                raise ValueError("no number")

    run = linear_run()
    run.begin(
        lambda: nn.Linear(1, 1, bias=False), lambda layer: Updates(Strict(layer.parameters(), lr=0.0), {}), clip=0.0
    )
    with pytest.raises(Diverged, match="the training loss became nan at update 2"):
        train(run, np.full(4, 0.5), lambda step: output(run, slope=float("nan") if step == 1 else 1.0)(step))


class Unread(TorchRun):
    """A run on torch's device without data: whatever waits for a number there raises."""

    def __init__(self) -> None:
        super().__init__(device="cpu", dtype="float32")
        self.device = torch.device("meta")
        self.waited: list[int] = []

    def read(self, values):
        self.waited.append(len(values))
        return [1.0] * len(values)


@pytest.mark.parametrize("updates", [1, 20])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lion"])
def test_updates_and_evaluations_wait_for_the_device_once_each(optimizer, updates):
    trainer = GptTrainer({**TINY, "optimizer": optimizer, "averages": "device"}, seed=0, horizon=100)
    trainer._run = run = Unread()
    with torch.device("meta"):
        trainer.start()
    trainer._validation = {"": [(torch.zeros(2, 17, dtype=torch.int64, device="meta"),)] * 3}
    trainer.train(np.full(updates, 0.01))
    assert run.waited == [3 * updates]
    trainer.evaluate()
    assert run.waited == [3 * updates, 1]
    windows = trainer.evaluate_merged()
    assert run.waited[2:] == [len(windows)]


@pytest.mark.parametrize("use", ["gpt", "vision"])
def test_a_batch_that_is_made_ahead_holds_what_its_update_would_draw(use):
    trainer = make_trainer(use, {}, 3, 100)
    for step in (0, 7):
        noise = torch.Generator().manual_seed(update_seed(3, step))
        ahead = trainer._training_batch(step, noise)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(update_seed(3, step))
            then = trainer._training_batch(step, None)
        assert all(torch.equal(one, other) for one, other in zip(ahead, then, strict=True))


def test_the_divergence_watch_travels_in_the_checkpoint():
    losses = [4.0] + 3 * [12.0]

    def scripted(run):
        return lambda step: losses[min(step, 3)] + 0.0 * output(run)(step)

    run, other = linear_run(), linear_run()
    train(run, np.zeros(4), scripted(run), seed=0)
    file = io.BytesIO()
    run.save(file, configuration={})
    file.seek(0)
    other.load(file, configuration={})
    with pytest.raises(Diverged) as info:
        train(other, np.zeros(20), scripted(other), seed=0)
    assert info.value.step == 6  # as for a run in one piece; a fresh watch would take 12 for the start


def test_a_run_without_a_model_says_what_comes_first():
    with pytest.raises(AssertionError, match=r"start\(\) or load\(\) comes first"):
        train(TorchRun(device="cpu", dtype="float32"), np.zeros(1), lambda step: torch.zeros(()))
