"""Rules that are products of powers: token horizon, batch size, width, the Power scheduler's."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.errors import ScheduleError, UsageError
from autosched.schedules.schedule import Schedule
from autosched.transfer import DEFAULTS, RULES, Change, NoTransfer, Setting, Transfer, get_rule, transferred
from autosched.transfer.power_rules import BATCH_LINEAR, BATCH_SQRT, MUP_WIDTH, POWER_SCHEDULER, TOKEN_HORIZON

POWERS = (TOKEN_HORIZON, BATCH_SQRT, BATCH_LINEAR, POWER_SCHEDULER, MUP_WIDTH)


def setting(steps=1_000, batch=None, width=None):
    return Setting(schedule=Schedule([0.1] * steps), batch=batch, width=width)


def change(steps=(1_000, 1_000), batch=(64, 64), width=(256, 256)):
    old, new = (setting(*values) for values in zip(steps, batch, width, strict=True))
    return Change(old=old, new=new)


def factor(rule, **changed):
    said = rule.apply(change(**changed))
    assert isinstance(said, Transfer)
    return said.factor


def test_twice_the_tokens_lower_the_lr_by_the_published_power():
    assert factor(TOKEN_HORIZON, steps=(1_000, 2_000)) == pytest.approx(2**-0.32, rel=1e-12)


def test_tokens_are_updates_times_batch():
    assert factor(TOKEN_HORIZON, steps=(1_000, 500), batch=(64, 128)) == 1.0
    unknown = TOKEN_HORIZON.apply(Change(old=setting(1_000), new=setting(4_000)))
    assert unknown.factor == pytest.approx(4**-0.32, rel=1e-12)


def test_the_batch_size_counts_by_its_root_for_adam_and_itself_for_sgd():
    assert factor(BATCH_SQRT, batch=(64, 256)) == pytest.approx(2.0, rel=1e-12)
    assert factor(BATCH_LINEAR, batch=(64, 256)) == pytest.approx(4.0, rel=1e-12)


def test_the_power_schedulers_rule_reproduces_its_papers_example():
    """Section 3.2: 10 trillion tokens at batch 1024 give 0.0011 by 4.6 * 1024 * tokens**-0.51."""
    tokens = {"old": 64e9, "new": 10e12}
    lr = {name: 4.6 * 1024 * count**-0.51 for name, count in tokens.items()}
    steps = (6_400, 1_000_000)
    assert lr["new"] == pytest.approx(0.0011, rel=0.03)
    found = factor(POWER_SCHEDULER, steps=steps, batch=(1024, 1024))
    assert found == pytest.approx(lr["new"] / lr["old"], rel=1e-9)


def test_the_power_schedulers_rule_is_linear_in_the_batch_at_equal_tokens():
    assert factor(POWER_SCHEDULER, steps=(8_000, 1_000), batch=(64, 512)) == pytest.approx(8.0, rel=1e-12)


def test_twice_the_width_halves_the_lr_of_hidden_matrices():
    assert factor(MUP_WIDTH, width=(256, 512)) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("rule", POWERS, ids=lambda rule: rule.name)
@given(first=st.floats(0.2, 5), second=st.floats(0.2, 5))
def test_two_changes_in_a_row_are_one_and_back_again_is_none(rule, first, second):
    def scaled(ratio):
        return setting(round(1_000 * ratio), batch=64 * ratio, width=256 * ratio)

    a, b, c = scaled(1.0), scaled(first), scaled(first * second)
    steps = [rule.apply(Change(old=old, new=new)).factor for old, new in ((a, b), (b, c), (a, c), (c, a))]
    assert steps[0] * steps[1] == pytest.approx(steps[2], rel=1e-9)
    assert steps[2] * steps[3] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("rule", POWERS, ids=lambda rule: rule.name)
def test_no_change_is_certain_and_a_farther_one_is_less_so(rule):
    same, near, far = (
        rule.apply(change(steps=(1_000, 1_000 * k), batch=(64, 64 * k), width=(256, 256 * k))) for k in (1, 2, 4)
    )
    assert (same.factor, same.log_sd) == (1.0, 0.0)
    assert 0 < near.log_sd < far.log_sd


@pytest.mark.parametrize(
    ("rule", "changed", "says"),
    [
        (TOKEN_HORIZON, {"steps": (100, 10_000)}, "token-horizon was studied for tokens up to 32 times apart"),
        (MUP_WIDTH, {"width": (16, 2_048)}, "mup-width was studied for width up to 64 times apart, .* 128 times apart"),
        (POWER_SCHEDULER, {"batch": (16, 1_024)}, "power-scheduler was studied for batch up to 32 times apart"),
        (BATCH_SQRT, {"batch": (16, 32)}, "holds below the critical batch size, which was not given"),
        (
            replace(BATCH_SQRT, critical_batch=1_000.0),
            {"batch": (512, 2_048)},
            "holds below the critical batch size 1000, but a batch is 2048",
        ),
    ],
)
def test_a_change_beyond_what_was_studied_is_warned_of(rule, changed, says):
    (warning,) = rule.apply(change(**changed)).warnings
    assert re.search(says, warning)


def test_a_change_within_what_was_studied_is_not_warned_of():
    below = replace(BATCH_SQRT, critical_batch=1_000.0)
    for rule, changed in (
        (TOKEN_HORIZON, {"steps": (1_000, 30_000)}),
        (below, {"batch": (128, 512)}),
        (MUP_WIDTH, {"width": (128, 4_096)}),
    ):
        assert rule.apply(change(**changed)).warnings == ()


def test_what_a_rule_must_know_is_said():
    said = MUP_WIDTH.apply(Change(old=setting(), new=setting()))
    assert said == NoTransfer(rule="mup-width", reason="mup-width needs the width of both runs.")
    assert isinstance(BATCH_SQRT.apply(Change(old=setting(), new=setting())), NoTransfer)


def test_rules_of_different_axes_multiply_and_their_variances_add():
    both = change(steps=(1_000, 4_000), batch=(64, 64), width=(256, 512))
    parts = [rule.apply(both) for rule in (TOKEN_HORIZON, MUP_WIDTH)]
    said = transferred(both, [TOKEN_HORIZON, MUP_WIDTH])
    assert said.rules == ("token-horizon", "mup-width")
    assert said.factor == pytest.approx(parts[0].factor * parts[1].factor, rel=1e-12)
    assert said.log_sd == pytest.approx(math.hypot(parts[0].log_sd, parts[1].log_sd), rel=1e-12)
    assert transferred(both, []) == Transfer(rules=(), factor=1.0, log_sd=0.0)


def test_the_reason_of_a_rule_that_says_nothing_goes_through():
    said = transferred(Change(old=setting(), new=setting()), [TOKEN_HORIZON, MUP_WIDTH])
    assert said == NoTransfer(rule="mup-width", reason="mup-width needs the width of both runs.")


def test_two_rules_for_one_axis_are_refused():
    with pytest.raises(UsageError, match="batch-sqrt and power-scheduler both cover the batch: take one of them"):
        transferred(change(), [BATCH_SQRT, POWER_SCHEDULER])


def test_every_rule_says_what_it_is_and_every_axis_has_one():
    for name, rule in RULES.items():
        assert get_rule(name) is rule
        assert rule.name == name
        assert all(len(text) > 5 for text in (rule.formula, rule.validity, rule.source))
    for axis, rule in DEFAULTS.items():
        assert rule.axes == {axis}
    with pytest.raises(UsageError, match=r"rule must be one of token-horizon, convex-bound, .* but got 'magic'"):
        get_rule("magic")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ({"batch": 64}, {}, "batch must be given for both runs or for none, but got 64 and unknown"),
        ({}, {"width": 64}, "width must be given for both runs or for none, but got unknown and 64"),
    ],
)
def test_what_only_one_run_says_is_refused(old, new, says):
    with pytest.raises(UsageError, match=says):
        Change(old=setting(**old), new=setting(**new))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="batch must be finite and > 0, but got 0"):
        setting(batch=0)
    with pytest.raises(UsageError, match="width must be finite and > 0, but got nan"):
        setting(width=math.nan)
    with pytest.raises(ScheduleError, match="a schedule of zeros has no peak LR"):
        Setting(schedule=Schedule([0.0]))
