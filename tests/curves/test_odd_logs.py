"""Logs as people have them: each gives the right curve, or one clear line with file and line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosched.curves import Curve, read_curve, read_curves
from autosched.curves.runs_table import RUNS_FILE, absent_files
from autosched.errors import CurveError

STEPS = list(range(20, 401, 20))
COLUMNS = "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio"
Rows = list[list[str]]


def rows_of(steps: list[int], peak: float = 1e-3, horizon: int = 400) -> Rows:
    """A run with a linear decay to 0 at `horizon`."""
    return [[str(step), repr(peak * (1 - step / horizon)), repr(3 + 2 / (1 + step / 50))] for step in steps]


def write(path: Path, rows: Rows, header: str = "step,lr,loss") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def equal(curve: Curve, other: Curve) -> bool:
    return (
        curve.schedule == other.schedule
        and np.array_equal(curve.steps, other.steps)
        and np.array_equal(curve.losses, other.losses)
    )


def changed(rows: Rows, column: int, change: Callable[[str], str], rest: int | None = None) -> Rows:
    """The rows with one column changed; in all of them, or in row `rest` alone."""
    return [
        [*row[:column], change(row[column]), *row[column + 1 :]] if rest in (None, at) else row
        for at, row in enumerate(rows)
    ]


# -- two series on one axis -------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lrs_and_losses_are_read_apart_however_they_share_rows(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cells may be empty, or a step may have one row per quantity: the curve is that of both series."""
    folder = tmp_path_factory.mktemp("log")
    whole = rows_of(STEPS)
    has_lr = data.draw(st.lists(st.booleans(), min_size=len(STEPS), max_size=len(STEPS)))
    has_loss = data.draw(st.lists(st.booleans(), min_size=len(STEPS), max_size=len(STEPS)))
    has_lr[0] = has_lr[-1] = has_loss[0] = has_loss[-1] = True
    together = [[s, lr * a, loss * b] for (s, lr, loss), a, b in zip(whole, has_lr, has_loss, strict=True)]
    apart = [row for s, lr, loss in together for row in ([s, lr, ""], [s, "", loss])]
    first, second = read_curve(write(folder / "a.csv", together)), read_curve(write(folder / "b.csv", apart))
    assert equal(first, second)
    assert first.steps.tolist() == [float(row[0]) for row, there in zip(whole, has_loss, strict=True) if there]
    np.testing.assert_allclose(first.schedule.lrs[19:], read_curve(write(folder / "c.csv", whole)).schedule.lrs[19:])


def test_losses_may_go_on_for_one_more_distance_between_lrs_and_no_farther(tmp_path: Path) -> None:
    rows = rows_of(STEPS)
    curve = read_curve(write(tmp_path / "a.csv", changed(rows, 1, lambda text: "", rest=19)))
    assert curve.schedule.steps == 400
    assert curve.schedule.final_lr == curve.schedule.lrs[379]
    late = [row if int(row[0]) <= 100 else [row[0], "", row[2]] for row in rows]
    with pytest.raises(CurveError, match=r"a\.csv:8: step 140 has no LR near it: the last one is logged at step 100\."):
        read_curve(write(tmp_path / "a.csv", late))


# -- values and steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        (changed(rows_of(STEPS), 2, lambda t: "0", rest=7), 9, "loss must be > 0 for a law, but got 0.0: empty the"),
        (changed(rows_of(STEPS), 2, lambda t: "-" + t), 2, "or add one number, e.g. 6, to all losses of all runs"),
        (changed(rows_of(STEPS), 1, lambda t: "0"), None, "every LR is 0: log the LRs that the run was trained with."),
        (changed(rows_of(STEPS), 1, lambda t: "1_0", rest=3), 5, "lr must be a number, but got '1_0'."),
        (
            changed(rows_of(STEPS), 0, lambda t: str(int(t) * 524288)),
            2,
            "tokens or samples, all steps are multiples of",
        ),
        (changed(rows_of(STEPS), 0, lambda t: str(1_700_000_000 + int(t))), 2, "like seconds of Unix time"),
        (
            changed(rows_of(STEPS), 0, lambda t: "1e300", rest=19),
            21,
            "a number of updates, at most 10000000, but got 1",
        ),
        (changed(rows_of(STEPS), 0, lambda t: "inf", rest=19), 21, "step must be a whole number >= 0, but got inf."),
        (changed(rows_of(STEPS), 0, lambda t: "", rest=3), 5, "step must be a number, but got ''."),
        (rows_of(STEPS) * 2, 22, "begin again: 2 runs in one log, beginning at the lines 2, 22; keep one run, or one"),
        (rows_of(STEPS) * 3, 22, "begin again: 3 runs in one log, beginning at the lines 2, 22, 42;"),
        (rows_of(STEPS) + rows_of([1, *STEPS], 2e-3), 22, "begin again: 2 runs in one log"),
        (rows_of(STEPS)[::-1], 3, "steps are not sorted: sort the rows by step."),
        ([["9" * 70_000, "1", "1"]], 2, "a line must have fewer than 65536 characters."),
        ([["x" * 5_000, "1", "1"]], 2, "step must be a number, but got 'xxxxxxxxxx"),
    ],
)
def test_what_is_no_curve_is_said_with_its_line(tmp_path: Path, rows: Rows, line: int | None, says: str) -> None:
    file = write(tmp_path / "a.csv", rows)
    with pytest.raises(CurveError) as refused:
        read_curve(file)
    assert says in str(refused.value)
    assert (refused.value.file, refused.value.line) == (str(file), line)
    assert len(str(refused.value)) < 400


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CurveError, match=r"a\.csv:1: the header has loss 2 times: keep one"):
        read_curve(write(tmp_path / "a.csv", [["1", "2", "3", "4"]], header="step,lr,loss,Loss"))


