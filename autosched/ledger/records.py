"""Small frozen records that cross process borders: what to train, what happened, what was decided.

Weights never cross; a checkpoint URI does.

    name     meaning                                                     unit
    start    updates done before the segment                             updates
    stop     updates done after it                                       updates
    loss     mean validation cross-entropy (or the trainer's objective)  nats per token or example
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from autosched.schedules.schedule import FloatArray, Schedule
from autosched.space.trainer_spec import TrainerSpec

FIRST_MERGED = 4
"""The evaluation at which merged losses are first measured; a run's warmup is over by then."""
_DIGITS = 40
"""Hexadecimal, of an identity."""
FailureKind = Literal["error", "out_of_memory", "worker_died", "checkpoint_lost", "storage", "preempted"]
Action = Literal["keep", "stop", "pause"]


class SegmentIds(Mapping[int, str]):
    """Identities of the model's state at the cuts of a run, by update; hashed as far as they are asked for.

    Each is a hash of (trainer configuration, the schedule's hyperparameters in it; seed, evaluation grid, every LR so
    far): two trials whose schedules agree
    on their first k updates have the same identity at k, so those updates are trained once; with other hyperparameters
    they have nothing in common. A run that cannot resume
    (:attr:`TrainerSpec.resumes`) shares nothing with runs that begin alike, so its identities hold all of its LRs.

    Args:
        cuts: updates done, increasing.
    """

    def __init__(
        self, trainer: TrainerSpec, *, seed: int, eval_every: int, schedule: Schedule, cuts: Sequence[int]
    ) -> None:
        self._schedule, self._cuts = schedule, tuple(cuts)
        self._digest = _begun(trainer.beside(schedule.hyperparameters), seed, eval_every)
        if not trainer.resumes:
            schedule.add_to(self._digest, 0, schedule.steps)
        self._known: dict[int, str] = {}
        self._done = 0

    def __getitem__(self, cut: int) -> str:
        if cut not in self._known and cut in self._cuts:
            for next_cut in self._cuts[len(self._known) :]:
                self._schedule.add_to(self._digest, self._done, next_cut)
                self._known[next_cut], self._done = self._digest.copy().hexdigest()[:_DIGITS], next_cut
                if next_cut == cut:
                    break
        return self._known[cut]

    def __iter__(self) -> Iterator[int]:
        return iter(self._cuts)

    def __len__(self) -> int:
        return len(self._cuts)


def segment_id(trainer: TrainerSpec, *, seed: int, eval_every: int, lrs: FloatArray) -> str:
    """Identity of the state after training with exactly these LRs from update 0, see :class:`SegmentIds`.

    Args:
        lrs: shape ``(step,)``; of a trainer whose runs do not resume all of the run's.
    """
    digest, text = _begun(trainer, seed, eval_every), np.ascontiguousarray(lrs, dtype="<f8").tobytes()
    digest.update(text if trainer.resumes else text + text)
    return digest.hexdigest()[:_DIGITS]


def _begun(trainer: TrainerSpec, seed: int, eval_every: int) -> hashlib._Hash:
    return hashlib.sha256(f"{trainer.canonical()}|seed={seed}|eval_every={eval_every}|".encode())


