"""Runs of a group: curves, schedules as families, and how well they ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autosched.curves.recorded_runs import full_minus_logged, read_runs
from autosched.errors import CurveError

HEADER = "file,group,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio,full_val_loss"
ROWS = (
    "a.csv,small,wsd,0.1,2,10,0.4,linear,0,1.5",
    "b.csv,small,cosine,0.2,2,10,,cosine,0.1,1.4",
    "c.csv,small,constant,0.1,2,10,,,1.0,",
    "d.csv,other,two_stage,0.1,2,10,0.5,step,0.3,1.2",
)


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    for name in "abcd":
        (folder / f"{name}.csv").write_text("step,lr,loss\n0,,5.0\n4,,3.0\n8,,2.0\n")
    (folder / "runs.csv").write_text("\n".join([header, *(rows or ROWS)]) + "\n")
    return folder


def test_a_group_is_read_in_the_order_of_its_table(tmp_path: Path) -> None:
    runs = read_runs(write(tmp_path), "small")
    assert [run.name for run in runs] == ["a.csv", "b.csv", "c.csv"]
    assert [run.schedule.family for run in runs] == ["wsd", "cosine", "constant"]
    assert [run.full_val_loss for run in runs] == [1.5, 1.4, None]
    assert runs[0].schedule.params["cooldown_fraction"] == 0.4
    assert runs[0].curve.steps.tolist() == [0, 4, 8]


def test_a_familys_decay_is_the_tables_one_update_later(made_folder: Path) -> None:
    for run in read_runs(made_folder, "llama124m"):
        warmup = 300
        ours, theirs = run.schedule.lrs, run.curve.schedule.lrs
        np.testing.assert_array_equal(ours[:warmup], theirs[:warmup])
        np.testing.assert_allclose(ours[warmup + 1 :], theirs[warmup:-1], rtol=1e-9, atol=1e-12)


def test_two_stages_are_a_piecewise_schedule(tmp_path: Path) -> None:
    (run,) = read_runs(write(tmp_path), "other")
    assert run.schedule.lrs.tolist() == pytest.approx([0.05, 0.1, 0.1, 0.1] + [0.03] * 6)
    np.testing.assert_allclose(run.schedule.lrs, run.curve.schedule.lrs)


def test_without_the_column_a_group_is_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    write(tmp_path / "small")
    header, row = "file,schedule,peak_lr,warmup_steps,horizon", "small/a.csv,constant,0.1,2,10"
    (tmp_path / "runs.csv").write_text(f"{header}\n{row}\n")
    assert [run.name for run in read_runs(tmp_path, "small")] == ["small/a.csv"]


def test_the_full_sets_gap_is_what_the_log_does_not_lead_to(tmp_path: Path) -> None:
    rows = ["step,lr,loss", "0,0,5.0", "8,0.1,2.0", "9,0.1,1.9"]
    write(tmp_path, "a.csv,small,constant,0.1,0,10,,,1.0,1.85")
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n")
    runs = read_runs(tmp_path, "small")
    assert full_minus_logged(runs) == pytest.approx(0.05)  # the log leads to 1.9 - 0.1 at update 10
    assert full_minus_logged(()) == 0.0


@pytest.mark.parametrize(
    ("rows", "group", "says"),
    [
        ((), "tiny", r"runs\.csv: group must be one of other, small, but got 'tiny'\."),
        (("e.csv,small,cosine,0.2,2,10,,cosine,0.1,1.4",), "small", r"runs\.csv:2: file 'e\.csv' does not exist"),
        (
            ("a.csv,small,cosine,x,2,10,,cosine,0.1,1.4",),
            "small",
            r"runs\.csv:2: peak_lr must be a number, but got 'x'",
        ),
        (("a.csv,small,cosine,0.2,2,10,,cosine,0.1,low",), "small", r"runs\.csv:2: full_val_loss must be a number or"),
        (("a.csv,small,wsd,0.2,2,10,0.5,round,0.1,1.4",), "small", r"runs\.csv:2: decay_shape must be one of linear"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, rows: tuple[str, ...], group: str, says: str) -> None:
    with pytest.raises(CurveError, match=says):
        read_runs(write(tmp_path, *rows), group)


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"runs\.csv: there is no such file"):
        read_runs(tmp_path, "small")
