"""Hugging Face's real Trainer in a study's hands, and out of them."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_script import lrs_of, train
from told import EVERY, HORIZON, LRS, Study
from transformers import TrainerCallback

from autosched.integrations.huggingface import TuneCallback

pytestmark = pytest.mark.slow

WANTED = list(range(EVERY, HORIZON + 1, EVERY))


@pytest.fixture(autouse=True)
def one_thread():
    """Sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def study(tmp_path, monkeypatch):
    return Study(tmp_path, monkeypatch)


def weights(trainer):
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()]).tolist()


def test_outside_of_a_study_the_trainer_is_as_it_was(tmp_path):
    with_it, without = train(tmp_path / "with"), train(tmp_path / "without", callbacks=[])
    assert lrs_of(with_it) == lrs_of(without)
    assert weights(with_it) == weights(without)
    assert len(lrs_of(with_it)) == 12


def test_in_a_study_every_update_has_its_lr_and_the_evaluation_losses_go_back(study):
    study.tell(0, HORIZON, checkpoints=False)
    trainer = train(study.folder / "own", seed=3)
    assert lrs_of(trainer) == LRS.tolist()
    losses = {entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry}
    assert study.heard() == losses
    assert list(losses) == WANTED
    assert not list(study.folder.glob("**/checkpoint-*")), "nobody needs them"


def test_the_lr_of_an_update_is_set_before_its_forward_pass(study):
    """DeepSpeed updates within the backward pass."""
    seen = []

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, *, model, optimizer, **kwargs):
            model.register_forward_pre_hook(
                lambda of, *_: seen.append(optimizer.param_groups[0]["lr"]) if of.training else None
            )

    study.tell(0, HORIZON, checkpoints=False)
    train(study.folder / "own", callbacks=[TuneCallback(), Watch()], eval_strategy="no")
    assert seen == LRS.tolist()


def test_the_lrs_of_a_study_train_as_those_of_a_scheduler_do(study):
    study.lrs = 1e-2 * (1 - torch.arange(HORIZON, dtype=torch.float64) / HORIZON).numpy()
    study.tell(0, HORIZON, checkpoints=False)
    tuned = train(study.folder / "tuned", seed=3)
    study.monkeypatch.delenv("AUTOSCHED_ATTACHMENT")
    settings = {"lr_scheduler_type": "linear", "warmup_steps": 0, "max_steps": HORIZON, "seed": 3}
    settings |= {"eval_strategy": "steps", "eval_steps": EVERY}  # which draws random numbers, too
    own = train(study.folder / "own", **settings)
    assert lrs_of(tuned) == pytest.approx(lrs_of(own), rel=1e-12)
    assert weights(tuned) == pytest.approx(weights(own), rel=1e-5)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_run_cut_in_pieces_gives_the_losses_and_weights_of_the_whole(tmp_path, monkeypatch, accumulated):
    whole, cut = (Study(tmp_path / name, monkeypatch) for name in ("whole", "cut"))
    whole.tell(0, HORIZON)
    settings = {"seed": 3, "gradient_accumulation_steps": accumulated}
    expected = weights(train(tmp_path / "own", **settings))
    for start, stop in ((0, 8), (8, 11), (11, HORIZON)):  # an epoch has 11 batches
        cut.tell(start, stop)
        last = train(tmp_path / "own", **settings)
    assert cut.heard() == whole.heard()
    assert weights(last) == expected
    assert cut.saved(8).is_dir()


def test_a_script_that_does_not_evaluate_says_its_training_losses(study):
    study.tell(0, HORIZON, checkpoints=False)
    trainer = train(study.folder / "own", eval_strategy="no", logging_steps=1000)
    losses = {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}
    assert (study.heard(), list(losses)) == (losses, WANTED)


def test_a_run_that_diverges_says_so(study):
    study.lrs = [1e30] * HORIZON
    study.tell(0, HORIZON, checkpoints=False)
    train(study.folder / "own", eval_strategy="no")
    assert math.isnan(study.heard()[HORIZON])


def test_a_run_that_is_ended_stops_after_its_update_and_saves_nothing(study):
    study.tell(0, HORIZON)
    before = signal.getsignal(signal.SIGTERM)
    taken = []

    def take():
        taken.append(1)
        if len(taken) == 4 * 6:  # while the sixth batch is loaded
            os.kill(os.getpid(), signal.SIGTERM)

    trainer = train(study.folder / "own", take=take)
    assert trainer.state.global_step in {5, 6}, "batches are loaded one ahead"
    assert not study.saved(HORIZON).exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_two_processes_of_accelerate_follow_the_same_lrs_and_stop_at_the_same_update_and_one_reports(study):
    study.tell(0, 8)
    launch = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    script = Path(__file__).with_name("huggingface_script.py")
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *launch.split(), "--main_process_port", "0"]
    path = os.pathsep.join([str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [*launcher, str(script), "--out", str(study.folder), "--seed", "3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((study.folder / f"{rank}.json").read_text()) for rank in (0, 1))
    assert (first["steps"], second["steps"], first["lrs"]) == (8, 8, LRS[:8].tolist())
    assert first["weights"] == second["weights"]
    assert list(study.heard()) == [4, 8]
    assert {path.name for path in study.saved(8).glob("rng_state_*")} == {"rng_state_0.pth", "rng_state_1.pth"}
