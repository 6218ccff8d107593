import io
import math

import numpy as np
import pytest
import torch

from autosched.errors import CheckpointError, UsageError
from autosched.testing.merging_contract import MergingContract
from autosched.testing.trainer_contract import TrainerCase, TrainerContract, losses_of, saved
from autosched.trainer import Diverged, OutOfMemoryError
from workers.gpt import Gpt, GptOptions, GptTrainer
from workers.registry import make_trainer

TINY = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 2, "eval_batches": 2, "device": "cpu"}


def tiny(seed: int = 0, **options) -> GptTrainer:
    trainer = GptTrainer({**TINY, **options}, seed=seed, horizon=10)
    trainer.start()
    return trainer


class TestGpt(TrainerContract, MergingContract):
    @pytest.fixture(params=[0.0, 0.2], ids=["plain", "dropout"])
    def case(self, request: pytest.FixtureRequest) -> TrainerCase:
        options = {**TINY, "dropout": request.param, "averages": "host", "average_windows": [0.2, 0.5]}
        return TrainerCase(
            factory=make_trainer,
            use="gpt",
            options=options,
            other={**options, "weight_decay": 0.2},
            faulty=[{"width": 17}, {"layers": 0}, {"data": "no/such/file"}, {"no_such_option": 1}],
        )


def test_the_demo_model_has_131072_parameters():
    model = Gpt(GptOptions(), 256, seed=0)
    # 2 * 256 * 64 for the embedding and the head, 2 * 12 * 64**2 for the blocks
    assert sum(weight.numel() for weight in model.parameters()) == 131_072


def test_a_fresh_model_guesses():
    # Logits start with a variance of about 1, which costs half a nat more than guessing evenly, ln(256) = 5.55.
    trainer = GptTrainer({}, seed=0, horizon=1)
    trainer.start()
    assert trainer.evaluate() == pytest.approx(math.log(256) + 0.5, abs=0.4)


def test_a_few_updates_teach_it_something():
    trainer = tiny(batch=8)
    before = trainer.evaluate()
    trainer.train(np.full(30, 0.01))
    assert trainer.evaluate() < before - 1.0


def test_no_position_sees_what_comes_after_it():
    model = Gpt(GptOptions(**TINY), 256, seed=0)
    x = torch.arange(16)[None] * 3
    changed = x.clone()
    changed[0, 10:] += 1
    with torch.no_grad():
        difference = (model(x) - model(changed)).abs().amax(dim=-1)[0]
    assert torch.all(difference[:10] == 0)
    assert torch.all(difference[10:] > 0)


def test_the_order_of_tokens_matters():
    model = Gpt(GptOptions(**TINY), 256, seed=0)
    with torch.no_grad():
        one, other = (model(torch.tensor([tokens]))[0, -1] for tokens in ([5, 6, 7, 8], [6, 5, 7, 8]))
    assert not torch.allclose(one, other)


def test_initial_weights_depend_on_the_seed_alone():
    options = GptOptions(**TINY)
    torch.manual_seed(1)
    first = Gpt(options, 256, seed=0).state_dict()
    torch.manual_seed(2)
    second = Gpt(options, 256, seed=0).state_dict()
    other = Gpt(options, 256, seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_gradients_are_clipped_before_the_update_and_reported_as_they_were():
    free, clipped = tiny(clip=0.0), tiny(clip=1e-9)
    lrs = np.array([0.01])
    norms = [trainer.train(lrs)["grad_norm"] for trainer in (free, clipped)]
    assert norms[0] == norms[1] > 0.1
    # Adam divides by sqrt(v) + 1e-8: gradients of norm 1e-9 in all hardly move the weights, others do by the LR.
    fresh = tiny().evaluate()
    assert abs(clipped.evaluate() - fresh) < 0.1 * abs(free.evaluate() - fresh)


def test_weight_decay_is_multiplied_by_the_lr():
    trainer = tiny(weight_decay=1.0)
    before = trainer.evaluate()
    trainer.train(np.zeros(2))
    assert trainer.evaluate() == before


def test_dropout_changes_training_but_not_evaluation():
    plain, dropping = tiny(), tiny(dropout=0.5)
    assert plain.evaluate() == dropping.evaluate()
    assert plain.train(np.array([0.01]))["train_loss"] != dropping.train(np.array([0.01]))["train_loss"]


def test_a_run_with_an_absurd_lr_diverges_and_says_so():
    trainer = tiny()
    with pytest.raises(Diverged, match=r"loss.* at update \d+$") as info:
        trainer.train(np.full(200, 1e4))
    assert info.value.step == 2


def test_bfloat16_trains_on_a_cpu_and_keeps_weights_in_float32():
    exact, half = tiny(), tiny(dtype="bfloat16")
    losses = [losses_of(trainer, np.full(10, 0.01)) for trainer in (exact, half)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], atol=0.05)
    state = torch.load(io.BytesIO(saved(half)), weights_only=True)["state"]
    assert {weight.dtype for weight in state["model"].values()} == {torch.float32}


