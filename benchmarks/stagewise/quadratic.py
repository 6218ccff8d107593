"""AutoLRS on a noisy quadratic, whose best constant LR for a stage is known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisy_quadratic import NoisyQuadratic, run

from autosched.search.autolrs import Settings
from stagewise.contest import FAITHFUL, MENDED

LOW, HIGH = 1e-3, 1e-1
FACTOR = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage from a fresh start; the oracle minimises the exact expected loss at its end."""

    mode: str
    settings: Settings
    seed: int

    @property
    def label(self) -> str:
        return f"quadratic, {self.mode}, seed {self.seed}"

    def run(self) -> dict[str, Any]:
        assert self.settings.steps is not None
        world, began = NoisyQuadratic(seed=self.seed, updates=self.settings.steps), time.perf_counter()
        works = list(run(self.settings, world))
        _, r, state = works[-1]
        oracle = world.best_lr(works[0][1], self.settings.low, self.settings.high, self.settings.steps)
        ratio = state.passed[0].lr / oracle
        return {
            "trainer": "quadratic",
            "method": self.mode,
            "seed": self.seed,
            "workers": 1,
            "total_steps": state.trained,
            "committed_steps": state.position,
            "final_loss": 1 + r / 2,
            "seconds": round(time.perf_counter() - began, 3),
            "lrs": [state.passed[0].lr],
            "oracle_lr": oracle,
            "within_factor": 1 / FACTOR <= ratio <= FACTOR,
            "note": "",
        }


def jobs_of(steps: int, seeds: int) -> list[Stage]:
    """One stage of `steps` updates per seed, by the mended mode and by the published one without its messages.

    Raises:
        UsageError: too few updates for a stage.
    """
    shared = {"low": LOW, "high": HIGH, "steps": steps, "first_stage": steps, "longest_stage": steps}
    modes = {
        MENDED: lambda seed: Settings(**shared, validation_from=None, seed=seed),
        FAITHFUL: lambda seed: Settings.published(**shared, validation_from=None, message_updates=False, seed=seed),
    }
    return [Stage(mode=mode, settings=make(seed), seed=seed) for mode, make in modes.items() for seed in range(seeds)]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Share of the seeds whose LR is within a factor of two of the oracle, by method."""
    shares: dict[str, float] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row["within_factor"] for row in rows if row["method"] == method]
        shares[method] = sum(own) / len(own)
    return {
        "trainer": "quadratic",
        "factor": FACTOR,
        "seeds": len({row["seed"] for row in rows}),
        "within_factor": shares,
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The summary for a person."""
    shares = ", ".join(f"{method} {share:.0%}" for method, share in found["within_factor"].items())
    return [f"quadratic, {found['seeds']} seeds: LR within a factor of {found['factor']:g} of the oracle: {shares}"]
