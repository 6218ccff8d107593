"""AutoLRS in three modes beside a constant LR and a cosine tuned over a grid, at equal total updates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autosched.engine.threads import with_threads
from autosched.errors import UsageError
from autosched.schedules.registry import build
from autosched.search.autolrs import Settings
from stagewise.drive import plain, run_autolrs, run_schedule, run_searched
from stagewise.totals import longest_within
from workers.registry import make_trainer

FAITHFUL, MENDED, FAR = "autolrs faithful", "autolrs", "autolrs far-sighted"
MODES: Mapping[str, Callable[..., Settings]] = {
    FAITHFUL: Settings.published,
    MENDED: Settings,
    FAR: Settings.far_sighted,
}
SEARCHED = "searched constant"
FAMILIES: Mapping[str, Mapping[str, float]] = {"constant": {}, "cosine": {"final_lr_ratio": 0.0}}
LOOKS = 60
"""Looks at the validation loss of a run that is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What all methods have in common.

    Attributes:
        trainer, options: whose model is trained.
        total: updates of each run, search included.
        warmup: updates of the linear warmup; AutoLRS warms up to the geometric middle of the range.
        low, high: range of the LR.
        grid: LRs that the tuned schedules try, even in log LR from `low` to `high`.
        first_stage, probe_share: of the two modes that are not far-sighted, which has its own by its classmethod.
        changes: settings by mode, over all others; None takes the settings' own default.
        threads: of torch.
    """

    trainer: str
    options: Mapping[str, Any]
    total: int
    warmup: int
    low: float
    high: float
    grid: int
    first_stage: int
    probe_share: float
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int = 1

    @property
    def lrs(self) -> tuple[float, ...]:
        """Of the grid."""
        return tuple(float(lr) for lr in np.geomspace(self.low, self.high, self.grid))

    def settings(self, mode: str, seed: int) -> Settings:
        """Of a mode, with the longest run that the total has room for.

        Raises:
            UsageError: the total is too small, or a change is not allowed.
        """
        named: dict[str, Any] = {"low": self.low, "high": self.high, "seed": seed, "warmup_steps": self.warmup}
        if self.warmup:
            named["warmup_lr"] = math.sqrt(self.low * self.high)
        if mode != FAR:
            named |= {"first_stage": self.first_stage, "probe_share": self.probe_share}
        named |= self.changes.get(mode, {})
        try:
            return longest_within(self.total, lambda steps: MODES[mode](steps=steps, **named))
        except (UsageError, TypeError) as error:
            raise UsageError(f"{self.trainer}, {mode}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A run by AutoLRS."""

    contest: Contest
    mode: str
    seed: int
    settings: Settings
    looks: bool

    @property
    def label(self) -> str:
        return f"{self.contest.trainer}, {self.mode}, seed {self.seed}"

    def run(self) -> dict[str, Any]:
        contest = self.contest
        trainer = _trainer(contest, self.seed)
        run = run_autolrs(trainer, self.settings, total=contest.total, every=_every(contest, self.looks))
        left_over = contest.total - run.total_steps
        return plain(run, trainer=contest.trainer, method=self.mode, seed=self.seed, workers=1, left_over=left_over)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A run by a schedule of the grid."""

    contest: Contest
    family: str
    lr: float
    seed: int
    looks: bool

    @property
    def label(self) -> str:
        return f"{self.contest.trainer}, {self.family}, LR {self.lr:.3g}, seed {self.seed}"

    def run(self) -> dict[str, Any]:
        contest = self.contest
        params = {"peak_lr": self.lr, "warmup_steps": contest.warmup, **FAMILIES[self.family]}
        lrs = build(self.family, params, steps=contest.total).lrs
        run = run_schedule(_trainer(contest, self.seed), lrs, peak=self.lr, every=_every(contest, self.looks))
        return plain(run, trainer=contest.trainer, method=self.family, seed=self.seed, workers=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """A run at a constant LR whose search over the grid is part of the total."""

    contest: Contest
    lrs: tuple[float, ...]
    seed: int
    looks: bool

    @property
    def label(self) -> str:
        return f"{self.contest.trainer}, {SEARCHED}, seed {self.seed}"

    def run(self) -> dict[str, Any]:
        contest = self.contest
        every = _every(contest, self.looks)
        trainer = _trainer(contest, self.seed)
        run = run_searched(trainer, self.lrs, warmup=contest.warmup, total=contest.total, every=every)
        return plain(run, trainer=contest.trainer, method=SEARCHED, seed=self.seed, workers=1)


def _trainer(contest: Contest, seed: int):
    make = with_threads(make_trainer, contest.threads)
    return make(contest.trainer, contest.options, seed, contest.total)


def _every(contest: Contest, looks: bool) -> int:
    return max(1, contest.total // LOOKS) if looks else 0


def jobs_of(contest: Contest, seeds: Iterable[int]) -> list[Staged | Searched | Given]:
    """All runs, seed by seed; those of the first seed are looked at, for the picture.

    Raises:
        UsageError: see :meth:`Contest.settings`.
    """
    found: list[Staged | Searched | Given] = []
    bare = replace(contest, grid=0, first_stage=0, probe_share=0.0, changes={})  # what a job depends on is in the job
    for seed in seeds:
        looks = not found or found[0].seed == seed
        for mode in MODES:
            settings = contest.settings(mode, seed)
            found.append(Staged(contest=bare, mode=mode, seed=seed, settings=settings, looks=looks))
        found.append(Searched(contest=bare, lrs=contest.lrs, seed=seed, looks=looks))
        for family in FAMILIES:
            found += [Given(contest=bare, family=family, lr=lr, seed=seed, looks=looks) for lr in contest.lrs]
    return found


def best_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per method and seed: of the grid, the LR with the lowest final loss, and what all its LRs cost.

    The tuned schedules have the whole total for each of their LRs; `tuning_steps` and `tuning_seconds` are what that
    really took. AutoLRS has only its total.
    """
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["seed"]), []).append(row)
    found = []
    for (method, seed), tried in groups.items():
        best = min(tried, key=lambda row: math.inf if row["final_loss"] is None else row["final_loss"])
        name = f"{method}, best of {len(tried)}" if method in FAMILIES else method
        lost = sum(row["final_loss"] is None for row in tried)
        note = f"{lost} of {len(tried)} LRs diverged" if method in FAMILIES and lost else best["note"]
        spent = {
            "tuning_steps": sum(row["total_steps"] for row in tried),
            "tuning_seconds": round(sum(row["seconds"] for row in tried), 3),
        }
        found.append({**best, "method": name, "seed": seed, "note": note, **spent})
    return found