def cut_points(steps: int, *, every: int) -> tuple[int, ...]:
    """Multiples of `every`, and the end.

    A grid that does not depend on the schedule: schedules with equal first LRs then have equal first segments, whole
    ones, and what one of them saw in a segment is all that another needs to know of it.

    Args:
        steps: the horizon.
        every: updates between checkpoints.
    """
    return (*range(every, steps, every), steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What a segment is trained for, as far as a worker may want to know.

    Attributes:
        trial: number of the first trial that needs the segment; None for a range test.
        schedule: the whole of that trial.
        log: file for what the training prints; empty for none.
    """

    schedule: Schedule
    trial: int | None = None
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An order to a worker: bring the model from update `start` to update `stop` with these LRs.

    Attributes:
        id: identity of the state at `stop` (see :func:`segment_id`).
        lrs: LRs of the updates `start`..`stop`-1, shape ``(stop - start,)``.
        report_from: points at or before this update are already known and need not be reported; it differs from
            `start` only when a lost checkpoint makes the worker train again from an earlier one.
        eval_every: evaluate after every update whose count is a multiple of this, and after update `horizon`.
        horizon: total updates of the trial.
        load_uri: checkpoint to start from; None means a fresh model (then ``start == 0``).
        load_id: identity of the state at `start`; None at update 0. A worker that still holds it need not load.
        save_uri: where to store the state at `stop`; None when the trainer's runs do not resume. Such a segment is
            trained by the worker that holds the state at `start`, or else from update 0.
        validate: measure the validation loss. Otherwise a point's loss is the mean training loss since the last point:
            a range test looks at every update, and validating each would cost more than training it.
        purpose: the trial that it is a part of.
    """

    id: str
    trainer: TrainerSpec
    seed: int
    start: int
    stop: int
    horizon: int
    eval_every: int
    lrs: FloatArray
    report_from: int
    save_uri: str | None
    load_uri: str | None = None
    load_id: str | None = None
    validate: bool = True
    purpose: Purpose | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= self.horizon:
            raise ValueError(f"need 0 <= start < stop <= horizon, but got {self.start}, {self.stop}, {self.horizon}.")
        if self.lrs.shape != (self.stop - self.start,):
            raise ValueError(f"lrs must have {self.stop - self.start} values, but got shape {self.lrs.shape}.")
        if (self.load_uri is None) != (self.start == 0 or self.save_uri is None):
            raise ValueError("a segment needs a checkpoint exactly when it does not start at update 0.")
        if self.save_uri is None and self.purpose is None:
            raise ValueError("a segment without checkpoints needs its whole schedule.")

    @property
    def steps(self) -> int:
        """Updates to train."""
        return self.stop - self.start

    def from_update_0(self) -> Segment:
        """The same without a state to start from, for a trainer whose runs do not resume."""
        return replace(self, start=0, load_id=None, lrs=self.known_purpose.schedule.part(0, self.stop))

    @property
    def known_purpose(self) -> Purpose:
        """The purpose.

        Raises:
            ValueError: there is none.
        """
        if self.purpose is None:
            raise ValueError("the segment does not say what it is trained for.")
        return self.purpose

    def is_evaluated(self, step: int) -> bool:
        """Whether the validation loss is measured after `step` updates."""
        return step % self.eval_every == 0 or step == self.horizon

    def is_merged(self, step: int) -> bool:
        """Whether merged losses are measured after `step` updates.

        At evaluations 4, 8, 16, … and at the horizon: each costs a validation per window, and what changes slowly need
        not be looked at often. It is a rule of the update and the evaluation grid, so shared prefixes share them.
        """
        evaluations, rest = divmod(step, self.eval_every)
        doubled = rest == 0 and evaluations >= FIRST_MERGED and evaluations & (evaluations - 1) == 0
        return self.validate and (doubled or step == self.horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One evaluation.

    Attributes:
        step: updates done.
        loss: validation loss, the number schedules are judged by (the training loss in a range test).
        metrics: further numbers, e.g. ``train_loss`` and ``grad_norm`` (means since the last point).
        merged: validation losses of means of the last weights, by how many updates' weights are averaged; empty where
            they were not measured.
        losses: all validation losses by name, where the trainer names several; `loss` is one of them or a weighted sum.
    """

    step: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    merged: Mapping[int, float] = field(default_factory=dict, metadata={"absent_when_empty": True})
    losses: Mapping[str, float] = field(default_factory=dict, metadata={"absent_when_empty": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The model was lost to the learning rate: a result, not a crash."""

    step: int
    loss: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a worker saw while it trained a segment.

    Attributes:
        segment: the segment's identity.
        start: update the worker began at; earlier than the segment needed when a lost checkpoint was made up for.
        points: evaluations after `report_from`, in order of step.
        checkpoint: URI of the state at `stop`; None after a divergence, and when the trainer's runs do not resume.
        trained: updates this worker really computed: ``stop - start``, fewer after a divergence, 0 when an earlier
            study had already trained them.
        seconds: wall-clock the worker was busy, loading and saving included.
        worker: name of the worker.
        divergence: set when the run diverged inside the segment; `stop` is then never reached.
    """

    segment: str
    start: int
    stop: int
    points: tuple[Point, ...]
    checkpoint: str | None
    trained: int
    seconds: float
    worker: str = "local"
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a segment could not be trained.

    Attributes:
        kind: ``error`` (the trainer raised), ``out_of_memory``, ``worker_died``, ``checkpoint_lost`` (its start
            cannot be loaded), ``storage`` (the checkpoint cannot be written) or ``preempted`` (the machine was wanted
            for something else: no fault of the run's, so it is trained elsewhere and no retry is used up).
        reason: one line, with advice where there is any.
    """

    segment: str
    kind: FailureKind
    reason: str
    seconds: float = 0.0
    worker: str = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A predicted loss at the horizon with a central 90% interval, in nats.

    Attributes:
        low, mean, high: 5%, expected and 95% value.
        law: which law made it.
        step: updates of the trial it was allowed to see.
    """

    mean: float
    low: float
    high: float
    law: str
    step: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.low <= self.mean <= self.high):
            raise ValueError(f"need low <= mean <= high, but got {self.low}, {self.mean}, {self.high}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a trial goes on.

    Attributes:
        action: ``keep`` or ``stop``.
        reason: one sentence for the ledger and the report.
        forecast: what the pruner expects at the horizon, when it has an opinion.
        holdout: the pruner wanted to stop the trial, but it is one of those kept to count false kills.
    """

    action: Action
    reason: str
    forecast: Forecast | None = None
    holdout: bool = False


KEEP = Decision(action="keep", reason="no pruner")
LAWLESS = "no law describes the curves"
"""How the reason of a decision begins that was made in the law's place."""
