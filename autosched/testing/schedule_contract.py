"""The suite every schedule `Family` passes, over parameters drawn by hypothesis from the family's own records.

Subclass it in a test file and name the family; give the inputs yourself where the parameters hang together in a way
the records cannot say::

    class TestMyFamily(FamilyContract):
        family = MY_FAMILY

    class TestMyOtherFamily(FamilyContract):
        family = MY_OTHER_FAMILY
        inputs = strategy_of_params_and_steps

Each promise is also a function of its own, ``(family, params, steps)``, for single cases. Needs the `test` extra.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autosched.schedules.family import Family
from autosched.schedules.parameter import Parameter, Params
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule

Inputs = tuple[dict[str, ParameterValue], int]
Promise = Callable[[Family, Params, int], None]
MAX_STEPS = 300
ROUNDING = 1e-12
"""Relative slack where two different float64 computations of one number are compared."""


def family_inputs(family: Family) -> st.SearchStrategy[Inputs]:
    """Parameters a family accepts, and a number of updates; parameters with a default are left out half of the time."""

    @st.composite
    def draw_inputs(draw: st.DrawFn) -> Inputs:
        steps = draw(st.integers(1, MAX_STEPS))
        params = _drawn(draw, family, steps)
        assume(family.fault(_with_defaults(family, params), steps) is None)
        return params, steps

    return draw_inputs()


def _drawn(draw: st.DrawFn, family: Family, steps: int) -> dict[str, ParameterValue]:
    params: dict[str, ParameterValue] = {}
    for name, parameter in family.parameters.items():
        exists = parameter.exists(_with_defaults(family, params))
        if exists and (parameter.required or draw(st.booleans())):
            params[name] = draw(parameter_values(parameter, steps))
    return params


def _with_defaults(family: Family, params: Params) -> dict[str, ParameterValue]:
    """`params` with the defaults of those that exist."""
    complete: dict[str, ParameterValue] = {}
    for name, parameter in family.parameters.items():
        if name in params:
            complete[name] = params[name]
        elif parameter.default is not None and parameter.exists(complete):
            complete[name] = parameter.default
    return complete


def parameter_values(parameter: Parameter, steps: int) -> st.SearchStrategy[Any]:
    """Allowed values of one parameter; counts of updates stay below `steps`."""
    if parameter.kind == "choice":
        return st.sampled_from(parameter.choices)
    if parameter.kind == "text":
        return st.text(min_size=1, max_size=50).filter(str.strip)
    low = parameter.low if math.isfinite(parameter.low) else -1e6
    high = parameter.high if math.isfinite(parameter.high) else 1e6
    if parameter.kind == "integer":
        return st.integers(math.ceil(low), max(math.ceil(low), min(math.floor(high), steps - 1)))
    numbers = st.floats(
        low, high, exclude_min=parameter.low_open, exclude_max=parameter.high_open, allow_subnormal=False
    )
    return numbers if parameter.kind == "float" else st.lists(numbers, min_size=parameter.min_length, max_size=20)


def make(family: Family, params: Params, steps: int) -> Schedule:
    """What ``build`` makes, for a family that need not be registered."""
    complete = family.complete(params, steps=steps)
    return Schedule(family.lrs(complete, steps), family.name, complete)


def assert_every_update_has_a_sound_lr(family: Family, params: Params, steps: int) -> None:
    """Exact length, float64, finite, never negative."""
    lrs = family.lrs(family.complete(params, steps=steps), steps)
    assert lrs.dtype == np.float64
    assert lrs.shape == (steps,)
    assert np.isfinite(lrs).all()
    assert (lrs >= 0).all()


def assert_the_parameters_say_it_all(family: Family, params: Params, steps: int) -> None:
    """Complete parameters are stable, hold what was given, and rebuild the same bits."""
    given_before = dict(params)
    schedule = make(family, params, steps)
    again = make(family, schedule.params, steps)
    assert again == schedule
    assert again.params == schedule.params
    assert params == given_before
    assert all(schedule.params[name] == value for name, value in params.items())


def assert_json_keeps_every_bit(family: Family, params: Params, steps: int) -> None:
    """The JSON round trip keeps the array's bytes, the family and the parameters."""
    schedule = make(family, params, steps)
    read = Schedule.from_json(schedule.to_json())
    assert read.lrs.tobytes() == schedule.lrs.tobytes()
    assert (read.family, read.params) == (schedule.family, schedule.params)


