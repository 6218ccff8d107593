"""Conditions: a parameter may exist only when others have certain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autosched.errors import ScheduleError
from autosched.schedules import Family
from autosched.schedules.schedule import ParameterValue
from autosched.space.document import KeyPath, shown
from autosched.space.domains import endpoints
from autosched.space.records import Range, SearchParameter
from autosched.space.section import Faults, closest, dotted

When = dict[str, tuple[ParameterValue, ...]]


class Conditions:
    """Reads and merges the conditions of one family's parameters.

    Args:
        family: its own conditions (``cooldown_power`` exists only for the power shape) always hold.
        known: the parameters read so far, in the family's order; a condition may look at these only.
    """

    def __init__(self, family: Family, known: Mapping[str, SearchParameter], faults: Faults) -> None:
        self._family, self._known, self._faults = family, known, faults

    def own(self, name: str) -> When | None:
        """The family's condition on `name` as far as this space can meet it; None when it never can."""
        return self._narrowed(dict(self._family.parameters[name].when))

    def written(self, name: str, when: Any, path: KeyPath) -> When | None:
        """A ``when`` mapping of a space, merged with the family's own condition; None after a fault."""
        own = self.own(name)
        if own is None:
            self._faults.add(path, f"{dotted(path[:-1])} can never exist here: {self._never(name)}.")
            return None
        if not isinstance(when, dict) or not when:
            rule = "a mapping of another parameter to its values, like {cooldown_shape: power}"
            self._faults.add(path, f"{dotted(path)} must be {rule}, but got {shown(when)}.")
            return None
        merged = dict(own)
        for other, values in when.items():
            allowed = self._values(other, values, (*path, other))
            if allowed is None:
                return None
            merged[other] = tuple(v for v in allowed if v in merged[other]) if other in merged else allowed
        narrowed = self._narrowed(merged)
        if narrowed is None:
            self._faults.add(path, f"{dotted(path)} can never hold in this space, but got {shown(when)}.")
        return narrowed

    def _never(self, name: str) -> str:
        when = self._family.parameters[name].when
        wanted = " and ".join(f"{other} is {' or '.join(map(str, values))}" for other, values in when.items())
        return f"it needs that {wanted}, and this space draws none of these"

    def impossible(self, name: str, path: KeyPath) -> None:
        """Note that a parameter was written whose condition this space can never meet."""
        self._faults.add(path, f"{dotted(path)} can never exist here: {self._never(name)}.", at_key=True)

    def _values(self, other: str, values: Any, path: KeyPath) -> tuple[ParameterValue, ...] | None:
        if other not in self._known:
            names = ", ".join(self._known) or "none"
            hint = closest(other, self._known) or "."
            message = f"{dotted(path)} must name a parameter that comes before it, one of {names}{hint}"
            self._faults.add(path, message, at_key=True)
            return None
        if isinstance(self._known[other].domain, Range):
            self._faults.add(
                path, f"{dotted(path)} is searched in a range; a condition needs a choice or a fixed value."
            )
            return None
        listed = values if isinstance(values, list) else [values]
        try:
            return tuple(self._family.parameters[other].check(value, self._family.name) for value in listed)
        except ScheduleError:
            rule = self._family.parameters[other].rule
            self._faults.add(path, f"{dotted(path)} must be {rule}, but got {shown(values)}.")
            return None

    def _narrowed(self, when: When) -> When | None:
        narrowed: When = {}
        for other, values in when.items():
            parameter = self._known.get(other)
            possible = () if parameter is None else endpoints(parameter.domain)
            narrowed[other] = tuple(value for value in values if value in possible)
            if not narrowed[other]:
                return None
        return narrowed if self._can_hold(narrowed) else None

    def _can_hold(self, when: When) -> bool:
        """Whether the parameters a condition looks at can exist together with these values."""
        wanted, queue = dict(when), list(when)
        while queue:
            for other, values in self._known[queue.pop()].when.items():
                wanted[other] = tuple(value for value in values if value in wanted.get(other, values))
                if not wanted[other]:
                    return False
                queue.append(other)
        return True
