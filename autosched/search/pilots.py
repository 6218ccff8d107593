"""Pilot runs: short ones that end with a cooldown show where the best peak LR lies, for a few tenths of a run.

A run that is merely begun says little of its peak LR: what a high LR loses in noise a cooldown gives back, and a low
one looks better than it is. A pilot *with* its cooldown shows both, and the best peak LR of the pilots is carried over
to the horizon by a power of the updates::

    pilot   warmup as the space's, at most a fifth | peak LR | over the second half down to 0, in `PILOT_PIECES` pieces
    ln(final loss at peak x) = c + a (x - m)**2 + noise,   ln(a) normal, m normal about the middle of the range

A pilot is a trial of the role ``pilot``, with a schedule of the family ``piecewise``, and is never resumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autosched.ledger.state import TrialState
from autosched.schedules.registry import build
from autosched.schedules.schedule import NOWHERE, Coordinates, FloatArray, ParameterValue, Schedule
from autosched.search.peak_posterior import PeakPosterior
from autosched.search.priors import (
    HORIZON_EXPONENT,
    HORIZON_EXPONENT_SD,
    PEAK_BEND,
    PILOT_BEND_LOG_SD,
    PILOT_COOLDOWN,
    PILOT_MISFIT,
    PILOT_MOST_SHARE,
    PILOT_MOST_WARMUP,
    PILOT_NOISE,
    PILOT_PIECES,
)
from autosched.space.hyperparameters import central, coordinates
from autosched.space.records import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilots:
    """The pilots of a study.

    Attributes:
        length: updates of each, a multiple of the space's segments.
        warmup: updates of its warmup.
        log_peaks: ln(peak LR) of each, in the order in which they are trained.
        hyperparameters, coordinates: of all of them the middle of the space's, so that they differ by the peak alone.
    """

    length: int
    warmup: int
    log_peaks: tuple[float, ...]
    hyperparameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    coordinates: Coordinates = NOWHERE

    def schedule(self, number: int, horizon: int) -> Schedule:
        """Of a pilot, over the whole horizon: after its end the last LR stays."""
        peak = math.exp(self.log_peaks[number])
        begin = self.length - int(PILOT_COOLDOWN * self.length)
        pieces = min(PILOT_PIECES, self.length - begin)
        starts = np.unique(np.linspace(begin, self.length, pieces + 1).round().astype(np.int64))[:-1]
        left = (self.length - starts) / (self.length - begin + 1)
        params: dict[str, ParameterValue] = {
            "values": [peak, *(peak * left).tolist()],
            "boundaries": [float(start) for start in starts],
            "warmup_steps": self.warmup,
        }
        return build("piecewise", params, steps=horizon).beside(self.hyperparameters, self.coordinates)


def planned(space: Space, log_peaks: Sequence[float], warmup: int, share: float) -> Pilots | None:
    """Pilots of about this share of the horizon; None where segments are too long for them.

    Args:
        log_peaks: of the runs, in order.
        warmup: of the space's schedules, updates.
    """
    every = space.checkpoint_every
    length = every * max(1, round(share * space.horizon_steps / every))
    if length > PILOT_MOST_SHARE * space.horizon_steps or length < 2 * space.eval_every:
        return None
    beside = central(space.hyperparameters)
    return Pilots(
        length=length,
        warmup=min(warmup, int(PILOT_MOST_WARMUP * length)),
        log_peaks=tuple(log_peaks),
        hyperparameters=beside,
        coordinates=coordinates(space.hyperparameters, beside),
    )


def peak_posterior(
    log_peaks: FloatArray, log_losses: FloatArray, before: PeakPosterior, carried: PeakPosterior
) -> PeakPosterior | None:
    """Where the best ln(peak LR) of the horizon lies, given the ends of pilots; None by fewer than three.

    The posterior of m on a grid, with ln(a) integrated out on another and the level c as a normal without bounds. The
    bend is positive: losses that fall with the peak LR over the whole range say that the best lies above it.

    Args:
        log_peaks, log_losses: of the pilots that ended, shape (n,).
        before: of the horizon's best peak, before the pilots.
        carried: see :func:`to_horizon`.
    """
    if log_peaks.size < 3:  # a parabola has three unknowns
        return None
    likely = np.linspace(-4.0, 4.0, 241)  # in standard deviations of what is known before
    places = before.mean - carried.mean + math.hypot(before.sd, carried.sd) * likely
    bends = PEAK_BEND * np.exp(PILOT_BEND_LOG_SD * np.linspace(-3.0, 3.0, 25))
    losses = log_losses - log_losses.mean()
    noise = math.hypot(PILOT_NOISE, PILOT_MISFIT * float(np.ptp(losses)) ** 2)
    shapes = (log_peaks[None, :] - places[:, None]) ** 2
    shapes = shapes - shapes.mean(axis=1, keepdims=True)  # the level is free, so only differences tell
    apart = losses - bends[None, :, None] * shapes[:, None, :]
    logs = -0.5 * np.sum(apart**2, axis=2) / noise**2 - 0.5 * np.linspace(-3.0, 3.0, bends.size)[None, :] ** 2
    logs -= 0.5 * likely[:, None] ** 2
    weights = np.exp(logs - logs.max()).sum(axis=1)
    weights /= weights.sum()
    mean = float(weights @ places)
    sd = math.sqrt(float(weights @ (places - mean) ** 2))
    return PeakPosterior(mean + carried.mean, math.hypot(sd, carried.sd))


def to_horizon(length: int, horizon: int) -> PeakPosterior:
    """What is added to the best ln(peak LR) of runs of `length` updates to have that of the horizon: mean and sd."""
    stretch = math.log(horizon / length)
    return PeakPosterior(-HORIZON_EXPONENT * stretch, HORIZON_EXPONENT_SD * stretch)


def pilot_ends(pilots: Sequence[TrialState]) -> tuple[FloatArray, FloatArray]:
    """ln(peak LR) and log loss at the end of the pilots that got there, each shape (n,); none when one is not > 0."""
    ends = [(t, next((point.loss for point in t.points if point.step == t.until), math.inf)) for t in pilots]
    if any(loss <= 0 for _, loss in ends):
        return np.empty(0), np.empty(0)
    found = [(trial.schedule.log_peak_lr, math.log(loss)) for trial, loss in ends if loss < math.inf]
    points = np.array(found).reshape(-1, 2)
    return points[:, 0], points[:, 1]