def assert_prefixes_are_consistent(family: Family, params: Params, steps: int) -> None:
    """A prefix has the first LRs, the prefix fingerprint as its own, and is shared to its last update."""
    schedule = make(family, params, steps)
    for length in {1, (steps + 1) // 2, steps}:
        prefix = schedule.prefix(length)
        assert prefix.lrs.tobytes() == schedule.lrs[:length].tobytes()
        assert prefix.fingerprint == schedule.prefix_fingerprint(length)
        assert prefix.common_steps(schedule) == length


def assert_equal_curves_are_one(family: Family, params: Params, steps: int) -> None:
    """A bare array with the same LRs is equal, hashes equally and has the same fingerprint."""
    schedule = make(family, params, steps)
    bare = Schedule(schedule.lrs.tolist())
    assert bare == schedule
    assert hash(bare) == hash(schedule)
    assert bare.fingerprint == schedule.fingerprint


def assert_the_warmup_rises_to_the_peak(family: Family, params: Params, steps: int) -> None:
    """``lrs[i] = lrs[W] * (i + 1) / W`` for i < W unless another shape was asked for, which never falls either; no LR
    is above ``peak_lr`` (but for rounding in a recipe), and a falling family starts with it.
    """
    schedule = make(family, params, steps)
    lrs, warmup_steps = schedule.lrs, _warmup_steps(family, schedule)
    if schedule.params.get("warmup_shape", "linear") == "linear" and "stair_steps" not in schedule.params:
        rise = lrs[warmup_steps] * np.arange(1, warmup_steps + 1) / max(warmup_steps, 1)
        np.testing.assert_allclose(lrs[:warmup_steps], rise, rtol=ROUNDING, atol=0)
    assert (np.diff(lrs[: warmup_steps + 1]) >= 0).all()
    peak_lr = schedule.params.get("peak_lr")
    if isinstance(peak_lr, float):
        assert schedule.peak_lr <= peak_lr * (1 + ROUNDING * family.recipe)
        if family.non_increasing and "stair_steps" not in schedule.params:
            assert lrs[warmup_steps] == peak_lr


def assert_the_joins_are_continuous(family: Family, params: Params, steps: int) -> None:
    """The warmup ends within one update's rise of where the body starts; the cooldown starts with the body's LR."""
    schedule = make(family, params, steps)
    lrs, warmup_steps = schedule.lrs, _warmup_steps(family, schedule)
    if "stair_steps" in schedule.params:
        return
    if warmup_steps:
        assert lrs[warmup_steps] - lrs[warmup_steps - 1] <= lrs[warmup_steps] * (1 / warmup_steps + ROUNDING)
    start = family.stable_steps(schedule.params, steps)
    if "cooldown_fraction" in schedule.params and start < steps - 1:
        shortest = make(family, {**schedule.params, "cooldown_fraction": 1e-9}, steps)
        assert _bits(lrs[: start + 1]) == _bits(shortest.lrs[: start + 1])


def assert_the_lr_falls_where_promised(family: Family, params: Params, steps: int) -> None:
    """A family that promises it never rises after the warmup, and stays between the peak and the final LR; a cooldown
    never rises, whatever it follows.
    """
    schedule = make(family, params, steps)
    cooldown = (
        schedule.lrs[_next_stair(schedule, family.stable_steps(schedule.params, steps)) :]
        if family.stable_parameters
        else schedule.lrs[:0]
    )
    assert (cooldown[1:] <= cooldown[:-1] * (1 + ROUNDING)).all()
    after = schedule.lrs[_next_stair(schedule, _warmup_steps(family, schedule)) :]
    if not family.non_increasing or not after.size:
        return
    assert (after[1:] <= after[:-1] * (1 + ROUNDING)).all()
    ratio, peak_lr = schedule.params.get("final_lr_ratio"), schedule.params.get("peak_lr")
    if isinstance(ratio, float) and isinstance(peak_lr, float):
        further = schedule.params.get("cooldown_final_ratio", 1.0)
        assert isinstance(further, float)
        assert after[-1] >= ratio * further * peak_lr * (1 - ROUNDING)


def assert_a_resumed_run_goes_on_the_same(family: Family, params: Params, steps: int) -> None:
    """At any step, what is rebuilt from a file and its parameters is the schedule that was used so far and goes on."""
    schedule = make(family, params, steps)
    rebuilt = make(family, Schedule.from_json(schedule.to_json()).params, steps)
    for step in {1, steps // 3 + 1, steps}:
        assert rebuilt.prefix_fingerprint(step) == schedule.prefix_fingerprint(step)
        assert _bits(np.concatenate([schedule.lrs[:step], rebuilt.lrs[step:]])) == _bits(schedule.lrs)


def assert_the_stable_phase_ignores_the_cooldown(family: Family, params: Params, steps: int) -> None:
    """Without the cooldown's parameters (their defaults instead) the two have a bit-equal stable phase in common."""
    complete = family.complete(params, steps=steps)
    stable = family.stable_steps(complete, steps)
    assert 0 <= stable <= steps
    assert family.stable_parameters <= set(family.parameters)
    assert bool(family.stable_parameters) or stable == 0
    if stable == 0:
        return
    other = family.complete(
        {name: complete[name] for name in family.stable_parameters if name in complete}, steps=steps
    )
    shared = min(stable, family.stable_steps(other, steps))
    assert _bits(family.lrs(complete, steps)[:shared]) == _bits(family.lrs(other, steps)[:shared])


def _warmup_steps(family: Family, schedule: Schedule) -> int:
    """Updates before the body; a recipe's warmup is its code's, and promises nothing."""
    warmup_steps = 0 if family.recipe else schedule.params.get("warmup_steps", 0)
    assert isinstance(warmup_steps, int)
    return warmup_steps


def _next_stair(schedule: Schedule, update: int) -> int:
    """The first update from `update` on at which the LR may change."""
    stair = schedule.params.get("stair_steps", 1)
    assert isinstance(stair, int)
    return -(-update // stair) * stair


def _bits(lrs: FloatArray) -> bytes:
    return lrs.tobytes()


PROMISES: tuple[Promise, ...] = (
    assert_every_update_has_a_sound_lr,
    assert_the_parameters_say_it_all,
    assert_json_keeps_every_bit,
    assert_prefixes_are_consistent,
    assert_equal_curves_are_one,
    assert_the_warmup_rises_to_the_peak,
    assert_the_joins_are_continuous,
    assert_the_lr_falls_where_promised,
    assert_the_stable_phase_ignores_the_cooldown,
    assert_a_resumed_run_goes_on_the_same,
)


class FamilyContract:
    """All promises; see the module's text."""

    family: ClassVar[Family]
    inputs: ClassVar[st.SearchStrategy[Inputs] | None] = None
    examples: ClassVar[int] = 100

    def test_the_family_keeps_every_promise(self) -> None:
        """Length, signs, completeness, JSON, prefixes, fingerprints, warmup, joins, fall, over drawn inputs."""
        family = self.family
        inputs = family_inputs(family) if self.inputs is None else self.inputs

        @settings(max_examples=self.examples, deadline=None, derandomize=True, database=None)
        @given(inputs)
        def keeps_every_promise(drawn: Inputs) -> None:
            for promise in PROMISES:
                promise(family, *drawn)

        keeps_every_promise()

    def test_the_parameters_describe_themselves(self) -> None:
        """Each parameter is listed under its own name, with a meaning, and depends only on those listed before it."""
        seen: set[str] = set()
        for name, parameter in self.family.parameters.items():
            assert parameter.name == name
            assert parameter.meaning
            assert set(parameter.when) <= seen
            for other, values in parameter.when.items():
                asked = self.family.parameters[other]
                assert not asked.implied or asked.default not in values, "absent, it must not bring others with it"
            seen.add(name)
        assert self.family.summary
        assert self.family.source
