"""The state of an AutoLRS run, what is to be trained next, and what was seen: frozen, and JSON data at any moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from autosched.errors import UsageError
from autosched.schedules.schedule import FloatArray

WorkKind = Literal["warmup", "message", "probe", "decay", "commit", "cooldown"]
Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A loss that somebody forecast: normal, nats.

    Attributes:
        name: of the forecast, ``exponential``, ``published``, ``law``, ``blend`` or ``decayed``.
    """

    name: str
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a probe was taken to be worth when its stage was decided; None for one that diverged."""

    lr: float
    mean: float | None
    sd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Updates to be trained.

    Attributes:
        kind: ``warmup``, ``message`` and ``cooldown`` go on from where the run stands, a ``probe`` begins at its
            stage's checkpoint, a ``decay`` at the end of its probe, and is for scoring only; a ``commit`` begins at the
            checkpoint or, if `start` is later, at the end of its probe.
        start, stop: first update and the one after the last, counted from the start of the run.
        lr: of all updates; the last one's in a warmup, the one before the first in a cooldown, the highest in a decay.
        stage: index; of the next stage for a warmup, of the last one for a cooldown.
        probe: number of the probe in its stage; in a decay, of the one it follows; in a commit, of the one that won.
        expected: in a commit, what was forecast for the end of the stage.
        worths: in a commit, what the stage's probes were taken to be worth.
    """

    kind: WorkKind
    start: int
    stop: int
    lr: float
    stage: int
    probe: int | None = None
    expected: tuple[Expectation, ...] = ()
    worths: tuple[Worth, ...] = ()

    @property
    def updates(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def lrs(self) -> FloatArray:
        """LR of each update, shape (updates,)."""
        if self.kind == "warmup":
            return self.lr * np.arange(self.start + 1, self.stop + 1) / self.stop
        if self.kind == "cooldown":
            return self.lr * (1 - np.arange(self.updates) / self.updates)
        if self.kind == "decay":  # in the middle of each update, so that a single one is lowered, too
            return self.lr * (1 - (np.arange(self.updates) + 0.5) / self.updates)
        return np.full(self.updates, self.lr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to start before a running probe ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run is at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run cannot go on.

    Attributes:
        reason: a sentence that says what to try.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen while some work was done.

    Attributes:
        updates: that were trained; fewer than asked for when it diverged.
        steps: updates done, from the start of the run, when each loss was taken; increasing.
        losses: training losses, or validation losses in a stage that these score; nats.
    """

    updates: int
    steps: Numbers
    losses: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A probe whose updates at a constant LR are done.

    Attributes:
        steps, losses: see :class:`Seen`; thinned once the stage is over.
        end: forecast of its loss at the end of its stage, or with decayed probes its loss at the end of the decay; None
            with a `reason`, and while the decay has not been trained.
        reason: why there is no forecast; it diverged.
        decay_losses: of its decay; dropped once the stage is over.
    """

    number: int
    lr: float
    steps: Numbers
    losses: Numbers
    end: Expectation | None = None
    reason: str = ""
    decay_losses: Numbers = ()

    @property
    def undecayed(self) -> bool:
        """Whether its decay is still to be trained."""
        return self.end is None and not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A stage that was committed.

    Attributes:
        start, checkpoint, stop: see :class:`autosched.search.autolrs.stages.Stage`.
        lr: the one it was trained with.
        tried: its probes, thinned.
        worths: of its probes, as it was decided.
        steps, losses: of the committed run in it, thinned.
        expected: what was forecast for its end.
        reached: smooth loss at its end, nats; None if it could not be told.
    """

    index: int
    start: int
    checkpoint: int
    stop: int
    lr: float
    by_validation: bool
    tried: tuple[Tried, ...]
    worths: tuple[Worth, ...]
    steps: Numbers
    losses: Numbers
    expected: tuple[Expectation, ...]
    reached: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a run stands; the empty one is its beginning.

    Attributes:
        position: committed updates.
        lr: of the last committed update; 0 before the first one.
        trained: updates trained, searching included.
        first_loss: of the run, nats.
        tried: probes of the present stage that have ended, their decays not counted.
        refused: numbers of probes that won but diverged later in the stage.
        passed: stages that are over.
        done: committed work in order, without gaps.
        broken: why the run cannot go on, or empty.
    """

    position: int = 0
    lr: float = 0.0
    trained: int = 0
    first_loss: float | None = None
    tried: tuple[Tried, ...] = ()
    refused: tuple[int, ...] = ()
    passed: tuple[Passed, ...] = ()
    done: tuple[Work, ...] = ()
    broken: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON data; NaN and infinite losses are in it as they are."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> State:
        """Read what :meth:`plain` wrote, also after a trip through JSON.

        Raises:
            UsageError: it is not such data.
        """
        try:
            if lacking := [field.name for field in dataclasses.fields(cls) if field.name not in plain]:
                raise ValueError(f"it lacks {', '.join(lacking)}")
            return TypeAdapter(cls).validate_python(plain)
        except (TypeError, ValueError) as error:
            raise UsageError(f"this is no state of an AutoLRS run: {error}.") from None


def work_of(plain: Mapping[str, Any]) -> Work:
    """Read what ``dataclasses.asdict(work)`` wrote."""
    return TypeAdapter(Work).validate_python(plain)


def thinned(steps: Numbers, losses: Numbers, most: int) -> tuple[Numbers, Numbers]:
    """At most `most` points: mean step and mean loss of stretches of (nearly) equally many points.

    Example:
        >>> thinned((0.0, 1.0, 2.0, 3.0), (4.0, 2.0, 3.0, 1.0), 2)
        ((0.5, 2.5), (3.0, 2.0))
    """
    if len(steps) <= most:
        return steps, losses
    parts = [np.array_split(np.asarray(values, dtype=np.float64), most) for values in (steps, losses)]
    means = [tuple(float(part.mean()) for part in split) for split in parts]
    return means[0], means[1]


def short(tried: Tried, most: int) -> Tried:
    """A probe with at most `most` losses and without those of its decay; one that diverged keeps none."""
    tried = dataclasses.replace(tried, decay_losses=())
    if tried.end is None:
        return dataclasses.replace(tried, steps=(), losses=())
    steps, losses = thinned(tried.steps, tried.losses, most)
    return dataclasses.replace(tried, steps=steps, losses=losses)
