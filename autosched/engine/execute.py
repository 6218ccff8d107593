"""Runs one segment on one worker: find the start state, train from evaluation to evaluation, store the end state.

Every backend runs segments through :class:`SegmentRunner`, so a segment has the same result wherever it is trained.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from autosched.engine.backend import Outcome
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.errors import AutoschedError, CheckpointError
from autosched.ledger.records import Divergence, Failure, FailureKind, Observation, Point, Segment
from autosched.trainer import Diverged, MergingTrainer, OutOfMemoryError, Trainer, TrainerFactory
from autosched.trainer.protocol import SegmentTrainer
from autosched.trainer.values import as_loss, as_losses, as_means, objective_of, own_place

_REASON_LENGTH = 500


@dataclass(slots=True)
class _Held:
    """The trainer in memory: for which runs it was built, and the identity of its state.

    `state` is the identity of a segment's end, ``""`` for something no segment names (half-way, diverged).
    """

    trainer: Trainer | SegmentTrainer
    built_for: tuple[str, int, int]
    state: str = ""


class _LostStartError(Exception):
    """The segment's start state cannot be had; the text says why."""


class SegmentRunner:
    """Trains segments one after another in this process.

    The last trainer stays in memory, and only that one. A segment that goes on from the state it holds
    (``segment.load_id``) starts at once; another segment of the same trainer, seed and horizon loads its checkpoint
    into it; any other builds a new trainer after dropping the old one.

    Args:
        factory: makes a trainer from (use, options, seed, horizon).
        worker: name of this worker in observations and failures.
    """

    def __init__(self, factory: TrainerFactory, *, worker: str = "local") -> None:
        self.worker = worker
        self._factory = factory
        self._held: _Held | None = None

    def run(self, segment: Segment) -> Outcome:
        """Train `segment`; what goes wrong comes back as a value.

        A point is made at every evaluated update after ``segment.report_from``. Its metrics are means since the
        evaluated update before it, or since ``segment.start`` if that is later: a segment does not know the updates
        before it. Updates after its last evaluated one are in no point's metrics.

        Returns:
            An Observation, with a divergence if the run diverged, or a Failure: ``checkpoint_lost`` (the start state
            cannot be loaded), ``storage`` (the end state cannot be stored), ``out_of_memory``, or ``error``. After a
            failure the trainer is dropped from memory.
        """
        began = time.perf_counter()
        if segment.save_uri is None and self.state != segment.load_id:
            segment = segment.from_update_0()
        try:
            trainer = self._at_start(segment)
            points, divergence, trained = _train(trainer, segment)
            if divergence is None:
                if segment.save_uri is not None:
                    CheckpointStore.save(segment.save_uri, trainer.save)
                self._hold(segment.id)
        except (Exception, SystemExit) as error:  # a trainer's sys.exit() must not end the study
            kind, reason = _diagnose(error)
        else:
            return Observation(
                segment=segment.id,
                start=segment.start,
                stop=segment.stop,
                points=tuple(points),
                checkpoint=segment.save_uri if divergence is None else None,
                trained=trained,
                seconds=time.perf_counter() - began,
                worker=self.worker,
                divergence=divergence,
            )
        self.forget()  # outside the handler: the traceback there still holds the trainer's tensors
        seconds = time.perf_counter() - began
        return Failure(segment=segment.id, kind=kind, reason=reason, seconds=seconds, worker=self.worker)

    @property
    def state(self) -> str:
        """Identity of the state that the trainer in memory is in; empty when no segment names it."""
        return "" if self._held is None else self._held.state

    def release(self, state: str) -> None:
        """Drop the trainer in memory if it is in this state."""
        if self.state == state:
            self.forget()

    def forget(self) -> None:
        """Drop the trainer in memory; the next segment builds a new one."""
        if self._held is None:
            return
        if isinstance(self._held.trainer, SegmentTrainer):
            self._held.trainer.close()
        self._held = None
        if "torch" in sys.modules:  # a collection takes 20 ms, so only where a model may occupy a device
            gc.collect()  # models can be part of reference cycles, and the next one may need their memory

    def _at_start(self, segment: Segment) -> Trainer | SegmentTrainer:
        """The trainer in the segment's start state.

        Its identity is forgotten here and set again after the segment: a segment that is interrupted, even by Ctrl-C,
        must not leave a trainer that claims to be where it no longer is.
        """
        built_for = (segment.trainer.canonical(), segment.seed, segment.horizon)
        if self._held is None or self._held.built_for != built_for:
            self.forget()
            spec = segment.trainer
            self._held = _Held(self._factory(spec.use, spec.options, segment.seed, segment.horizon), built_for)
        trainer, state = self._held.trainer, self._held.state
        self._held.state = ""
        if segment.start == 0:
            trainer.start()
        elif segment.load_uri is not None and (state != segment.load_id or not state):
            _load(trainer, segment.load_uri, segment.start)
        return trainer

    def _hold(self, state: str) -> None:
        if self._held is not None:
            self._held.state = state


