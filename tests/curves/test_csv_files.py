"""Curve files, whole and broken."""

import numpy as np
import pytest

from autosched.curves import read_curve, read_curves
from autosched.errors import CurveError
from autosched.testing.published_curves import published_group


def write(path, *rows, header="step,lr,loss"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_file_gives_steps_losses_and_an_interpolated_schedule(tmp_path):
    curve = read_curve(write(tmp_path / "a.csv", "2,0.1,4.0", "4,0.1,3.5", "6,0.05,3.0"))
    assert curve.steps.tolist() == [2, 4, 6]
    assert curve.losses.tolist() == [4.0, 3.5, 3.0]
    np.testing.assert_allclose(curve.schedule.lrs, [0.05, 0.1, 0.1, 0.1, 0.075, 0.05])  # linear warmup to the first row


def test_columns_may_come_in_any_order_with_others_between(tmp_path):
    curve = read_curve(write(tmp_path / "a.csv", "4.0,x,0.1,2", "3.5,y,0.1,4", header="Loss,note,LR,step"))
    assert curve.losses.tolist() == [4.0, 3.5]


def test_a_runs_table_beside_or_above_gives_the_exact_schedule(tmp_path):
    columns = "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio"
    (tmp_path / "group").mkdir()
    write(tmp_path / "group" / "a.csv", "5,0.1,4.0")
    write(tmp_path / "runs.csv", "group/a.csv,wsd,0.1,2,10,0.4,linear,0.0", header=columns)
    curve = read_curve(tmp_path / "group" / "a.csv")
    np.testing.assert_allclose(curve.schedule.lrs, [0.05, *[0.1] * 5, 0.075, 0.05, 0.025, 0.0])


@pytest.mark.recorded
def test_the_published_table_agrees_with_every_published_lr_column():
    for group in ("gpt25m", "gpt100m", "llama124m"):
        for curve in published_group(group):
            logged = np.genfromtxt(curve.name, delimiter=",", names=True)
            after = logged["step"] > 0
            exact = curve.schedule.lrs[logged["step"][after].astype(int) - 1]
            assert np.abs(exact - logged["lr"][after]).max() < 2e-3 * curve.schedule.peak_lr, curve.name


def test_a_folder_gives_its_curves_by_name_without_the_table(tmp_path):
    for name in ("b.csv", "a.csv"):
        write(tmp_path / name, "1,0.1,4.0", "2,0.1,3.0")
    write(tmp_path / "runs.csv", header="file,schedule")
    assert [curve.name[-5:] for curve in read_curves(tmp_path)] == ["a.csv", "b.csv"]


def test_a_resumed_run_keeps_what_was_logged_after_the_restart(tmp_path):
    rows = ["1,0.1,4.0", "2,0.1,3.9", "3,0.1,3.8", "2,0.1,3.7", "3,0.1,3.6", "4,0.1,3.5"]
    assert read_curve(write(tmp_path / "a.csv", *rows)).losses.tolist() == [4.0, 3.7, 3.6, 3.5]


def test_of_a_doubled_step_the_later_row_counts(tmp_path):
    assert read_curve(write(tmp_path / "a.csv", "1,0.1,4.0", "1,0.1,3.9", "2,0.1,3.8")).losses.tolist() == [3.9, 3.8]


def test_a_run_that_ends_in_nan_is_read_up_to_there(tmp_path):
    curve = read_curve(write(tmp_path / "a.csv", "1,0.1,4.0", "2,0.1,3.9", "3,0.1,nan", "4,0.1,nan"))
    assert curve.steps.tolist() == [1, 2]
    assert curve.schedule.steps == 4


@pytest.mark.parametrize(
    ("rows", "line", "text"),
    [
        (["1,0.1,4.0", "2,0.1,nan", "3,0.1,3.0"], 3, "loss must be finite before the end of the run, but got nan."),
        (["1,0.1,4.0", "2,abc,3.0"], 3, "lr must be a number, but got 'abc'."),
        (["1,0.1,4.0", "2,0.1"], 3, "the row ends before its loss."),
        (["1,-0.1,4.0"], 2, "lr must be finite and >= 0, but got -0.1."),
        (["1.5,0.1,4.0"], 2, "step must be a whole number >= 0, but got 1.5."),
        (["5,0.1,1", "4,0.1,2", "3,0.1,3", "2,0.1,4", "1,0.1,5"], 3, "steps are not sorted: sort the rows by step."),
    ],
)
def test_a_fault_is_one_line_with_file_and_line(tmp_path, rows, line, text):
    file = write(tmp_path / "a.csv", *rows)
    with pytest.raises(CurveError) as caught:
        read_curve(file)
    assert str(caught.value) == f"{file}:{line}: {text}"


def test_one_row_without_a_table_shows_no_schedule(tmp_path):
    with pytest.raises(CurveError, match="one row does not show a schedule"):
        read_curve(write(tmp_path / "a.csv", "5,0.1,4.0"))


def test_a_missing_column_names_what_is_there(tmp_path):
    with pytest.raises(CurveError, match=r"a\.csv:1: the header must have step,lr,loss, but has step,loss"):
        read_curve(write(tmp_path / "a.csv", "1,2.0", header="step,loss"))


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    for path, text in [
        (tmp_path / "none.csv", "no such file or folder"),
        (tmp_path / "folder", "the folder has no"),
        (write(tmp_path / "empty.csv"), "no rows below the header"),
        (write(tmp_path / "nan.csv", "1,0.1,nan"), "no row has a finite loss"),
    ]:
        with pytest.raises(CurveError, match=text):
            read_curves(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"step,lr,loss\n1,0.1,\xe9\n")
    with pytest.raises(CurveError, match=r"a\.csv:2: must be UTF-8 text, but has byte 0xe9"):
        read_curve(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("a.csv,zigzag,0.1,0,10,0,linear,0", "schedule must be constant, cosine, wsd or two_stage, but got 'zigzag'"),
        ("a.csv,wsd,0.1,0,10,0.5,bent,0", "decay_shape must be one of linear, sqrt"),
        ("a.csv,wsd,high,0,10,0.5,linear,0", "peak_lr must be a number, but got 'high'"),
        ("a.csv,wsd,0.1,20,10,0.5,linear,0", "need 0 <= warmup_steps <= horizon"),
    ],
)
def test_a_fault_in_the_table_names_the_table(tmp_path, row, text):
    columns = "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio"
    write(tmp_path / "runs.csv", row, header=columns)
    write(tmp_path / "a.csv", "5,0.1,4.0")
    with pytest.raises(CurveError, match=text) as caught:
        read_curve(tmp_path / "a.csv")
    assert caught.value.file == str(tmp_path / "runs.csv")
    assert caught.value.line == 2


def test_a_step_past_the_tables_horizon_is_refused(tmp_path):
    columns = "file,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio"
    write(tmp_path / "runs.csv", "a.csv,constant,0.1,0,10,0,,1", header=columns)
    with pytest.raises(CurveError, match=r"a\.csv:3: step 11 lies past the horizon 10"):
        read_curve(write(tmp_path / "a.csv", "5,0.1,4.0", "11,0.1,3.0"))
