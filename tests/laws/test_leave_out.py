"""What laws would have said of curves that they were not fitted to."""

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.laws.leave_out import LeftOut, leave_out
from autosched.laws.robust import Robustness
from autosched.schedules.registry import build

OPTIONS = FitOptions(robustness=Robustness(delta=1e-2, noise=1e-2), first_share=0.1, late_power=1.0)
UNITS = Units(lr=1e-3, steps=40.0)
LAW = FunctionalLaw.from_logs(
    np.log([2.4, 0.7, 0.5, 0.12, 1.0, 1.0, 0.5, 0.5, 2.0, 0.6]), reference_lr=UNITS.lr, reference_steps=UNITS.steps
)
SCATTER = 2e-3


def curve(peak: float, seen: int, *, seed: int = 0) -> Curve:
    """A run that follows the law but for some scatter, up to `seen` updates of 1,000."""
    schedule = build("wsd", {"peak_lr": peak, "warmup_steps": 30, "cooldown_fraction": 0.3}, steps=1000)
    steps = np.arange(20.0, seen + 1.0, 20.0)
    scatter = np.exp(SCATTER * np.random.default_rng([seed, int(1e7 * peak), seen]).standard_normal(steps.size))
    return Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps) * scatter, name=f"{peak:g}")


def left_out(curves: list[Curve]) -> LeftOut:
    form = FunctionalFamily(units=UNITS)
    whole = fit_law(form, curves, OPTIONS)
    assert isinstance(whole, LawFit)
    return leave_out([(form, whole)], curves, OPTIONS, most_folds=6)


def test_long_runs_of_other_peak_lrs_tell_how_wrong_ends_are():
    found = left_out([curve(peak, 1000) for peak in (5e-4, 1e-3, 2e-3, 4e-3)])
    assert found.errors()[0] < 5 * SCATTER
    assert 0 < found.later_rates[0] < 5 * SCATTER


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_paused_near_its_end_makes_no_scatter_a_rate(seed):
    ends = [(1e-3, 1000), (1.02e-3, 900), (1.01e-3, 920), (3e-3, 300), (4e-4, 300)]
    found = left_out([curve(peak, seen, seed=seed) for peak, seen in ends])
    assert 0 < found.later_rates[0] < 5 * SCATTER  # over so short a way the scatter alone would be 20 times that


def test_short_runs_alone_are_asked_for_the_end_of_the_only_long_one():
    ends = [(1e-3, 1000), (5e-4, 300), (2e-3, 300)]
    honest = left_out([curve(peak, seen) for peak, seen in ends])
    lower = [curve(peak, seen) for peak, seen in ends]
    late = lower[0].losses * np.where(lower[0].steps > 300, 0.9, 1.0)
    lower[0] = Curve(schedule=lower[0].schedule, steps=lower[0].steps, losses=late, name="lower")
    assert np.isfinite(honest.later_rates[0])
    assert left_out(lower).later_rates[0] > honest.later_rates[0]


@pytest.mark.parametrize("reaches", [(1000, 1000), (1000, 800, 800), (1000, 300, 800)])
def test_too_few_curves_or_none_that_is_short_or_of_another_peak_lr_tell_no_rate(reaches):
    found = left_out([curve(1e-3, reach, seed=seed) for seed, reach in enumerate(reaches)])
    assert np.isnan(found.later_rates[0])
