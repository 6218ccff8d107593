"""`autosched.Study`: what a study found, from its ledger."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import files, interrupted

import autosched
from autosched.errors import WorkError
from autosched.study.results import Study


def test_a_study_is_read_by_name_and_nothing_is_changed(study: Study) -> None:
    before = files()
    again = Study("s")
    assert (again.name, again.status, len(again.trials)) == ("s", "finished", len(study.trials))
    assert again.summary["artifacts"] == {
        "schedule": "reports/s/schedule.json",
        "report": "reports/s/report.html",
        "law": "reports/s/law.json" if Path("reports/s/law.json").exists() else None,
        "target": None,
    }
    assert files() == before


def test_the_winner_is_the_confirmed_one_and_its_schedule_can_be_had(study: Study) -> None:
    assert study.best is not None
    assert study.best.number == study.summary["confirmation"]["winner_trial"]
    assert study.schedule() == autosched.Schedule.from_json(Path("reports/s/schedule.json").read_text())
    assert study.schedule(0).fingerprint == study.trials[0].fingerprint
    assert study.export("csv") == autosched.to_csv(study.schedule())
    assert study.default is study.trials[0]


def test_curves_are_the_points_seen_with_the_schedules_that_made_them(study: Study) -> None:
    assert set(study.curves) == {trial.number for trial in study.trials if trial.points}
    for number, curve in study.curves.items():
        trial = study.trials[number]
        assert curve.schedule.fingerprint == trial.fingerprint
        assert list(curve.steps) == [point.step for point in trial.points]
        assert list(curve.losses) == [point.loss for point in trial.points]


def test_forecasts_are_those_of_the_decisions(study: Study) -> None:
    assert study.forecasts
    for number, forecasts in study.forecasts.items():
        made = [decision.forecast for _, decision in study.trials[number].decisions if decision.forecast is not None]
        assert list(forecasts) == made
        assert all(forecast.low <= forecast.mean <= forecast.high for forecast in forecasts)


def test_the_table_has_a_row_per_trial_with_its_parameters(study: Study) -> None:
    frame = study.to_frame()
    assert list(frame.index) == list(range(len(study.trials)))
    complete = frame[frame.status == "complete"]
    assert complete.value.min() == min(trial.value for trial in study.trials if trial.value is not None)
    assert frame.peak_lr.between(1e-3, 1e-1).all()
    assert {"role", "until", "of", "step", "family", "cooldown_shape", "seed", "reason"} <= set(frame.columns)


@pytest.mark.parametrize("name", Study.figures)
def test_every_figure_is_drawn_or_refused_with_a_reason(study: Study, name: str) -> None:
    from matplotlib.figure import Figure

    if name in ("range_test", "named_losses"):
        with pytest.raises(autosched.StudyError, match="the study 's' has nothing to draw for " + name):
            study.plot(name)
    else:
        drawn = study.plot(name)
        assert isinstance(drawn, Figure)
        assert drawn._repr_png_().startswith(b"\x89PNG")  # what a notebook asks for


def test_what_is_not_there_is_refused_in_one_line(study: Study) -> None:
    with pytest.raises(autosched.UsageError, match=r"figure must be one of lr_curves, loss_curves, .*, but got 'pie'"):
        study.plot("pie")
    with pytest.raises(autosched.UsageError, match=r"trial must be one of study 's' \(0 to \d+\), but got 99"):
        study.schedule(99)
    with pytest.raises(autosched.StudyError, match=r"there is no study 'absent' in sqlite:///autosched\.db; it has: s"):
        Study("absent")
    with pytest.raises(autosched.UsageError, match=r"there is no ledger absent\.db"):
        Study("s", ledger="sqlite:///absent.db")


def test_a_notebook_shows_a_small_table(study: Study) -> None:
    shown = study._repr_html_()
    assert shown.startswith("<table><tr><th>study</th><td>s, finished")
    assert shown.count("<tr>") == shown.count("</tr>") < 15
    assert f"trial {study.summary['best']['trial']}" in shown
    assert repr(study).startswith(f"<Study 's': finished, {len(study.trials)} trials, best trial ")


def test_a_study_that_has_hardly_begun_can_be_looked_at(folder: Path) -> None:
    interrupted(after=3)
    study = Study("s")
    assert (study.status, study.best, study.forecasts) == ("interrupted", None, {})
    assert repr(study) == "<Study 's': interrupted, 1 trials, best none>"
    assert "no trial reached the horizon" in study._repr_html_()
    assert len(study.to_frame()) == 1


def test_one_that_is_being_run_says_so(folder: Path) -> None:
    interrupted(after=10)
    ledger = autosched.Ledger("sqlite:///autosched.db")
    with ledger.lease("s"):
        assert Study("s").status == "running"
    ledger.close()


def test_looking_at_a_study_needs_no_library_that_trains() -> None:
    heavy = ("torch", "ray", "mlflow", "optuna", "matplotlib", "pandas", "IPython")
    code = f"import sys, autosched; autosched.Study; print([name for name in {heavy!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_files_that_cannot_be_written_are_one_line_and_a_resume_writes_them(plain: autosched.Study) -> None:
    folder = Path("reports/s")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("report.html", "schedule.json"):
        (folder / name).unlink()
    note = "report.html and schedule.json missing in reports/s: `autosched resume s` writes the study's files again."
    assert autosched.Study("s").summary["notes"] == [note]
    (folder / "schedule.json").mkdir()
    with pytest.raises(WorkError, match=r"cannot write into reports/s: Is a directory; nothing is lost: mend that"):
        autosched.resume("s", progress=False)
    (folder / "schedule.json").rmdir()
    assert autosched.resume("s", progress=False).summary["notes"] == autosched.Study("s").summary["notes"] == []
    assert {path.name for path in folder.iterdir()} == set(before)
    assert (folder / "schedule.json").read_bytes() == before["schedule.json"]
