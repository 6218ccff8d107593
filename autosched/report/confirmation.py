"""Who won: the search's best trials against the default on fresh seeds, paired by seed.

name    meaning                                                                    unit
d_s     loss of the default minus loss of the winner on seed s (above 0: a gain)   nats
gain    mean of d_s over n seeds                                                   nats
t       95% quantile of Student's t with n - 1 degrees of freedom
low, high = gain -+ t * std(d_s) / sqrt(n)   (central 90% interval)                nats
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from autosched.ledger.state import StudyState, TrialState
from autosched.transfer.rule import Z90

Losses = Mapping[int, tuple[float, ...]]
"""Trial number -> its final losses on the fresh seeds, in one order; inf where the run diverged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A paired difference in nats; `low` and `high` are None with fewer than two finite pairs."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The outcome on fresh seeds.

    Attributes:
        seeds: seeds on which every confirmed trial has ended with a loss or a divergence.
        losses: of every confirmed trial, by number.
        winner: number of the trial with the lowest mean (the earliest of equals); the default can win.
        default: number of the default's trial, when it was confirmed too.
        gain: of the winner over the default; None without a default, or when a run of either diverged.
    """

    seeds: tuple[int, ...]
    losses: Losses
    winner: int
    default: int | None
    gain: Gain | None


def unconfirmed(state: StudyState, wanted: int) -> str | None:
    """What a reader of a finished study must know when fewer fresh seeds than wanted confirm its winner; else None."""
    if state.finished is None or state.best is None:
        return None
    confirmed = confirmation(state)
    seen = 0 if confirmed is None else len(confirmed.seeds)
    if seen >= wanted:
        return None
    begun = [state.trials[number] for number in state.confirming]
    cut = not begun or any(trial.status == "stopped" for trial in begun)
    why = f"the study ended before the others, {state.finished.reason}" if cut else "runs on the others failed"
    return f"{seen} of {wanted} fresh seeds confirm the winner: {why}."


def seed_noise(confirmed: Confirmation) -> float | None:
    """How much the difference of two schedules scatters between seeds, nats: a standard deviation, pooled over pairs.

    ``sqrt(mean over pairs of var_s(loss_a - loss_b))``: the search compares schedules on one seed, so this is the
    noise of what it compares. None with fewer than two seeds, or two schedules without a divergence.

    Example:
        >>> losses = {1: (2.0, 2.1), 4: (1.9, 2.2)}
        >>> round(seed_noise(Confirmation(seeds=(7, 8), losses=losses, winner=4, default=None, gain=None)), 4)
        0.1414
    """
    sound = [np.array(losses) for losses in confirmed.losses.values() if np.all(np.isfinite(losses))]
    if len(confirmed.seeds) < 2 or len(sound) < 2:
        return None
    return math.sqrt(float(np.mean([np.var(a - b, ddof=1) for a, b in itertools.combinations(sound, 2)])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Trials that one seed cannot tell from the search's best.

    Attributes:
        near: their numbers.
        reach: how near to the best they ended at most, nats.
        noise: standard deviation of a difference between seeds, nats.
        seeds: how many seeds say so.
    """

    near: tuple[int, ...]
    reach: float
    noise: float
    seeds: int


def closeness(state: StudyState) -> Closeness | None:
    """Which trials ended so near the best one of the search that one seed cannot tell them apart; None for none."""
    confirmed, best = confirmation(state), state.best_trial()
    noise = None if confirmed is None else seed_noise(confirmed)
    if confirmed is None or noise is None or best is None or best.value is None:
        return None
    reach = Z90 * noise
    near = tuple(
        trial.number
        for trial in state.trials
        if trial.role not in {"confirm", "default"}
        and trial.number != best.number
        and trial.status == "complete"
        and trial.value is not None
        and trial.value - best.value < reach
    )
    return Closeness(near=near, reach=reach, noise=noise, seeds=len(confirmed.seeds)) if near else None


def too_close(state: StudyState) -> str | None:
    """The same as a sentence."""
    found = closeness(state)
    if found is None:
        return None
    who = f"trial {found.near[0]} is" if len(found.near) == 1 else f"{len(found.near)} other trials are"
    return (
        f"{who} as good by all that {found.seeds} seeds can tell: within {found.reach:.4f} nats of the search's best, "
        f"where seeds scatter a difference by {found.noise:.4f}"
    )


def winner(state: StudyState) -> TrialState | None:
    """The trial whose schedule to use; None before one is complete.

    With confirmation the confirmed trial with the lowest mean loss over the fresh seeds, the default among them;
    without it the complete search or default trial with the lowest value.
    """
    confirmed = confirmation(state)
    return state.best_trial() if confirmed is None else state.trials[confirmed.winner]


def default_trial(state: StudyState) -> TrialState | None:
    """The trial of the user's own schedule, if the space names one."""
    return None if state.default is None else state.trials[state.default]


def confirmation(state: StudyState) -> Confirmation | None:
    """What the confirming runs say; None when there are none, or no seed is done, or every finalist diverged.

    A seed counts when all confirmed trials have ended on it; a run that failed or was stopped says nothing about its
    schedule, so its seed is left out for all.
    """
    runs: dict[int, dict[int, float]] = {}
    for trial in (state.trials[number] for number in state.confirming):
        if trial.of is not None:
            losses = runs.setdefault(trial.of, {})
            if trial.status == "complete" and trial.value is not None:
                losses[trial.seed] = trial.value
            elif trial.status == "diverged":
                losses[trial.seed] = math.inf
    if not runs:
        return None
    seeds = [seed for seed in next(iter(runs.values())) if all(seed in losses for losses in runs.values())]
    paired = {number: tuple(losses[seed] for seed in seeds) for number, losses in sorted(runs.items())}
    best = min(paired, key=lambda number: float(np.mean(paired[number])) if seeds else math.inf)
    if not seeds or not math.isfinite(sum(paired[best])):
        return None
    default = default_trial(state)
    number = default.number if default is not None and default.number in paired else None
    gain = None if number is None else paired_gain(paired[number], paired[best])
    return Confirmation(seeds=tuple(seeds), losses=paired, winner=best, default=number, gain=gain)


def paired_gain(default: tuple[float, ...], best: tuple[float, ...]) -> Gain | None:
    """How much lower `best` is than `default` on the same seeds; None when a loss is not finite.

    Example:
        >>> paired_gain((2.0, 2.5), (1.5, 2.0)).mean
        0.5
    """
    differences = np.asarray(default) - np.asarray(best)
    if not np.all(np.isfinite(differences)):
        return None
    mean, count = float(differences.mean()), differences.size
    if count < 2:
        return Gain(mean=mean, low=None, high=None)
    from scipy.special import stdtrit

    half = float(stdtrit(count - 1, 0.95)) * float(differences.std(ddof=1)) / math.sqrt(count)
    return Gain(mean=mean, low=mean - half, high=mean + half)
