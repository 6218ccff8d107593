"""Schedules from logged LRs: what a log must have, and what is done with what it has not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosched.curves import MlflowSource, read_curve, read_lrs, read_mlflow_lrs
from autosched.curves.logged_lrs import ends_like_next_lrs
from autosched.errors import CurveError
from autosched.schedules import Schedule, build, to_csv

SCHEDULE = build("wsd", {"peak_lr": 0.013, "warmup_steps": 3, "cooldown_shape": "sqrt"}, steps=97)


def write(path: Path, *rows: str, header: str = "step,lr") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_an_exported_table_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    (tmp_path / "lrs.csv").write_text(to_csv(SCHEDULE))
    assert read_lrs(tmp_path / "lrs.csv") == SCHEDULE


def test_a_log_counts_updates_done(tmp_path: Path) -> None:
    rows = [f"{step},{lr!r},3.0" for step, lr in enumerate(SCHEDULE.lrs.tolist(), start=1)]
    assert read_lrs(write(tmp_path / "log.csv", *rows, header="step,lr,loss")) == SCHEDULE


def test_a_table_that_begins_with_1_numbers_from_1(tmp_path: Path) -> None:
    assert read_lrs(write(tmp_path / "a.csv", "1,0.1", "2,0.2")) == Schedule([0.1, 0.2])


@pytest.mark.parametrize(("first", "lrs"), [(0, [0.1, 0.2, 0.3]), (1, [0.2, 0.3])])
def test_a_log_that_begins_with_0_must_be_explained(tmp_path: Path, first: int, lrs: list[float]) -> None:
    file = write(tmp_path / "a.csv", "0,0.1,4", "1,0.2,4", "2,0.3,4", header="step,lr,loss")
    assert read_lrs(file, first_update=first).lrs.tolist() == lrs
    with pytest.raises(CurveError, match=r"a\.csv:2: step 0 is the first update, or the state before it: say"):
        read_lrs(file)


def test_the_lr_may_have_another_name_and_other_columns_are_ignored(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "x,0.1,1", "y,0.2,2", header="note,lr-AdamW,Step")
    assert read_lrs(file, column="lr-AdamW") == Schedule([0.1, 0.2])


def test_updates_that_were_not_logged_lie_on_lines_when_asked_for_as_in_curves(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "2,0.1,4", "4,0.1,3", "6,0.05,2", header="step,lr,loss")
    schedule = read_lrs(file, interpolate=True)
    assert schedule.lrs.tolist() == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.075, 0.05])
    assert schedule == read_curve(file).schedule


def test_a_complete_log_is_not_changed_by_interpolating(tmp_path: Path) -> None:
    (tmp_path / "lrs.csv").write_text(to_csv(SCHEDULE))
    assert read_lrs(tmp_path / "lrs.csv", interpolate=True) == SCHEDULE


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (("0,0.1", "1,0.1", "3,0.1"), "4: no LR for 1 update between this row and the one before: log every update"),
        (("5,0.1", "6,0.1"), "2: no LR for 4 updates before the first row: log every update, or interpolate."),
        (("0,0.1", "1,0.1", "1,0.1"), "4: step 1 was given in the row before: each update once, in order."),
        (("0,0.1", "2,0.1", "1,0.1"), "4: step 1 comes after step 2: each update once, in order."),
        (("0,0.1", "1,nan"), "3: lr must be finite and >= 0, but got nan."),
        (("0,0.1", "1,inf"), "3: lr must be finite and >= 0, but got inf."),
        (("0,0.1", "1,-0.1"), "3: lr must be finite and >= 0, but got -0.1."),
        (("0,0.1", "1,"), "3: lr must be a number, but got ''."),
        (("0,0.1", "1"), "3: the row ends before its lr."),
        (("0.5,0.1",), "2: step must be a whole number >= 0, but got 0.5."),
        ((), " no rows below the header."),
    ],
)
def test_a_fault_is_named_with_file_and_line(tmp_path: Path, rows: tuple[str, ...], says: str) -> None:
    file = write(tmp_path / "a.csv", *rows)
    with pytest.raises(CurveError) as refused:
        read_lrs(file)
    assert str(refused.value).startswith(f"{file}:{says}")


def test_a_file_without_the_column_is_refused_and_its_columns_are_shown(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"a\.csv:1: the header must have step,rate, but has step,lr\.$"):
        read_lrs(write(tmp_path / "a.csv", "0,0.1"), column="rate")


def test_a_log_of_the_state_before_the_run_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"no row belongs to an update\.$"):
        read_lrs(write(tmp_path / "a.csv", "0,0.1"), first_update=1)


@pytest.mark.parametrize("first", [-1, 2])
def test_a_first_update_that_no_log_has_is_refused(tmp_path: Path, first: int) -> None:
    with pytest.raises(CurveError, match=rf"the first update must be 0 or 1, but got {first}\.$"):
        read_lrs(write(tmp_path / "a.csv", "0,0.1"), first_update=first)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> str:
    """Runs of our own and of others in a real MLflow store."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    uri = new_store(folder)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("runs", artifact_location=(folder / "artifacts").as_uri())
    logs: dict[str, list[tuple[int, float]]] = {
        "foreign": [(1, 0.1), (2, 0.2), (3, 0.1)],
        "resumed": [(1, 0.1), (2, 0.2), (3, 0.2), (2, 0.2), (3, 0.05), (4, 0.0)],
        "seldom": [(2, 0.1), (4, 0.1)],
        "broken": [(1, 0.1), (2, float("nan"))],
        "exact": [(10, 0.013)],
    }
    for name, points in logs.items():
        run = client.create_run(experiment, run_name=name).info.run_id
        for time, (step, lr) in enumerate(points):
            client.log_metric(run, "learning_rate", lr, timestamp=1_000 + time, step=step)
        if name == "exact":
            client.log_text(run, SCHEDULE.to_json(), "schedule.json")
    return uri


