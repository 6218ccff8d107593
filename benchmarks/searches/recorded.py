"""The world of recorded runs: every schedule of one group and horizon that was really trained to its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autosched.curves.recorded_runs import RecordedRun, full_minus_logged, read_runs
from autosched.errors import UsageError
from autosched.schedules.schedule import Schedule
from autosched.space import Budget, ScheduleSpec, Space, Tracking, TrainerSpec
from autosched.space.candidates import families_of
from autosched.trainer import TrainerFactory
from searches.world import Axis, Point, Run, cadence, distance
from workers.registry import make_trainer

TOLERANCE = 0.002
"""Nats above the best run that count as found."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RecordedWorld:
    """A `World` whose runs are listed.

    Attributes:
        folder, group: where they were read, for trainers that read them again.
        left_out: why rows of this group and horizon are no runs here, a line each.
    """

    folder: Path
    group: str
    horizon: int
    axes: tuple[Axis, ...]
    runs: tuple[Run, ...]
    target: float
    winner: str
    left_out: tuple[str, ...] = ()

    @property
    def limit(self) -> float:
        """None: a search ends when all runs were tried."""
        return math.inf

    def is_winner(self, run: Run) -> bool:
        """Whether it is the best run."""
        return run.name == self.winner

    @property
    def factory(self) -> TrainerFactory:
        """The product's own."""
        return make_trainer

    def run_of(self, schedule: Schedule) -> Run | None:
        """The full run with these LRs."""
        return next((run for run in self.runs if run.schedule == schedule), None)

    def space(self) -> Space:
        """The runs as candidates, shown by the recorded trainer, which knows runs of other horizons too."""
        logged = [float(np.median(np.diff(run.curve.steps))) for run in self.runs if run.curve.steps.size > 1]
        first = max(int(run.curve.steps[0]) for run in self.runs)
        every, checkpoint_every = cadence(self.horizon, logged_every=int(np.median(logged)), first_logged=first)
        candidates = tuple(ScheduleSpec(family=r.schedule.family, params=dict(r.schedule.params)) for r in self.runs)
        options = {"folder": str(self.folder), "group": self.group}
        return Space(
            study="replay",
            seed=0,
            trainer=TrainerSpec(use="workers.recorded:RecordedTrainer", options=options),
            horizon_steps=self.horizon,
            eval_every=every,
            checkpoint_every=checkpoint_every,
            schedule=families_of(candidates),
            candidates=candidates,
            budget=Budget(trials=len(candidates)),
            tracking=Tracking(uri="none"),
        )

    def near(self, point: Point, untried: Sequence[Run]) -> Run:
        """The nearest of `untried`; of equals the first."""
        return min(untried, key=lambda run: distance(self.axes, run.point, point))


def recorded_world(folder: Path, group: str, horizon: int) -> RecordedWorld:
    """Read the runs of a group and a horizon; the target is the best full validation loss + 0.002 nats.

    Raises:
        CurveError: a file has a fault, or there is no such group; the text names those there are.
        UsageError: no run of this horizon has a full validation loss; the text names the horizons that have.
    """
    recorded = read_runs(folder, group)
    ended = [run for run in recorded if run.full_val_loss is not None]
    chosen, left_out = _distinct([run for run in ended if run.horizon == horizon])
    unmeasured = [run for run in recorded if run.horizon == horizon and run.full_val_loss is None]
    left_out += [f"{run.name} has no full_val_loss" for run in unmeasured]
    if not chosen:
        raise UsageError(_no_runs(group, horizon, ended))
    axes, points = coordinates([run.schedule.params | {"family": run.schedule.family} for run in chosen])
    shift = full_minus_logged(recorded)
    runs = tuple(_run(run, point, shift) for run, point in zip(chosen, points, strict=True))
    best = min(runs, key=lambda run: run.truth)
    return RecordedWorld(
        folder=Path(folder),
        group=group,
        horizon=horizon,
        axes=axes,
        runs=runs,
        target=best.truth + TOLERANCE,
        winner=best.name,
        left_out=tuple(left_out),
    )


def coordinates(specs: Sequence[Mapping[str, Any]]) -> tuple[tuple[Axis, ...], list[dict[str, float | int]]]:
    """Two axes for listed schedules: the peak LR, in order, and the shape, which is all the rest.

    So a search needs no conditions ("this family has no cooldown"), and what peak LR is good for one shape tells
    something of the others.

    Returns:
        The axes, and the point of each schedule.
    """
    peaks = sorted({float(spec.get("peak_lr", 0.0)) for spec in specs})
    rests = [repr(sorted((name, value) for name, value in spec.items() if name != "peak_lr")) for spec in specs]
    shapes = list(dict.fromkeys(rests))
    axes = (Axis(name="peak_lr", size=len(peaks), ordered=True), Axis(name="shape", size=len(shapes)))
    points: list[dict[str, float | int]] = [
        {"peak_lr": peaks.index(float(spec.get("peak_lr", 0.0))), "shape": shapes.index(rest)}
        for spec, rest in zip(specs, rests, strict=True)
    ]
    return axes, points


def _run(run: RecordedRun, point: Point, shift: float) -> Run:
    final = float(run.full_val_loss or math.nan)
    return Run(
        name=run.name,
        point=point,
        schedule=run.schedule,
        curve=run.curve,
        final=final,
        end=final - shift,
        truth=final,
    )


def _distinct(runs: Sequence[RecordedRun]) -> tuple[list[RecordedRun], list[str]]:
    """The first run of every schedule: a search could not tell two recordings of one schedule apart."""
    first: dict[str, RecordedRun] = {}
    left_out = []
    for run in runs:
        known = first.setdefault(run.schedule.fingerprint, run)
        if known is not run:
            left_out.append(f"{run.name} has the schedule of {known.name}")
    return list(first.values()), left_out


def _no_runs(group: str, horizon: int, ended: Sequence[RecordedRun]) -> str:
    counts = {steps: sum(run.horizon == steps for run in ended) for steps in sorted({run.horizon for run in ended})}
    known = ", ".join(f"{steps} ({count} runs)" for steps, count in counts.items())
    if not known:
        return f"group {group} cannot be replayed: none of its runs has a full_val_loss in runs.csv."
    return f"horizon must be one of {known} in group {group}, but got {horizon}."
