"""The contract is worth something: each broken promise is noticed."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.schedules.constant import CONSTANT
from autosched.schedules.pieces import Piece, listed, lrs_of
from autosched.schedules.wsd import WSD
from autosched.testing import schedule_contract as contract

PARAMS = {"peak_lr": 0.1, "warmup_steps": 4}
COOLING = {**PARAMS, "cooldown_fraction": 0.5}
RAMP = {"warmup_shape": "ramp"}


def constant_with(lrs):
    return replace(CONSTANT, pieces=lambda params, steps: [listed(lrs(params, steps))])


def faulty(change):
    """The constant family with something done to its LRs."""

    def lrs(params, steps):
        return change(CONSTANT.lrs(params, steps))

    return constant_with(lrs)


def cooled_by(change):
    """WSD, which promises nothing about its body here, with something done to its cooldown."""

    def lrs(params, steps):
        made = WSD.lrs(params, steps).copy()
        start = WSD.stable_steps(params, steps)
        made[start:] = change(made[start:])
        return made

    return replace(WSD, pieces=lambda params, steps: [listed(lrs(params, steps))], non_increasing=False)


def first_lr_too_high(lrs):
    return np.where(np.arange(lrs.size) == 0, 0.09, lrs)


def jump_after_the_warmup(lrs):
    return np.where(np.arange(lrs.size) < 4, lrs, 3 * lrs)


@pytest.mark.parametrize(
    ("promise", "family", "params"),
    [
        (contract.assert_every_update_has_a_sound_lr, faulty(lambda lrs: lrs * np.nan), PARAMS),
        (contract.assert_every_update_has_a_sound_lr, faulty(lambda lrs: -lrs), PARAMS),
        (contract.assert_the_warmup_rises_to_the_peak, faulty(np.square), PARAMS),
        (contract.assert_the_warmup_rises_to_the_peak, faulty(lambda lrs: np.repeat(lrs[-1], lrs.size)), PARAMS),
        (contract.assert_the_warmup_rises_to_the_peak, faulty(first_lr_too_high), {**PARAMS, **RAMP}),
        (contract.assert_the_joins_are_continuous, faulty(jump_after_the_warmup), PARAMS),
        (contract.assert_the_joins_are_continuous, cooled_by(lambda lrs: 0.5 * lrs), COOLING),
        (contract.assert_the_lr_falls_where_promised, faulty(lambda lrs: lrs + np.arange(lrs.size)), PARAMS),
        (contract.assert_the_lr_falls_where_promised, cooled_by(lambda lrs: lrs[::-1]), COOLING),
        (
            contract.assert_the_stable_phase_ignores_the_cooldown,
            replace(WSD, stable_steps=lambda params, steps: steps),
            COOLING,
        ),
        (
            contract.assert_the_stable_phase_ignores_the_cooldown,
            replace(WSD, stable_parameters=frozenset({"peak_lr"})),
            COOLING,
        ),
    ],
)
def test_a_broken_promise_is_noticed(promise, family, params):
    with pytest.raises(AssertionError):
        promise(family, params, 20)


@pytest.mark.parametrize(
    "promise", [contract.assert_the_parameters_say_it_all, contract.assert_a_resumed_run_goes_on_the_same]
)
def test_a_family_that_gives_another_curve_each_time_is_noticed(promise):
    counter = iter(range(1, 100))
    restless = constant_with(lambda params, steps: np.full(steps, float(next(counter))))
    with pytest.raises(AssertionError):
        promise(restless, PARAMS, 20)


def test_pieces_that_do_not_cover_the_schedule_are_a_fault_of_the_family():
    with pytest.raises(ValueError, match="pieces of 7 updates for a schedule of 8"):
        lrs_of([Piece(3, 0.1), Piece(4, 0.2)], 8)
