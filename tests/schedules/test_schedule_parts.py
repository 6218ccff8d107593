"""Any warmup goes with any body and any cooldown: new families are new parts, not new code for old ones."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import build, family_names, get_family
from autosched.schedules.decays import decay_body
from autosched.schedules.parameter import FINAL_LR_RATIO, PEAK_LR
from autosched.schedules.parts import LINEAR_WARMUP, NO_WARMUP, Body, Parts, Warmup
from autosched.schedules.pieces import Piece
from autosched.schedules.progress import cosine
from autosched.schedules.wsd import COOLDOWN

SQUARED_WARMUP = Warmup(
    parameters=LINEAR_WARMUP.parameters,
    steps=LINEAR_WARMUP.steps,
    rise=lambda params, updates: lambda i: np.square((i + 1) / updates),
)
INVERSE_SQRT_BODY = Body(
    parameters=(PEAK_LR,),
    pieces=lambda params, start, steps: [Piece(steps - start, lambda j: params["peak_lr"] / np.sqrt(j + 1))],
    non_increasing=True,
)
PARAMS = {"peak_lr": 0.5, "warmup_steps": 5, "cooldown_fraction": 0.25}


def lrs_of(family, params, *, steps):
    return family.lrs(family.complete(params, steps=steps), steps)


def put_together(**parts):
    return Parts(**parts).family("mine", summary="a test's own", source="this test")


def test_a_cooldown_falls_from_the_lr_the_body_has_where_it_starts():
    family = put_together(body=INVERSE_SQRT_BODY, cooldown=COOLDOWN)
    lrs = lrs_of(family, PARAMS, steps=20)
    body = 0.5 / np.sqrt(np.arange(1, 16))
    np.testing.assert_array_equal(lrs[5:15], body[:10])
    np.testing.assert_allclose(lrs[15:], body[10] * np.array([1, 0.8, 0.6, 0.4, 0.2]), rtol=1e-15)


def test_another_warmup_changes_the_warmup_alone():
    plain = put_together(body=INVERSE_SQRT_BODY, cooldown=COOLDOWN)
    squared = put_together(body=INVERSE_SQRT_BODY, cooldown=COOLDOWN, warmup=SQUARED_WARMUP)
    a, b = lrs_of(plain, PARAMS, steps=20), lrs_of(squared, PARAMS, steps=20)
    np.testing.assert_array_equal(a[5:], b[5:])
    np.testing.assert_allclose(b[:5], 0.5 * (np.arange(1, 6) / 5) ** 2, rtol=1e-15)


def test_the_stable_phase_is_what_warmup_and_body_make():
    family = put_together(body=INVERSE_SQRT_BODY, cooldown=COOLDOWN)
    assert family.stable_parameters == {"peak_lr", "warmup_steps"}
    assert family.stable_steps(family.complete(PARAMS, steps=20), 20) == 15


def test_a_family_without_a_cooldown_has_no_stable_phase():
    family = put_together(body=INVERSE_SQRT_BODY)
    assert family.stable_parameters == frozenset()
    assert family.stable_steps(family.complete({"peak_lr": 0.1}, steps=20), 20) == 0


def test_a_family_without_a_warmup_has_no_such_parameter():
    family = put_together(body=INVERSE_SQRT_BODY, warmup=NO_WARMUP)
    assert list(family.parameters) == ["peak_lr"]
    with pytest.raises(ScheduleError, match=r"^mine has no parameter 'warmup_steps'; it has peak_lr\.$"):
        family.complete({"peak_lr": 0.1, "warmup_steps": 2}, steps=20)


def test_parts_that_use_one_name_for_two_things_are_refused():
    with pytest.raises(ValueError, match="mine: two parts have a parameter final_lr_ratio; rename one"):
        put_together(body=decay_body(cosine), cooldown=COOLDOWN)


def test_a_cosine_that_is_cooled_down_at_its_end_needs_two_final_lrs():
    body_final = replace(FINAL_LR_RATIO, name="body_final_ratio", default=0.5)
    family = put_together(body=decay_body(cosine, final=body_final), cooldown=COOLDOWN)
    lrs = lrs_of(family, {**PARAMS, "final_lr_ratio": 0.1}, steps=20)
    whole = build("cosine", {"peak_lr": 0.5, "warmup_steps": 5, "final_lr_ratio": 0.5}, steps=20).lrs
    np.testing.assert_array_equal(lrs[:16], whole[:16])
    np.testing.assert_allclose(lrs[15:], whole[15] * np.array([1, 0.82, 0.64, 0.46, 0.28]), rtol=1e-15)


# -- floors -----------------------------------------------------------------------------------------------------------

FALLING = [name for name in family_names() if get_family(name).non_increasing and get_family(name).ramp is None]
"""Not those whose batch rises in place of a fall to a floor."""


@pytest.mark.parametrize("peak", [1e-4, 0.02])
def test_a_floor_that_is_reached_before_the_end_stays_where_it_is_when_the_peak_moves(peak):
    """nanoGPT's schedule, but for its warmup, out of parts."""
    floor = {"decay_steps": 80, "min_lr": 3e-5}
    ramp = {"warmup_steps": 10, "warmup_shape": "ramp", "warmup_start_ratio": 1 / 11}
    lrs = build("cosine", {"peak_lr": peak, **ramp, **floor}, steps=100).lrs
    recipe = {"warmup_iters": 10, "lr_decay_iters": 80, "min_lr": 3e-5}
    np.testing.assert_allclose(lrs, build("nanogpt", {"peak_lr": peak, **recipe}, steps=100).lrs, rtol=1e-12)
    assert (lrs[80:] == 3e-5).all()