def test_without_cuda_automatic_choices_are_cpu_and_float32(no_cuda):
    lrs = np.full(3, 0.01)
    automatic, chosen = tiny(device="auto", dtype="auto"), tiny(device="cpu", dtype="float32")
    assert losses_of(automatic, lrs) == losses_of(chosen, lrs)


def test_cuda_is_refused_where_there_is_none(no_cuda):
    with pytest.raises(UsageError, match='device must be "cpu" or "auto" on this machine, but got "cuda"'):
        tiny(device="cuda")


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's GPUs, if it has any; torch looks when CUDA is first used, which no test here does."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_a_model_that_does_not_fit_is_out_of_memory_with_advice():
    trainer = GptTrainer({**TINY, "width": 2**40, "heads": 1}, seed=0, horizon=1)
    with pytest.raises(OutOfMemoryError, match=r"memory is full .* make batch, context or width smaller") as info:
        trainer.start()
    assert "\n" not in str(info.value)


def test_a_text_file_trains_the_same_wherever_it_lies(tmp_path):
    losses = []
    for name in ("here.txt", "there.md"):
        path = tmp_path / name
        path.write_text("the quick brown fox jumps over the lazy dog. " * 50)
        losses.append(losses_of(tiny(data=str(path)), np.full(5, 0.01)))
    assert losses[0] == losses[1]


def test_a_checkpoint_follows_its_data_to_another_path(tmp_path):
    here, there, edited = (tmp_path / name for name in ("here", "there", "edited"))
    text = b"the quick brown fox jumps over the lazy dog. " * 50
    here.write_bytes(text)
    there.write_bytes(text)
    edited.write_bytes(text.replace(b"dog", b"cat"))
    file = saved(tiny(data=str(here)))
    tiny(data=str(there)).load(io.BytesIO(file))
    with pytest.raises(CheckpointError, match="another configuration: data is"):
        tiny(data=str(edited)).load(io.BytesIO(file))


def test_tokens_of_a_bin_file_are_learned_from(tmp_path):
    tokens = np.tile(np.arange(300, dtype=np.uint16), 20)
    tokens.tofile(tmp_path / "tokens.bin")
    trainer = tiny(data=str(tmp_path / "tokens.bin"), vocabulary=300, batch=8)
    before = trainer.evaluate()
    trainer.train(np.full(30, 0.01))
    assert trainer.evaluate() < before - 1.0


def test_a_token_above_the_vocabulary_is_refused_before_training(tmp_path):
    np.full(400, 300, dtype=np.uint16).tofile(tmp_path / "tokens.bin")
    with pytest.raises(UsageError, match=r"below the vocabulary of 300, but one is 300; set vocabulary"):
        tiny(data=str(tmp_path / "tokens.bin"), vocabulary=300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 60, "heads": 4}, "width must be a multiple of 2 [*] heads = 8, but got 60"),
        ({"layers": 0}, "layers must be a whole number >= 1, but got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), but got 1.0"),
        ({"betas": [0.9]}, r"betas must be a list of two, each a number in \[0, 1\), but got \[0.9\]"),
        ({"betas": [0.9, 1]}, "betas must be a list of two"),
        ({"device": "tpu"}, "device must be one of auto, cpu, cuda, but got 'tpu'"),
        ({"compile": "yes"}, "compile must be true or false, but got 'yes'"),
        ({"data": ""}, "data must be a text, but got ''"),
        ({"context": 1_000_000}, "stdlib: needs at least 1000001 validation tokens"),
        ({"widht": 64}, "unknown option 'widht'; allowed are layers, width"),
    ],
)
def test_a_faulty_option_is_named_with_what_is_allowed(options, message):
    with pytest.raises(UsageError, match=message):
        GptTrainer.check_options(options)
    with pytest.raises(UsageError, match=message):
        GptTrainer(options, seed=0, horizon=1)


def test_options_that_mean_the_same_are_one_configuration():
    whole, fraction = {"clip": 1, "betas": [0.9, 0.95]}, {"clip": 1.0, "betas": (0.9, 0.95)}
    tiny(**whole).load(io.BytesIO(saved(tiny(**fraction))))
