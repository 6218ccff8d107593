"""Extending a finished WSD run: the stable phase stays, the second stage is what keeps its LR the best one."""

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.laws.convex_bound import optimal_base_lr
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule
from autosched.transfer import Change, NoExtension, NoTransfer, Setting, Transfer, extend_wsd, get_rule

STEPS = 4_000
RULE = get_rule("wsd-extension")


def wsd(steps=STEPS, **params):
    return build("wsd", {"peak_lr": 0.01, "cooldown_fraction": 0.2, "final_lr_ratio": 0.0, **params}, steps=steps)


def base_lr(schedule, peak=0.01):
    """The bound's best LR of the stable phase, over the stable phase's LR."""
    return optimal_base_lr(schedule.lrs / peak).lr


def published_ratio(steps):
    """The published search, literally: of 33 ratios the one whose best base LR is nearest to the short schedule's."""

    def stages(length, ratio):
        lrs = np.ones(length + 1)
        lrs[int(0.8 * STEPS) :] = ratio
        cooldown = int(0.2 * (length + 1))
        lrs[length + 1 - cooldown :] *= np.linspace(1, 0, cooldown)
        return lrs[:length]

    ratios = np.linspace(0.2, 1, 33)
    wanted = optimal_base_lr(stages(STEPS, 1.0)).lr
    return ratios[np.argmin([abs(optimal_base_lr(stages(steps, ratio)).lr - wanted) for ratio in ratios])]


@pytest.mark.parametrize("times", [1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
def test_ratios_are_those_of_the_published_search_but_for_its_grid(times):
    steps = int(times * STEPS)
    assert extend_wsd(wsd(), steps).ratio == pytest.approx(published_ratio(steps), abs=0.0126)


@pytest.mark.parametrize("steps", [4_100, 8_000, 40_000])
@pytest.mark.parametrize("params", [{}, {"cooldown_shape": "sqrt", "warmup_steps": 300, "cooldown_fraction": 0.4}])
def test_the_stable_lr_is_as_good_for_the_longer_run_as_it_was_for_the_short_one(steps, params):
    short = wsd(**params)
    longer = extend_wsd(short, steps)
    assert base_lr(longer.schedule) == pytest.approx(base_lr(short), rel=1e-6)
    assert 0.05 < longer.ratio < 1


def test_the_stable_phase_is_kept_to_the_last_bit_so_its_checkpoint_goes_on():
    short = wsd(warmup_steps=100)
    longer = extend_wsd(short, 10_000)
    assert longer.stable_steps == 3_200
    assert longer.schedule.prefix_fingerprint(3_200) == short.prefix_fingerprint(3_200)
    assert longer.schedule.steps == 10_000


def test_the_second_stage_is_flat_and_the_cooldown_has_the_old_share_and_shape():
    longer = extend_wsd(wsd(cooldown_shape="sqrt"), 10_000)
    lrs = longer.schedule.lrs / (0.01 * longer.ratio)
    np.testing.assert_allclose(lrs[3_200:8_000], 1.0, rtol=1e-12)
    np.testing.assert_allclose(lrs[8_000:], 1 - np.sqrt(np.arange(2_000) / 2_000), rtol=1e-9)


def test_a_longer_run_needs_a_lower_second_stage_and_is_less_certain():
    near, far = (extend_wsd(wsd(), steps) for steps in (8_000, 32_000))
    assert far.ratio < near.ratio < 1
    assert far.log_sd > near.log_sd > 0


def test_the_ratio_does_not_depend_on_the_peak_lr():
    assert extend_wsd(wsd(peak_lr=3.0), 8_000).ratio == pytest.approx(extend_wsd(wsd(), 8_000).ratio, rel=1e-9)


def test_where_no_ratio_does_it_the_reason_is_said():
    shorter = extend_wsd(wsd(), STEPS)
    assert shorter == NoExtension(reason="an extension must be longer than the 4000 updates, but got 4000.")
    far = extend_wsd(wsd(200), 200_000)
    assert isinstance(far, NoExtension)
    assert far.reason.startswith("no second stage keeps the LR of the first 160 updates the best one for 200000")


@pytest.mark.parametrize("schedule", [Schedule([0.1] * 10), build("cosine", {"peak_lr": 0.1}, steps=10)])
def test_only_wsd_schedules_can_be_extended(schedule):
    with pytest.raises(ScheduleError, match="only a schedule of the family wsd can be extended, but this is"):
        extend_wsd(schedule, 100)


def test_lrs_that_are_not_those_of_the_parameters_are_refused():
    edited = Schedule(wsd().lrs * 2, "wsd", wsd().params)
    with pytest.raises(ScheduleError, match="only a schedule of the family wsd"):
        extend_wsd(edited, 8_000)


def test_as_a_rule_the_factor_is_the_second_stages():
    said = RULE.apply(Change(old=Setting(schedule=wsd()), new=Setting(schedule=wsd(8_000))))
    longer = extend_wsd(wsd(), 8_000)
    assert said == Transfer(rules=("wsd-extension",), factor=longer.ratio, log_sd=longer.log_sd)


def test_the_rule_goes_on_with_the_same_model_and_batch():
    def asked(**new):
        old = dict.fromkeys(new, 64)
        return RULE.apply(Change(old=Setting(schedule=wsd(), **old), new=Setting(schedule=wsd(8_000), **new)))

    assert asked(batch=128) == NoTransfer(rule="wsd-extension", reason="wsd-extension goes on with the same batch.")
    assert asked(width=128, batch=8).reason == "wsd-extension goes on with the same batch and width."
    assert isinstance(asked(batch=64, width=64), Transfer)
    shorter = RULE.apply(Change(old=Setting(schedule=wsd()), new=Setting(schedule=wsd(2_000))))
    assert shorter.reason == "an extension must be longer than the 4000 updates, but got 2000."
