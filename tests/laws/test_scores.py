"""Errors of a law on curves, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.errors import CurveError
from autosched.laws.baselines import PowerLaw
from autosched.laws.forecaster import forecast_along
from autosched.laws.scores import Score, mean_score, score
from autosched.schedules.schedule import Schedule

LAW = PowerLaw(floor=2.0, scale=2.0, exponent=1.0)  # 4, 3, 2.667, 2.5 after 1 to 4 updates
FLAT = Schedule([0.1] * 4)


def curve(losses, steps=(1.0, 2.0, 4.0), schedule=FLAT) -> Curve:
    return Curve(schedule=schedule, steps=np.array(steps), losses=np.array(losses), name="a.csv")


def test_every_error_is_what_its_name_says():
    found = score(LAW, curve([4.0, 3.2, 2.4]))
    assert found.mae == pytest.approx(0.3 / 3)
    assert found.rmse == pytest.approx(math.sqrt((0.04 + 0.01) / 3))
    assert found.prede == pytest.approx((0.2 / 3.2 + 0.1 / 2.4) / 3)
    assert found.worste == pytest.approx(0.2 / 3.2)
    assert found.final_error == pytest.approx(0.1)
    assert found.r2 == pytest.approx(1 - 0.05 / (0.64 + 0.0 + 0.64))
    assert found.coverage90 == pytest.approx(1 / 3)  # a law that was not fitted has an interval of no width


def test_points_of_the_warmup_do_not_count():
    warmed = Schedule([0.05, 0.1, 0.1, 0.1])
    assert score(LAW, curve([9.0, 3.0, 2.5], schedule=warmed)).mae == pytest.approx(0)
    with pytest.raises(CurveError, match=r"a.csv: no point after the warmup."):
        score(LAW, curve([9.0], steps=(1.0,), schedule=warmed))


def test_a_loss_that_does_not_vary_has_no_r2():
    assert math.isnan(score(LAW, curve([3.0, 3.0, 3.0])).r2)


def test_a_mean_leaves_out_what_is_unknown():
    one = Score(r2=math.nan, mae=1, rmse=1, prede=1, worste=1, final_error=-1, coverage90=1)
    two = Score(r2=0.5, mae=3, rmse=3, prede=3, worste=3, final_error=1, coverage90=0)
    mean = mean_score([one, two])
    assert (mean.r2, mean.mae, mean.final_error, mean.coverage90) == (0.5, 2, 0, 0.5)
    assert math.isnan(mean_score([one]).r2)


def test_a_law_that_was_not_fitted_does_not_know_how_sure_it_is():
    predicted = forecast_along(LAW, FLAT, np.array([1.0, 4.0]))
    assert predicted.mean == pytest.approx([4.0, 2.5])
    assert predicted.sd.tolist() == [0.0, 0.0]
