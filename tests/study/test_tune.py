"""`autosched.tune` and `autosched.resume`: studies are started, interrupted and ended from Python."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import TUNE, run
from threadpoolctl import threadpool_info, threadpool_limits

import autosched
from autosched.space.yaml_file import checked_space
from autosched.study.sources import read_source
from workers.simulated import SimulatedTrainer

STOPS = """\
import os, signal
from workers.simulated import SimulatedTrainer

class Stops(SimulatedTrainer):
    def train(self, lrs):
        if self.step == 20 and not os.path.exists("was-stopped"):
            open("was-stopped", "w").close()
            os.kill(os.getpid(), signal.SIGNAL)
        return super().train(lrs)
"""


def tuned(space: Any = "space.yaml", **options: Any) -> autosched.Study:
    return autosched.tune(space, **{"backend": "local", "progress": False, **options})


def found(study: autosched.Study) -> list[tuple[object, ...]]:
    """What was decided and seen, without names and times."""
    return [(t.fingerprint, t.seed, t.status, t.step, t.value, tuple(p.loss for p in t.points)) for t in study.trials]


class Threads(SimulatedTrainer):
    """Notes how many threads linear algebra has where a study decides, which is this process."""

    def train(self, lrs: Any) -> Any:
        seen = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        Path("threads").write_text(json.dumps(sorted(seen)))
        return super().train(lrs)


def module(name: str, text: str) -> None:
    Path(f"{name}.py").write_text(text)


@pytest.mark.parametrize("cpus", [1, 2])
def test_decisions_are_summed_by_as_many_threads_on_every_machine(folder: Path, cpus: int) -> None:
    before = threadpool_info()
    with threadpool_limits(limits=3, user_api="blas"):
        changes = {"trainer": {"use": f"{__name__}:Threads"}, "resources.cpus": cpus, "budget.trials": 1}
        tuned(overrides=changes, trust_trainer=True)
        assert json.loads(Path("threads").read_text()) == [cpus]
    assert threadpool_info() == before


# -- where a space comes from -----------------------------------------------------------------------------------------


def test_a_file_a_mapping_and_a_space_are_the_same_study(
    folder: Path, mapping: dict[str, Any], expected: autosched.Study
) -> None:
    space = autosched.load_space("space.yaml")
    assert [checked_space(read_source(source)) for source in ("space.yaml", Path("space.yaml"), mapping, space)] == [
        space
    ] * 4
    assert found(tuned(mapping)) == found(expected)
    assert len(expected.trials) == 5


def test_python_and_the_command_line_make_the_same_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TUNE, "--set", "budget.trials=4", "--seed", "7", "--workers", "1"]) == 0
    summary = json.loads(capsys.readouterr().out)
    study = tuned(overrides={"budget.trials": 4}, seed=7, workers=1, ledger="sqlite:///other.db", fresh=True)
    for name in ("study", "state", "best", "default", "trials", "steps", "artifacts"):
        assert study.summary[name] == summary[name], name


def test_a_mapping_may_hold_what_python_code_has_at_hand(folder: Path, mapping: dict[str, Any]) -> None:
    mapping["horizon_steps"] = np.int64(40)
    mapping["trainer"]["use"] = SimulatedTrainer
    mapping["storage"] = {"reports": folder / "elsewhere"}
    study = tuned(mapping)
    assert study.space.trainer.use == "simulated"
    assert study.report == folder / "elsewhere" / "s" / "report.html"


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ("absent.yaml", "absent.yaml: there is no such file."),
        (7, "space: must be a path, a mapping or a Space, but got 7."),
        ({"horizon_steps": 0}, "space: horizon_steps must be a whole number >= 1, but got 0."),
        ({"budget": {"trails": 5}}, "space: budget.trails is not a known key, must be one of trials, "),
        ({"trainer": {"use": "simulated", "with": {"noise": object}}}, "space: trainer.with.noise must be text, a num"),
        ({"trainer": {"use": "simulated", "with": {"noise": -1}}}, "space: simulated trainer: noise must be a finite"),
        ({"controller": "rondom"}, "space: controller must be one of"),
    ],
)
def test_a_space_with_a_fault_is_refused_in_one_line(
    folder: Path, mapping: dict[str, Any], space: Any, says: str
) -> None:
    with pytest.raises(autosched.UsageError) as info:
        tuned({**mapping, **space} if isinstance(space, Mapping) else space)
    assert str(info.value).startswith(says)
    assert "\n" not in str(info.value)
    assert sorted(path.name for path in folder.iterdir()) == ["space.yaml"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"overrides": ["budget.trials=0"]}, "overrides: budget.trials must be a whole number >= 1, but got 0."),
        ({"overrides": {"budget.trials": 0}}, "overrides: budget.trials must be a whole number >= 1, but got 0."),
        ({"overrides": {"pruner": object()}}, "overrides: pruner must be text, a number, true or false, a list or"),
        ({"workers": 0}, "overrides: resources.workers must be a whole number >= 1, but got 0."),
        ({"name": "no spaces"}, "overrides: study must be 1 to 64 letters"),
        ({"backend": "slurm"}, "backend must be one of ray, local, but got 'slurm'."),
        ({"address": "auto"}, "address belongs to backend ray, but the backend is local."),
        ({"ledger": "autosched.db"}, "overrides: storage.ledger must be a URL with a scheme of"),
        ({"warm_start": ["absent.csv"]}, "overrides: warm_start is for controller law, but"),
    ],
)
def test_an_option_with_a_fault_is_refused_in_one_line(folder: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(autosched.UsageError) as info:
        tuned(**options)
    assert str(info.value).startswith(says)
    assert "\n" not in str(info.value)
    assert not Path("autosched.db").exists()


# -- names, notes, progress -------------------------------------------------------------------------------------------


def test_a_finished_study_keeps_its_name_and_lends_its_work(
    plain: autosched.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    second = tuned(progress=True)
    assert (plain.name, second.name) == ("s", "s-2")
    assert second.summary["steps"]["trained"] == 0
    shown = capsys.readouterr()
    assert shown.err == "autosched: the study 's' is finished; this one is 's-2'.\n"
    assert sum(" complete: loss" in line for line in shown.out.splitlines()) == 5


def test_a_study_that_is_there_is_gone_on_with_when_asked(plain: autosched.Study) -> None:
    again = tuned(resume=True)
    assert (again.name, again.state.events) == ("s", plain.state.events)


def test_the_ledger_of_the_environment_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOSCHED_LEDGER", "sqlite:///theirs.db")
    tuned()
    assert autosched.Study("s").status == "finished"
    assert Path("theirs.db").exists()
    assert not Path("autosched.db").exists()


def test_a_study_runs_in_any_thread_and_prints_nothing_without_progress(
    plain: autosched.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    studies: list[autosched.Study] = []
    thread = threading.Thread(target=lambda: studies.append(tuned()))
    thread.start()
    thread.join()
    assert [study.name for study in studies] == ["s-2"]
    assert capsys.readouterr() == ("", "")


# -- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_an_interrupted_study_goes_on_to_the_same_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, expected: autosched.Study, signal: str
) -> None:
    name = f"stops_by_{signal.lower()}"
    module(name, STOPS.replace("SIGNAL", signal))
    monkeypatch.syspath_prepend(folder)
    overrides = {"trainer.use": f"{name}:Stops"}
    with pytest.raises(KeyboardInterrupt) as info:
        tuned(overrides=overrides)
    assert info.value.__notes__ == ["the study 's' can go on: autosched.resume('s')"]
    stopped = autosched.Study("s")
    assert stopped.status == "interrupted"
    with pytest.raises(autosched.StudyError, match="the study 's' is unfinished: go on with `autosched resume s`"):
        tuned(overrides=overrides)
    resumed = autosched.resume("s", progress=False)
    assert resumed.status == "finished"
    assert found(resumed) == found(expected)


# -- trainers of one's own --------------------------------------------------------------------------------------------

MINE = "from workers.simulated import SimulatedTrainer\n\nclass Mine(SimulatedTrainer):\n    pass\n"
SCRIPT = """\
import sys
import autosched
{trainer}