def source(store: str, name: str = "") -> MlflowSource:
    text = f"attributes.run_name = '{name}'" if name else ""
    return MlflowSource(uri=store, experiment="runs", filter=text, lr="learning_rate")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "lrs"),
    [
        ("foreign", {}, [0.1, 0.2, 0.1]),
        ("resumed", {}, [0.1, 0.2, 0.05, 0.0]),
        ("seldom", {"interpolate": True}, [0.05, 0.1, 0.1, 0.1]),
        ("exact", {}, SCHEDULE.lrs.tolist()),
    ],
)
def test_a_run_of_mlflow_gives_its_schedule(store: str, name: str, arguments: dict[str, Any], lrs: list[float]) -> None:
    assert read_mlflow_lrs(source(store, name), **arguments).lrs.tolist() == pytest.approx(lrs, rel=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("seldom", r"#seldom: no LR for 1 update before the first row"),
        ("broken", r"#broken: the LR must be finite and >= 0, but got nan\."),
        ("", r"5 runs of 'runs' match: choose one, e\.g\. with the filter \"attributes\.run_name = 'NAME'\"\.$"),
        ("absent", r"no run of 'runs' has a metric 'learning_rate' or 'loss'\.$"),
    ],
)
def test_a_run_that_shows_no_single_schedule_is_refused(store: str, name: str, says: str) -> None:
    with pytest.raises(CurveError, match=says):
        read_mlflow_lrs(source(store, name))


HUGGING_FACE = [(t / 4 if t < 4 else (20 - t) / 16) * 3e-4 for t in range(21)]
"""LR of update t = 0, 1, .. of a warmup of 4 of 20 updates, and of the one that is not made."""


@pytest.mark.parametrize("every", [1, 2])
def test_a_log_of_the_next_update_s_lr_is_noticed_and_read(tmp_path: Path, every: int) -> None:
    """Each row was written after the scheduler's step: beside the steps done stands the LR of the update to come."""
    rows = [f"{step},{HUGGING_FACE[step]!r},{3 - step / 20}" for step in range(every, 21, every)]
    file = write(tmp_path / "a.csv", *rows, header="step,lr,loss")
    assert ends_like_next_lrs(read_lrs(file, interpolate=True))
    read = read_lrs(file, interpolate=every > 1, next_update=True)
    assert read.lrs.tolist() == pytest.approx(HUGGING_FACE[:20], rel=1e-12, abs=1e-18)
    assert not ends_like_next_lrs(read)


def test_the_log_that_today_s_trainer_writes_is_not_taken_for_one(tmp_path: Path) -> None:
    rows = [f"{step + 1},{lr!r},3" for step, lr in enumerate(HUGGING_FACE[:20])]
    assert not ends_like_next_lrs(read_lrs(write(tmp_path / "a.csv", *rows, header="step,lr,loss")))
