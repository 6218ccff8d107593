"""Bounds that are ``auto``: found by an LR range test when the study starts.

    schedule:
      wsd:
        peak_lr: auto                   # both bounds, on a log scale; or {low: auto, high: 0.1}
    range_test: {low: 1e-6, high: 10, steps: 200}   # these are the defaults; it costs `steps` updates at most

Only a peak LR may have them: that is what a range test bounds. In a space that was read and not yet started, the
family's own search bounds stand in their place, so that everything that looks at a space can look at this one.
"""

from __future__ import annotations

from dataclasses import replace

from autosched.curves.range_test import REACH, Sweep
from autosched.errors import UsageError
from autosched.schedules import Parameter
from autosched.schedules.parameter import PEAK_LR
from autosched.space.document import KeyPath, shown
from autosched.space.records import Budget, Range, SearchParameter, Space
from autosched.space.section import Faults, Section, dotted

AUTO = "auto"


def may_be_auto(parameter: Parameter) -> bool:
    """Whether a range test can find this parameter's bounds."""
    return parameter.name == PEAK_LR.name


def auto_range(parameter: Parameter, *, low: float | None, high: float | None) -> Range:
    """A range with the bounds that are None still to be found; both lie around the family's own meanwhile."""
    own_low, own_high = parameter.search_low or 1.0 / REACH, parameter.search_high or 1.0
    return Range(
        low=min(own_low, (high or own_high) / REACH) if low is None else low,
        high=max(own_high, (low or own_low) * REACH) if high is None else high,
        log=True,
        auto_low=low is None,
        auto_high=high is None,
    )


def refuse_auto(parameter: Parameter, path: KeyPath, faults: Faults) -> None:
    """Note that a parameter that is no peak LR was given ``auto``."""
    message = f"must be {parameter.rule}, but got {AUTO!r}: a range test finds bounds of {PEAK_LR.name} only."
    faults.add(path, f"{dotted(path)} {message}")


def auto_bounds(space: Space) -> list[tuple[str, Range]]:
    """The ranges with a bound still to be found, by the name of their family."""
    return [
        (family.family, parameter.domain)
        for family in space.schedule
        for parameter in family.parameters.values()
        if isinstance(parameter.domain, Range) and (parameter.domain.auto_low or parameter.domain.auto_high)
    ]


def has_auto_bounds(space: Space) -> bool:
    """Whether a range test must run before the space can be searched."""
    return bool(auto_bounds(space))


def conflict(space: Space, low: float, high: float) -> str | None:
    """Why these bounds do not go with those that were written; None when they do."""
    for family, domain in auto_bounds(space):
        found = _filled(domain, low, high)
        if found.low >= found.high:
            written, bound = (domain.high, "below") if domain.auto_low else (domain.low, "above")
            return (
                f"the range test suggests {PEAK_LR.name} from {low:.3g} to {high:.3g}, and none of it is {bound} the "
                f"bound of {family} ({written:g}); write both bounds, or let both be {AUTO}."
            )
    return None


def with_bounds(space: Space, low: float, high: float) -> Space:
    """The space with all bounds that were ``auto`` filled in; see :func:`conflict`."""

    def filled(parameter: SearchParameter) -> SearchParameter:
        domain = parameter.domain
        return replace(parameter, domain=_filled(domain, low, high)) if isinstance(domain, Range) else parameter

    families = tuple(
        replace(family, parameters={name: filled(parameter) for name, parameter in family.parameters.items()})
        for family in space.schedule
    )
    return replace(space, schedule=families)


def _filled(domain: Range, low: float, high: float) -> Range:
    return replace(
        domain,
        low=low if domain.auto_low else domain.low,
        high=high if domain.auto_high else domain.high,
        auto_low=False,
        auto_high=False,
    )


def read_sweep(top: Section) -> Sweep:
    """The ``range_test`` key; the default sweep when it is missing or faulty."""
    default = Sweep()
    if not top.has("range_test"):
        return default
    section = top.section("range_test", form="a mapping like {low: 1e-6, high: 10, steps: 200}")
    low = section.number("low", above_zero=True, default=default.low)
    high = section.number("high", above_zero=True, default=default.high)
    steps = section.integer("steps", at_least=1, default=default.steps)
    section.close()
    try:
        return Sweep(low=low, high=high, steps=steps)
    except UsageError as error:
        name = next((name for name in ("low", "steps") if f"range test: {name} " in str(error)), None)
        path = ("range_test",) if name is None else ("range_test", name)
        top.faults.add(path, str(error).replace("range test: ", "range_test.", 1))
        return default


def check_use(space: Space, top: Section) -> None:
    """Note a ``range_test`` that nothing needs, and a budget that leaves no full run beside it."""
    if not has_auto_bounds(space):
        if top.has("range_test"):
            message = f"range_test finds bounds that are {AUTO}, but this space has none: write peak_lr: {AUTO}."
            top.faults.add(("range_test",), message, at_key=True)
        return
    needed = space.horizon_steps + space.range_test.steps
    if space.budget.steps is not None and space.budget.steps < needed:
        _small_budget(top, space.budget, f"{needed} updates, a full run and the range test's {space.range_test.steps}")


def _small_budget(top: Section, budget: Budget, needed: str) -> None:
    written = top.data.get("budget")
    key = next((key for key in ("steps", "full_runs") if isinstance(written, dict) and key in written), "steps")
    message = f"budget.{key} must leave room for {needed}, but got {shown(budget.steps)} updates."
    top.faults.add(("budget", key), message, related=[("horizon_steps",), ("range_test", "steps")])
