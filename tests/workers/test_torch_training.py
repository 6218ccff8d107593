import io

import numpy as np
import pytest
import torch
from torch import nn

from autosched.trainer import Diverged, OutOfMemoryError
from workers.optimizers.updates import Updates
from workers.torch_training import TorchRun


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


def test_update_i_uses_lr_i():
    run = linear_run()
    weights = []
    for lr in (0.5, 0.25):
        run.train(np.array([lr]), loss_of=output(run), seed=0)
        weights.append(weight_of(run))
    assert weights == [0.5, 0.25]
    both = linear_run()
    both.train(np.array([0.5, 0.25]), loss_of=output(both), seed=0)
    assert weight_of(both) == 0.25


def test_a_long_gradient_is_shortened_to_the_clip_and_reported_in_full():
    run = linear_run(clip=2.0)
    means = run.train(np.array([0.1]), loss_of=output(run, slope=8.0), seed=0)
    assert means == {"train_loss": 8.0, "grad_norm": 8.0, "grad_norm_l1": 8.0}
    assert weight_of(run) == pytest.approx(1.0 - 0.1 * 2.0, rel=1e-5)


def test_both_norms_of_the_gradient_are_means_over_the_updates():
    run = linear_run(inputs=2)
    slopes = [3.0, -4.0]

    def loss_of(step):
        return (step + 1) * run.forward(torch.tensor([slopes])).sum()

    means = run.train(np.array([0.0, 0.0]), loss_of=loss_of, seed=0)
    assert means["grad_norm"] == pytest.approx((5.0 + 10.0) / 2)
    assert means["grad_norm_l1"] == pytest.approx((7.0 + 14.0) / 2)


def test_a_short_gradient_is_left_as_it_is():
    run = linear_run(clip=2.0)
    run.train(np.array([0.5]), loss_of=output(run, slope=0.5), seed=0)
    assert weight_of(run) == 0.75


def test_the_loss_is_asked_for_every_update_by_number():
    run, asked = linear_run(), []

    def loss_of(step):
        asked.append(step)
        return output(run)(step)

    run.train(np.zeros(2), loss_of=loss_of, seed=0)
    run.train(np.zeros(3), loss_of=loss_of, seed=0)
    assert asked == [0, 1, 2, 3, 4]
    assert run.step == 5


def test_random_numbers_of_an_update_depend_on_seed_and_step():
    def draws(seed, cuts):
        run, drawn = linear_run(), []

        def loss_of(step):
            drawn.append(torch.rand(()).item())
            return output(run)(step)

        for length in cuts:
            run.train(np.zeros(length), loss_of=loss_of, seed=seed)
        return drawn

    assert draws(0, [4]) == draws(0, [1, 3])
    assert len(set(draws(0, [4]) + draws(1, [4]))) == 8


def test_training_leaves_the_process_random_stream_alone():
    run, before = linear_run(), torch.get_rng_state()
    run.train(np.zeros(2), loss_of=lambda step: output(run)(step) + torch.rand(()), seed=0)
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
        lambda: run.train(np.zeros(2), loss_of=loss_of, seed=0),
        lambda: run.mean_losses(lambda x, y: loss_of(0), {"": [(torch.ones(1, 1), torch.ones(1))]}),
        lambda: run.begin(lambda: loss_of(0), lambda model: None, clip=0.0),
    ):
        with pytest.raises(OutOfMemoryError, match=f"^{message}.*make batch, context or width smaller") as info:
            work()
        assert "\n" not in str(info.value)


def test_other_errors_of_torch_are_left_as_they_are():
    run = linear_run()
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        run.train(np.zeros(1), loss_of=lambda step: run.forward(torch.ones(1, 2)).sum(), seed=0)


def test_the_update_that_diverges_is_not_done():
    run = linear_run()
    run.train(np.array([0.5]), loss_of=output(run), seed=0)
    with pytest.raises(Diverged) as info:
        run.train(np.array([0.5]), loss_of=output(run, slope=float("nan")), seed=0)
    assert (info.value.step, run.step, weight_of(run)) == (2, 1, 0.5)


def test_the_divergence_watch_travels_in_the_checkpoint():
    losses = [4.0] + 3 * [12.0]

    def scripted(run):
        return lambda step: losses[min(step, 3)] + 0.0 * output(run)(step)

    run, other = linear_run(), linear_run()
    run.train(np.zeros(4), loss_of=scripted(run), seed=0)
    file = io.BytesIO()
    run.save(file, configuration={})
    file.seek(0)
    other.load(file, configuration={})
    with pytest.raises(Diverged) as info:
        other.train(np.zeros(20), loss_of=scripted(other), seed=0)
    assert info.value.step == 6  # as for a run in one piece; a fresh watch would take 12 for the start


def test_a_run_without_a_model_says_what_comes_first():
    with pytest.raises(AssertionError, match=r"start\(\) or load\(\) comes first"):
        TorchRun(device="cpu", dtype="float32").train(np.zeros(1), loss_of=lambda step: torch.zeros(()), seed=0)