study = autosched.tune({space!r}, overrides={{"trainer.use": Mine}}, backend={backend!r}, address={address!r})
print("best", study.best.value, study.space.trainer.use, [trial.status for trial in study.trials])
"""


def script(folder: Path, trainer: str, *, backend: str = "local", address: str | None = None) -> Any:
    """Run a script without ``if __name__``, from another folder than the one it is in."""
    (folder / "scripts").mkdir()
    (folder / "scripts" / "mine.py").write_text(MINE)
    text = SCRIPT.format(trainer=trainer, space=str(folder / "space.yaml"), backend=backend, address=address)
    (folder / "scripts" / "tune_it.py").write_text(text)
    command = [sys.executable, "scripts/tune_it.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("backend", "address"),
    [("local", None), pytest.param("ray", "local", marks=[pytest.mark.slow, pytest.mark.ray])],
)
def test_a_class_is_trained_by_a_script_without_a_guard(
    folder: Path, expected: autosched.Study, backend: str, address: str | None
) -> None:
    done = script(folder, "from mine import Mine", backend=backend, address=address)
    assert done.returncode == 0, done.stderr
    assert expected.best is not None
    assert done.stdout.splitlines()[-1] == f"best {expected.best.value} mine:Mine {['complete'] * 5}"


def test_a_class_of_the_script_itself_is_refused_in_one_line(folder: Path) -> None:
    done = script(folder, MINE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "autosched.errors.UsageError: trainer Mine is written in the script or notebook itself, where workers and "
        "`autosched resume` cannot find it: put it into a module, e.g. my_trainer.py, and import it from there."
    )
    assert not (folder / "autosched.db").exists()


def test_a_class_inside_of_something_is_refused(folder: Path, mapping: dict[str, Any]) -> None:
    class Inner(SimulatedTrainer):
        pass

    mapping["trainer"]["use"] = Inner
    with pytest.raises(autosched.UsageError, match="must stand at the top of its module"):
        tuned(mapping)


def test_a_trainer_that_always_fails_leaves_a_study_without_a_winner(folder: Path) -> None:
    overrides = {"trainer.with": {"fail_at": 7}, "budget.trials": 2, "resources.retries": 0}
    study = tuned(overrides=overrides)
    assert study.best is None
    assert [trial.status for trial in study.trials] == ["failed", "failed"]
    with pytest.raises(autosched.StudyError, match="has no complete trial yet"):
        study.schedule()
