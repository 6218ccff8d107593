"""Options of ``controller: {use: law, …}``."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from autosched.errors import SpaceError
from autosched.search.priors import PILOT_MOST_SHARE

RENAMED = {"short_runs": "pilots", "short_share": "pilot_share"}
"""Options by the names of earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawOptions:
    """How a law-guided search goes about it.

    Attributes:
        pilots: short pilot runs with a cooldown that are made first, in a space with ranges; 0 for the design instead.
        pilot_share: how long these are, as a share of the horizon; in whole segments.
        design: trials of different peak LRs that are trained a little first where there are no pilots, as in a
            space that lists its candidates.
        design_share: how far these are trained, as a share of the horizon.
        pool: points of the space that are weighed at every decision.
        near: further ones, near the best and branching off stable phases that exist.
        draws: joint draws of all candidates' final losses.
        tolerance: final losses this near to the best, relative, count as equally good; at least what an evaluation
            scatters by.
        stretch: share of the horizon that a trial is trained after its start or resumption before it may be paused.
        patience: another candidate must promise this many times more per update before a running trial is paused.
        trusted: error of the law on left-out curves, or five times the scatter of an evaluation (both log loss), above
            which it is not followed before it has seen a whole run, one in the middle of the space.
    """

    pilots: int = 3
    pilot_share: float = 0.1
    design: int = 2
    design_share: float = 0.2
    pool: int = 160
    near: int = 32
    draws: int = 400
    tolerance: float = 7e-4
    stretch: float = 0.08
    patience: float = 1.0
    trusted: float = 0.015

    def __post_init__(self) -> None:
        for name in ("design", "pool", "draws"):
            self._check(name, isinstance(getattr(self, name), int) and getattr(self, name) >= 1, "a whole number >= 1")
        runs = self.pilots
        self._check("pilots", isinstance(runs, int) and (runs == 0 or runs >= 3), "0, or a whole number >= 3")
        self._check("pilot_share", 0 < self.pilot_share <= PILOT_MOST_SHARE, f"in (0, {PILOT_MOST_SHARE:g}]")
        self._check("near", isinstance(self.near, int) and self.near >= 0, "a whole number >= 0")
        self._check("design_share", 0 < self.design_share <= 1, "in (0, 1]")
        self._check("stretch", 0 <= self.stretch <= 1, "in [0, 1]")
        self._check("tolerance", 0 <= self.tolerance < 1, "in [0, 1)")
        self._check("patience", self.patience >= 1, ">= 1")
        self._check("trusted", 0 <= self.trusted < math.inf, "finite and >= 0")

    def _check(self, name: str, right: bool, rule: str) -> None:
        if not right:
            raise SpaceError(f"controller law: {name} must be {rule}, but got {getattr(self, name)!r}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LawOptions:
        """From a space file's mapping.

        Raises:
            SpaceError: an unknown name, or a value that is no number or out of range.
        """
        for name in options.keys() & RENAMED.keys():
            raise SpaceError(f"controller law: {name} is called {RENAMED[name]} now.")
        check_numbers("controller law", options, {field.name for field in fields(cls)})
        return cls(**options)


def check_numbers(what: str, options: Mapping[str, Any], allowed: Collection[str]) -> None:
    """That options are numbers of allowed names.

    Raises:
        SpaceError: one is not.
    """
    for name, value in options.items():
        if name not in allowed:
            raise SpaceError(f"{what} has no option {name!r}; it has {', '.join(sorted(allowed))}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SpaceError(f"{what}: {name} must be a number, but got {value!r}.")
