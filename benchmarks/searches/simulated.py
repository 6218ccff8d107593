"""A continuous space in a simulated world: a law fitted to real curves, with the noise that real runs have.

name        meaning                                                                unit
truth       the law's loss at the end of a schedule                                nats
loss(t)     law(LRs up to t) + lasting + passing                                   nats
lasting     one draw for all runs at one peak LR: they start alike                 nats
passing     one draw for each (LRs up to t)                                        nats

Both are drawn from what two real runs differ by while their LRs are equal, over the square root of 2: `lasting` from
the means of these differences, `passing` from what is left. All is a function of the LRs so far and the world's seed,
so a world can be trained in pieces and prefixes can be shared.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.recorded_runs import RecordedRun, read_runs
from autosched.errors import CheckpointError, UsageError
from autosched.laws.fit import FitFailure, fit_law
from autosched.laws.forecaster_fit import FULL
from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.randomness import generator
from autosched.schedules import build
from autosched.schedules.schedule import FloatArray, Schedule
from autosched.space import Budget, Choice, FamilySpace, Fixed, Range, SearchParameter, Space, Tracking, TrainerSpec
from autosched.trainer import TrainerFactory
from searches.recorded import TOLERANCE
from searches.world import Axis, Point, Run, cadence

LOGGED = 25
"""Logged losses of a run."""
FULL_RUNS = 60
"""Full-run equivalents after which a search has missed."""
SHAPES = ("linear", "sqrt")
FRACTIONS = (0.05, 0.95)
HIGHER = 10.0
"""The highest peak LR of the space over the highest recorded one: the best must not lie at the edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """Differences between real runs of equal LRs, nats: of each pair the mean, and what is left at every step."""

    lasting: FloatArray
    passing: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SimulatedWorld:
    """A `World` of WSD schedules: peak LR, share of the cooldown, and its shape.

    Attributes:
        seed: of the noise.
        warmup_steps: of every schedule.
        peaks: lowest and highest peak LR.
        limit: updates after which a search has missed.
    """

    law: FunctionalLaw
    noise: Noise
    seed: int
    horizon: int
    warmup_steps: int
    peaks: tuple[float, float]
    target: float
    limit: int
    runs: tuple[Run, ...] = ()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Peak LR, cooldown, shape."""
        return (
            Axis(name="peak_lr", low=self.peaks[0], high=self.peaks[1], log=True),
            Axis(name="cooldown_fraction", low=FRACTIONS[0], high=FRACTIONS[1]),
            Axis(name="cooldown_shape", size=len(SHAPES)),
        )

    @property
    def factory(self) -> TrainerFactory:
        """Makes trainers of this very world."""
        return lambda use, options, seed, horizon: WorldTrainer(self)

    def is_winner(self, run: Run) -> bool:
        """Whether a run is as good as is sought."""
        return run.truth <= self.target

    def near(self, point: Point, untried: Sequence[Run]) -> Run:
        """The run at a point."""
        run = self.run_of(self.schedule(point))
        return replace(run, point=point)

    def schedule(self, point: Point) -> Schedule:
        """The schedule at a point."""
        params = {
            "peak_lr": float(point["peak_lr"]),
            "warmup_steps": self.warmup_steps,
            "cooldown_fraction": float(point["cooldown_fraction"]),
            "cooldown_shape": SHAPES[int(point["cooldown_shape"])],
        }
        return build("wsd", params, steps=self.horizon)

    def run_of(self, schedule: Schedule) -> Run:
        """The run of any schedule."""
        every = self.space().eval_every
        steps = np.arange(every, self.horizon + 1, every)
        seen = np.array([self.loss(schedule.lrs[:step]) for step in steps])
        return Run(
            name=schedule.fingerprint,
            point={},
            schedule=schedule,
            curve=Curve(schedule=schedule, steps=steps[:-1].astype(np.float64), losses=seen[:-1]),
            final=float(seen[-1]),
            end=float(seen[-1]),
            truth=self.truth(schedule),
        )

    def truth(self, schedule: Schedule) -> float:
        """The law's loss at the end, nats."""
        return float(self.law.predict_at(schedule, np.array([float(schedule.steps)]))[0])

    def loss(self, lrs: FloatArray) -> float:
        """The loss that shows after these LRs, nats."""
        return self.truth(Schedule(lrs)) + self._disturbance(lrs)

    def _disturbance(self, lrs: FloatArray) -> float:
        lasting = generator(self.seed, float(lrs.max()).hex(), "lasting").choice(self.noise.lasting)
        passing = generator(self.seed, Schedule(lrs).fingerprint, "passing").choice(self.noise.passing)
        return float(lasting + passing)

    def space(self) -> Space:
        """The same space for this package."""
        every, checkpoint_every = cadence(self.horizon, logged_every=max(1, self.horizon // LOGGED))
        domains: dict[str, Any] = {
            "peak_lr": Range(low=self.peaks[0], high=self.peaks[1], log=True),
            "warmup_steps": Fixed(value=self.warmup_steps),
            "cooldown_fraction": Range(low=FRACTIONS[0], high=FRACTIONS[1]),
            "cooldown_shape": Choice(values=SHAPES),
            "final_lr_ratio": Fixed(value=0.0),
        }
        parameters = {name: SearchParameter(domain=domain) for name, domain in domains.items()}
        return Space(
            study="replay",
            seed=0,
            trainer=TrainerSpec(use="simulated"),
            horizon_steps=self.horizon,
            eval_every=every,
            checkpoint_every=checkpoint_every,
            schedule=(FamilySpace(family="wsd", parameters=parameters),),
            budget=Budget(steps=self.limit),
            tracking=Tracking(uri="none"),
        )


class WorldTrainer:
    """A `Trainer` whose model is the LRs it was given."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self.start()

    @property
    def step(self) -> int:
        """Updates done."""
        return self._lrs.size

    def start(self) -> None:
        """No LR yet."""
        self._lrs: FloatArray = np.zeros(0)

    def train(self, lrs: FloatArray) -> Mapping[str, float]:
        """Take the next LRs; the loss is that of :meth:`evaluate`."""
        self._lrs = np.concatenate((self._lrs, lrs))
        return {"train_loss": self.evaluate()}

    def evaluate(self) -> float:
        """The world's loss after these LRs, nats."""
        return self._world.loss(self._lrs)

    def save(self, file: BinaryIO) -> None:
        """The LRs."""
        buffer = io.BytesIO()
        np.save(buffer, self._lrs, allow_pickle=False)
        file.write(buffer.getvalue())

    def load(self, file: BinaryIO) -> None:
        """Read what `save` wrote."""
        try:
            self._lrs = np.load(io.BytesIO(file.read()), allow_pickle=False)
        except ValueError as error:
            raise CheckpointError(f"the checkpoint is damaged: {error}.") from None


def simulated_world(folder: Path, group: str, horizon: int, *, seed: int = 0) -> SimulatedWorld:
    """Fit the law and the noise to the recorded runs of a group.

    Raises:
        CurveError: a file has a fault, or there is no such group.
        UsageError: the law cannot be fitted, or no two runs have equal LRs for long enough to tell their noise.
    """
    recorded = read_runs(folder, group)
    curves = [run.curve for run in recorded if run.curve.steps[-1] >= 0.9 * run.horizon]
    units = Units.of([curve.schedule for curve in curves])
    fit = fit_law(FunctionalFamily(units=units), curves, FULL.fit)
    if isinstance(fit, FitFailure):
        raise UsageError(f"no law can be fitted to group {group}: {fit.reason}")
    peaks = [run.schedule.peak_lr for run in recorded]
    warmups = [int(float(str(run.schedule.params.get("warmup_steps", 0)))) for run in recorded]
    world = SimulatedWorld(
        law=fit.law,
        noise=noise_between(recorded),
        seed=seed,
        horizon=horizon,
        warmup_steps=int(np.median(warmups)),
        peaks=(min(peaks), HIGHER * max(peaks)),
        target=math.nan,
        limit=FULL_RUNS * horizon,
    )
    return replace(world, target=lowest(world) + TOLERANCE)


def noise_between(runs: Sequence[RecordedRun]) -> Noise:
    """What runs of one group differ by while their LRs are equal.

    Runs whose logs are equal there are one run, continued in two ways; the first tenth of a horizon is left out.

    Raises:
        UsageError: no two runs can be compared.
    """
    lasting, passing = [], []
    for a, b in itertools.combinations(runs, 2):
        gaps = _differences(a, b)
        if gaps.size >= 4:
            lasting.append(gaps.mean() / math.sqrt(2))
            passing.append((gaps - gaps.mean()) / math.sqrt(2))
    if not lasting:
        raise UsageError("no two recorded runs have equal LRs for long enough: the noise between runs is not known.")
    return Noise(np.array(lasting), np.concatenate(passing))


def _differences(a: RecordedRun, b: RecordedRun) -> FloatArray:
    shared = a.schedule.common_steps(b.schedule)
    steps = np.intersect1d(a.curve.steps, b.curve.steps)
    steps = steps[(steps <= shared) & (steps >= 0.1 * min(a.horizon, b.horizon))]
    gaps = np.interp(steps, a.curve.steps, a.curve.losses) - np.interp(steps, b.curve.steps, b.curve.losses)
    return gaps if np.count_nonzero(gaps == 0) <= 0.1 * gaps.size else np.zeros(0)


def lowest(world: SimulatedWorld) -> float:
    """The lowest truth of the space, on a grid fine enough that its neighbours differ by less than the tolerance."""
    peaks, fractions = np.geomspace(*world.peaks, 40), np.linspace(*FRACTIONS, 31)
    points = itertools.product(peaks, fractions, range(len(SHAPES)))
    names = ("peak_lr", "cooldown_fraction", "cooldown_shape")
    return min(world.truth(world.schedule(dict(zip(names, point, strict=True)))) for point in points)