def test_a_decay_has_ended_on_the_last_update_where_its_end_is_one_before():
    lrs = build("linear", {"peak_lr": 1.0, "warmup_steps": 2, "decay_steps": 9, "final_lr_ratio": 0.25}, steps=10).lrs
    np.testing.assert_allclose(lrs[2:], np.linspace(1, 0.25, 8), rtol=1e-15)


def test_stairs_keep_the_lr_that_their_first_update_has_through_warmup_decay_and_floor():
    params = {"peak_lr": 0.3, "warmup_steps": 11, "cooldown_fraction": 0.5, "decay_steps": 83, "min_lr": 0.01}
    smooth = build("wsd", params, steps=100).lrs
    stairs = build("wsd", {**params, "stair_steps": 7}, steps=100).lrs
    np.testing.assert_array_equal(stairs, smooth[7 * (np.arange(100) // 7)])


@pytest.mark.parametrize("family", FALLING)
def test_every_fall_ends_at_the_absolute_floor_and_begins_at_the_peak(family):
    params = {"peak_lr": 0.2, "warmup_steps": 5, "decay_steps": 50, "cooldown_shape": "linear"}
    to_zero = {} if family == "wsd" else {"cooldown_final_ratio": 0.0}
    lrs = build(family, {**params, **to_zero, "min_lr": 0.003}, steps=60).lrs
    assert lrs[5] == lrs.max() == 0.2
    np.testing.assert_allclose(lrs[50:], 0.003, rtol=1e-12)


def test_a_cooldown_shares_what_comes_before_it_with_other_cooldowns_under_a_floor():
    params = {"peak_lr": 0.2, "warmup_steps": 5, "decay_steps": 50, "min_lr": 0.003}
    short, long = (build("wsd", {**params, "cooldown_fraction": share}, steps=60) for share in (0.1, 0.5))
    assert short.common_steps(long) == get_family("wsd").stable_steps(long.params, 60) + 1 == 26


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"decay_steps": 5}, r"cosine\.decay_steps must be 0 or above warmup_steps \(5\), but got 5\."),
        ({"min_lr": 0.3}, r"cosine\.min_lr must be <= peak_lr \(0\.2\), but got 0\.3\."),
        ({"stair_steps": 0}, r"cosine\.stair_steps must be a whole number >= 1, but got 0\."),
    ],
)
def test_a_floor_that_cannot_be_is_refused(params, says):
    with pytest.raises(ScheduleError, match=says):
        build("cosine", {"peak_lr": 0.2, "warmup_steps": 5, **params}, steps=60)


def test_a_family_that_has_no_peak_has_no_absolute_floor_beside_it():
    assert "min_lr" not in get_family("piecewise").parameters
    assert "decay_steps" in get_family("piecewise").parameters