def _load(trainer: Trainer | SegmentTrainer, uri: str, step: int) -> None:
    try:
        with CheckpointStore.open(uri) as file:
            trainer.load(file)
    except (OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        # Whatever a damaged file makes a trainer raise, the cure is the same: train the updates before it again.
        raise _LostStartError(f"cannot start from {uri}: {_explain(error)}") from error
    if trainer.step != step:
        raise _LostStartError(f"cannot start from {uri}: it holds update {trainer.step}, not {step}.")


def _train(trainer: Trainer | SegmentTrainer, segment: Segment) -> tuple[list[Point], Divergence | None, int]:
    """Train to the segment's end or its divergence: the points, the divergence, the updates done."""
    points: list[Point] = []
    done = segment.start
    weights = segment.trainer.objective if segment.validate else {}
    try:
        if isinstance(trainer, SegmentTrainer):
            for point in trainer.train_segment(segment):
                done = point.step
                points += [_judged(point, weights)] if point.step > segment.report_from else []
            return points, None, segment.steps
        for stop in _stops(segment):
            means = as_means(trainer.train(segment.lrs[done - segment.start : stop - segment.start]))
            done = stop
            if stop <= segment.report_from or not segment.is_evaluated(stop):
                continue
            losses = as_losses(trainer.evaluate()) if segment.validate else {"": means["train_loss"]}
            lost = next((loss for loss in losses.values() if not math.isfinite(loss)), None)
            if lost is not None:
                what = "validation" if segment.validate else "training"
                divergence = Divergence(step=stop, loss=lost, reason=f"the {what} loss is {lost}.")
                return points, divergence, done - segment.start
            merged = _merged_losses(trainer, weights) if segment.is_merged(stop) else {}
            named = {} if "" in losses else losses
            first = next(iter(losses.values()))
            points.append(_judged(Point(step=stop, loss=first, metrics=means, merged=merged, losses=named), weights))
    except Diverged as error:
        done = min(max(error.step, done), segment.stop)
        reason = _one_line(error.reason)
        return points, Divergence(step=error.step, loss=error.loss, reason=reason), done - segment.start
    return points, None, done - segment.start


def _judged(point: Point, weights: Mapping[str, float]) -> Point:
    """The point with the loss that schedules are judged by."""
    return replace(point, loss=objective_of(point.losses or {"": point.loss}, weights)) if weights else point


def _merged_losses(trainer: Trainer, weights: Mapping[str, float]) -> dict[int, float]:
    """The finite ones: a mean of sound weights may lie where the model overflows, which says nothing about the run."""
    if not isinstance(trainer, MergingTrainer):
        return {}
    losses = {int(window): as_loss(loss, weights) for window, loss in trainer.evaluate_merged().items()}
    return {window: loss for window, loss in losses.items() if math.isfinite(loss)}


def _stops(segment: Segment) -> Iterator[int]:
    """Updates after which training pauses: every evaluated one, known or not, and the end.

    Known ones (up to `report_from`) too, so that the metrics of later points are the same as in the first training.
    """
    every = segment.eval_every
    yield from range((segment.start // every + 1) * every, segment.stop, every)
    yield segment.stop


def _diagnose(error: Exception | SystemExit) -> tuple[FailureKind, str]:
    if isinstance(error, OutOfMemoryError):
        return "out_of_memory", _one_line(error)
    if isinstance(error, MemoryError):
        return "out_of_memory", "the worker's main memory is full: use a smaller model or fewer workers."
    if isinstance(error, _LostStartError):
        return "checkpoint_lost", _one_line(error)
    if isinstance(error, CheckpointError):
        return "storage", _one_line(error)
    return "error", _explain(error)


def _explain(error: Exception | SystemExit) -> str:
    """One line: our own errors speak for themselves, others also need their type and place."""
    return _one_line(error) if isinstance(error, AutoschedError) else _one_line(own_place(error))


def _one_line(message: object) -> str:
    text = " ".join(str(message).split())
    return text if len(text) <= _REASON_LENGTH else f"{text[: _REASON_LENGTH - 1]}…"