# -- kinds of files ---------------------------------------------------------------------------------------------------


def test_gzip_is_read_as_the_text_inside(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.csv", rows_of(STEPS))
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "b.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (curve,) = read_curves(tmp_path / "z")
    assert equal(curve, read_curve(plain))


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text("step,lr,loss\n1,1,1\n", encoding="utf-16"), "is UTF-16 text: save it as UTF-8"),
        (lambda path: path.write_bytes(bz2.compress(b"step")), "compressed by bzip2: unpack it first, or use gzip"),
        (lambda path: path.write_bytes(lzma.compress(b"step")), "compressed by xz: unpack it first, or use gzip"),
        (lambda path: path.write_bytes(b"PK\x03\x04..."), "a zip archive or a spreadsheet"),
        (lambda path: path.write_bytes(gzip.compress(b"step,lr,loss\n1,1,1\n")[:-9]), "cannot be read: "),
        (lambda path: path.write_bytes(b"\0" * 1_000_000), "a line must have fewer than 65536 characters"),
        (lambda path: path.write_bytes(gzip.compress(b"\0" * 1_000_000)), "a line must have fewer than 65536"),
        (lambda path: path.symlink_to("/dev/zero"), "must be a CSV file, but is a device."),
        (fifo, "must be a CSV file, but is a pipe: write it to a file first."),
    ],
)
def test_what_is_no_text_file_is_said_at_once(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path / "a.csv")
    with pytest.raises(CurveError, match=r"a\.csv.*: ") as refused:
        read_curve(tmp_path / "a.csv")
    assert says in str(refused.value)


# -- tables -----------------------------------------------------------------------------------------------------------

ROW = "a.csv,wsd,0.001,0,400,1.0,linear,0.0"


@pytest.mark.parametrize(
    ("table", "line", "says"),
    [
        ([ROW.replace("0.001", "0.03")], 2, "LR 0.0285 at update 20 is not what "),
        ([ROW.replace("0.001", "0.03")], 2, "says, 0.00095 (19 of 20 LRs differ): correct one of them."),
        ([ROW.replace("linear", "sqrt")], 2, "LRs differ): correct one of them."),
        ([ROW.replace("400", "800")], 2, "LRs differ): correct one of them."),
        ([ROW.replace("a.csv", "b.csv")], None, "no row is about a.csv: add one, or move the file elsewhere."),
        ([ROW, ROW.replace("0.001", "0.002")], 3, "line 2 is about a.csv too: keep one."),
        ([ROW, ROW.replace("a.csv", "./a.csv")], 3, "line 2 is about ./a.csv too: keep one."),
        ([f"\0{ROW}"], 2, "has a zero byte here"),
        ([f"{ROW},7"], 2, "the row goes on after the header's last column: '7'."),
        ([ROW.replace("0.001", "0")], 2, "peak_lr must be > 0, but got 0."),
        ([ROW.replace("0.001", "inf")], 2, "peak_lr must be a finite number, but got 'inf'."),
        ([ROW.replace("400", "nan")], 2, "horizon must be a finite number, but got 'nan'."),
        ([ROW.replace("400", "1e12")], 2, "horizon must be a whole number <= 10000000, but got 1000000000000."),
        ([ROW.replace("400", "400.5")], 2, "horizon must be a whole number >= 1, but got 400.5."),
        ([ROW.replace("0,400", "0.5,400")], 2, "need 0 <= warmup_steps <= horizon"),
        ([ROW.replace("1.0,linear", "nan,linear")], 2, "cooldown_fraction must be a finite number, but got 'nan'."),
        ([ROW.replace("linear,0.0", "linear,-1")], 2, "final_lr_ratio must be in [0, 1], but got -1.0."),
    ],
)
def test_a_table_must_say_what_the_file_says(tmp_path: Path, table: list[str], line: int | None, says: str) -> None:
    write(tmp_path / "a.csv", rows_of(STEPS))
    (tmp_path / RUNS_FILE).write_text("\n".join([COLUMNS, *table]) + "\n")
    with pytest.raises(CurveError) as refused:
        read_curve(tmp_path / "a.csv")
    assert says in str(refused.value)
    assert (refused.value.file, refused.value.line) == (str(tmp_path / RUNS_FILE), line)


def test_a_table_of_another_encoding_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(STEPS))
    (tmp_path / RUNS_FILE).write_text(f"{COLUMNS}\n{ROW}\n", encoding="utf-16")
    with pytest.raises(CurveError, match=r"runs\.csv: must be a CSV file, but is UTF-16 text: save it as UTF-8\."):
        read_curve(tmp_path / "a.csv")


def test_a_table_that_agrees_gives_the_schedule_and_one_about_other_folders_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", rows_of(STEPS[:10]))
    (tmp_path / RUNS_FILE).write_text(f"{COLUMNS}\n{ROW}\n")
    assert read_curve(tmp_path / "a.csv").schedule.steps == 400
    (tmp_path / "inner").mkdir()
    assert read_curve(write(tmp_path / "inner" / "b.csv", rows_of(STEPS[:10]))).schedule.steps == 200


def test_rows_about_files_that_are_not_there_are_said(tmp_path):
    (tmp_path / "a.csv").write_text("step,lr,loss\n")
    rows = [ROW, ROW.replace("a.csv", "b.csv", 1), ROW.replace("a.csv", "c.csv", 1)]
    (tmp_path / RUNS_FILE).write_text("\n".join([COLUMNS, *rows]) + "\n")
    text = f"{tmp_path / RUNS_FILE}:3: there is no file b.csv (nor 1 more that rows are about)."
    assert absent_files([tmp_path / "a.csv"]) == [text]
    assert absent_files([]) == []
