"""The power that a ladder's best peak LRs follow, and how sure it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autosched.errors import UsageError
from autosched.schedules.schedule import Schedule
from autosched.transfer.change import Change, Setting
from autosched.transfer.ladder import PRIORS, Rung, check_ladder, fit_ladder
from autosched.transfer.rule import NoTransfer, Transfer


def rungs(*peaks: float, sd: float = 0.1, first: float = 300.0) -> list[Rung]:
    return [Rung(study=f"s{i}", size=first * 2**i, log_peak=math.log(peak), log_sd=sd) for i, peak in enumerate(peaks)]


def test_sure_rungs_overrule_the_prior_and_unsure_ones_leave_it() -> None:
    falling = [0.02 * 2 ** (-0.6 * i) for i in range(4)]
    assert fit_ladder(rungs(*falling, sd=1e-3), "horizon").exponent == pytest.approx(-0.6, abs=1e-3)
    unsure = fit_ladder(rungs(*falling, sd=10.0), "horizon")
    assert (unsure.exponent, unsure.exponent_sd) == pytest.approx(PRIORS["horizon"], abs=0.02)


def test_rungs_off_any_line_make_the_fit_less_sure() -> None:
    straight, bent = (0.02, 0.016, 0.0128), (0.02, 0.05, 0.0128)
    assert fit_ladder(rungs(*bent), "horizon").exponent_sd > 2 * fit_ladder(rungs(*straight), "horizon").exponent_sd


def test_intervals_at_a_longer_horizon_hold_as_often_as_they_say() -> None:
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        exponent = random.normal(*PRIORS["horizon"])
        seen = [math.log(0.02) + exponent * math.log(2.0**i) + random.normal(0, 0.2) for i in range(3)]
        ladder = fit_ladder(rungs(*np.exp(seen), sd=0.2), "horizon")
        mean, sd = ladder.at(300 * 2.0**5)
        held += abs(math.log(0.02) + exponent * math.log(2.0**5) - mean) < 1.645 * sd
    assert 0.87 <= held / 400 <= 0.96


def test_it_is_a_rule_from_the_old_schedule_to_the_line() -> None:
    ladder = fit_ladder(rungs(0.02, 0.016, 0.0128, sd=0.05), "horizon")
    change = Change(old=Setting(schedule=Schedule([0.03] * 1200)), new=Setting(schedule=Schedule([0.03] * 2400)))
    said = ladder.apply(change)
    assert isinstance(said, Transfer)
    assert 0.03 * said.factor == pytest.approx(math.exp(ladder.at(2400)[0]))
    assert said.warnings == ()
    far = Change(old=change.old, new=Setting(schedule=Schedule([0.03] * 12_000)))
    (warning,) = ladder.apply(far).warnings  # type: ignore[union-attr]
    assert "a factor of 4 in steps, and this is one of 10 beyond it" in warning
    assert isinstance(fit_ladder(rungs(0.02, 0.01), "width").apply(change), NoTransfer)


def test_the_largest_is_checked_by_the_smaller_ones() -> None:
    held = check_ladder(fit_ladder(rungs(0.02, 0.016, 0.0128), "horizon"))
    assert held is not None
    assert held.held
    broken = check_ladder(fit_ladder(rungs(0.02, 0.016, 0.1), "horizon"))
    assert broken is not None
    assert not broken.held
    assert check_ladder(fit_ladder(rungs(0.02, 0.016), "horizon")) is None


def test_one_size_is_no_ladder() -> None:
    with pytest.raises(UsageError, match="at least two steps"):
        fit_ladder(rungs(0.02), "horizon")
