import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules.merged import merged_schedule
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule


def test_the_mean_of_the_last_weights_moves_as_by_lrs_that_fall_linearly():
    # where a move is the LR times what does not depend on the weights, it is so exactly
    lrs, slopes = np.random.default_rng(0).uniform(0.1, 1.0, (2, 40))
    weights = -np.cumsum(lrs * slopes)
    for step, window in ((40, 1), (40, 13), (21, 21)):
        merged = merged_schedule(Schedule(lrs), step=step, window=window)
        assert -np.dot(merged.lrs, slopes[:step]) == pytest.approx(weights[step - window : step].mean())


def test_a_window_of_one_update_changes_nothing():
    whole = build("constant", {"peak_lr": 0.1}, steps=30)
    assert merged_schedule(whole, step=20, window=1) == whole.prefix(20)


@pytest.mark.parametrize(("step", "window"), [(10, 0), (10, 11), (0, 1), (31, 5)])
def test_a_window_that_the_run_has_not_had_is_refused(step, window):
    with pytest.raises(ScheduleError, match="must"):
        merged_schedule(build("constant", {"peak_lr": 0.1}, steps=30), step=step, window=window)
