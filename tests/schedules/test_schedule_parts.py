"""Any warmup goes with any body and any cooldown: new families are new parts, not new code for old ones."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.errors import ScheduleError
from autosched.schedules import build
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
