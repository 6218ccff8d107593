"""Lightning's real Trainer in a study's hands, and out of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_script import Module, fit
from told import EVERY, HORIZON, LRS, Study

from autosched.errors import UsageError

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


def weights(module):
    return torch.cat([value.detach().flatten() for value in module.parameters()]).tolist()


def test_outside_of_a_study_the_trainer_is_as_it_was():
    (with_it, trainer), (without, _) = fit(), fit(callbacks=[])
    assert weights(with_it) == weights(without)
    assert with_it.lrs == without.lrs
    assert trainer.global_step == 12


def test_in_a_study_every_update_has_its_lr_and_the_validation_losses_go_back(study):
    study.tell(0, HORIZON, checkpoints=False)
    module, trainer = fit()
    assert (trainer.global_step, list(study.heard())) == (HORIZON, WANTED)
    assert module.lrs == LRS.tolist()
    assert study.heard()[HORIZON] == float(trainer.callback_metrics["val_loss"])


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_run_cut_in_pieces_gives_the_losses_and_weights_of_the_whole(tmp_path, monkeypatch, accumulated):
    whole, cut = (Study(tmp_path / name, monkeypatch) for name in ("whole", "cut"))
    whole.tell(0, HORIZON)
    expected, _ = fit(accumulate_grad_batches=accumulated)
    for start, stop in ((0, 8), (8, 11), (11, HORIZON)):  # an epoch has 11 batches
        cut.tell(start, stop)
        last, _ = fit(accumulate_grad_batches=accumulated)
    assert cut.heard() == whole.heard()
    assert list(cut.heard()) == WANTED
    assert weights(last) == weights(expected)


def test_a_script_that_does_not_validate_says_its_training_losses(study):
    study.tell(0, HORIZON, checkpoints=False)
    fit(validates=False)
    assert list(study.heard()) == WANTED
    assert all(0 < loss < 2 for loss in study.heard().values())


def test_a_loss_that_is_not_logged_is_named(study):
    study.tell(0, HORIZON, checkpoints=False)
    with pytest.raises(UsageError, match="needs the logged value 'val_loss', but the module has logged other"):
        fit(Module("other"))


def test_a_module_with_several_optimizers_is_refused(study):
    class Two(Module):
        automatic_optimization = False

        def configure_optimizers(self):
            return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(2)]

    study.tell(0, HORIZON, checkpoints=False)
    with pytest.raises(UsageError, match="needs one optimizer, but the module has 2"):
        fit(Two())


SCRIPT = Path(__file__).with_name("lightning_script.py")
BY_LIGHTNING = [sys.executable]
BY_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
BY_TORCHRUN += ["--rdzv-endpoint", "localhost:0"]


def two_processes(launcher, folder):
    """What each rank of the script says at its end."""
    path = os.pathsep.join([str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [*launcher, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_follow_the_same_lrs_and_one_reports_and_a_cut_run_has_the_losses_of_the_whole(
    tmp_path, monkeypatch
):
    whole, cut = (Study(tmp_path / name, monkeypatch) for name in ("whole", "cut"))
    whole.tell(0, 8)
    first, second = two_processes(BY_TORCHRUN, whole.folder)
    assert (first["steps"], second["steps"], first["lrs"]) == (8, 8, LRS[:8].tolist())
    assert first["weights"] == second["weights"]
    assert first["drawn"] != second["drawn"]
    assert whole.said() == [4, 8]
    for start, stop in ((0, 4), (4, 8)):
        cut.tell(start, stop)
        last = two_processes(BY_LIGHTNING, cut.folder)
    assert cut.said() == [4, 8]
    assert cut.heard() == whole.heard()
    assert [rank["weights"] for rank in last] == [first["weights"], first["weights"]]
    assert [rank["drawn"] for rank in last] == [first["drawn"], second["drawn"]]
