"""One training run in this process, by AutoLRS's state machine or by a fixed schedule."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray
from autosched.search.autolrs import Failed, Seen, Settings, State, Work, ask, schedule, stage_of, tell
from autosched.trainer import Diverged, Trainer

SEARCHED = ("probe", "decay")
"""Kinds of work that lead to no committed update by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run came to; JSON data by ``dataclasses.asdict``.

    Attributes:
        total_steps: updates trained, search included.
        committed_steps: updates that led to the final weights.
        final_loss: validation loss after the last update, nats; None where there is none, see `note`.
        seconds: of training, restoring and deciding, without the looks at the validation loss on the way.
        lrs: LR of each stage, or the peak LR.
        note: what went wrong, or empty.
        path: of a run that was looked at: ``lrs`` of its committed updates, and ``losses`` after ``updates`` trained.
    """

    total_steps: int
    committed_steps: int
    final_loss: float | None
    seconds: float
    lrs: tuple[float, ...]
    note: str = ""
    path: dict[str, list[float]] | None = None


@dataclass(slots=True)
class Desk:
    """A trainer with a clock that stops while the validation loss is only looked at.

    Attributes:
        every: committed updates between two looks; 0 for none.
    """

    trainer: Trainer
    every: int = 0
    began: float = field(default_factory=time.perf_counter)
    idle: float = 0.0
    looks: list[tuple[int, float]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self.began - self.idle

    def saved(self) -> bytes:
        """A checkpoint."""
        file = io.BytesIO()
        self.trainer.save(file)
        return file.getvalue()

    def restore(self, checkpoint: bytes) -> None:
        """Go back to it."""
        self.trainer.load(io.BytesIO(checkpoint))

    def look(self, trained: int) -> float:
        """The validation loss after so many updates, search included."""
        with self._paused():
            loss = self.trainer.evaluate()
        self.looks.append((trained, loss))
        return loss

    def update(self, lr: float, *, trained: int | None) -> float:
        """One update; its training loss, NaN if the run diverged. `trained` so far; None where nobody looks."""
        try:
            loss = float(self.trainer.train(np.array([lr]))["train_loss"])
        except Diverged:
            return math.nan
        if self.every and trained is not None and self.trainer.step % self.every == 0:
            self.look(trained + 1)
        return loss

    def follow(self, lrs: FloatArray, *, trained: int | None) -> int:
        """Updates with these LRs until the run diverges; how many were made. `trained` as in :meth:`update`."""
        for done, lr in enumerate(lrs.tolist()):
            if math.isnan(self.update(lr, trained=None if trained is None else trained + done)):
                return done
        return len(lrs)

    def path(self, lrs: FloatArray) -> dict[str, list[float]] | None:
        """What was looked at, or None."""
        if not self.every:
            return None
        updates, losses = zip(*self.looks, strict=True) if self.looks else ((), ())
        return {"lrs": [float(f"{lr:.5g}") for lr in lrs], "updates": [*updates], "losses": [*losses]}

    @contextmanager
    def _paused(self) -> Iterator[None]:
        stopped = time.perf_counter()
        yield
        self.idle += time.perf_counter() - stopped


def run_schedule(trainer: Trainer, lrs: FloatArray, *, peak: float, every: int = 0) -> Run:
    """Train with given LRs to the end, or until it diverges."""
    trainer.start()
    desk = Desk(trainer, every)
    done = desk.follow(lrs, trained=0)
    seconds, whole = desk.seconds, done == len(lrs)
    return Run(
        total_steps=done,
        committed_steps=done,
        final_loss=desk.look(done) if whole else None,
        seconds=seconds,
        lrs=(peak,),
        note="" if whole else f"diverged at update {done + 1}",
        path=desk.path(lrs[:done]),
    )


def run_searched(trainer: Trainer, lrs: Sequence[float], *, warmup: int, total: int, every: int = 0) -> Run:
    """A constant LR searched as people do: all LRs for the same few updates, half the total, then on with the best.

    The best is that of the lowest validation loss; it goes on from its own checkpoint.
    """
    each = max(1, total // (2 * len(lrs)))
    trainer.start()
    desk, found = Desk(trainer, every), list[tuple[float, float, bytes]]()
    start, trained = desk.saved(), 0
    for lr in lrs:
        desk.restore(start)
        path = build("constant", {"peak_lr": lr, "warmup_steps": min(warmup, each - 1)}, steps=each).lrs
        done = desk.follow(path, trained=None)
        trained += done
        if done == each:
            found.append((desk.trainer.evaluate(), lr, desk.saved()))
    if not found:
        note = "all LRs diverged"
        return Run(total_steps=trained, committed_steps=0, final_loss=None, seconds=desk.seconds, lrs=(), note=note)
    _, best, checkpoint = min(found, key=lambda one: one[:2])
    desk.restore(checkpoint)
    went_on = desk.follow(np.full(total - trained, best), trained=trained)
    done, trained = each + went_on, trained + went_on
    whole, seconds = trained == total, desk.seconds
    return Run(
        total_steps=trained,
        committed_steps=done,
        final_loss=desk.look(trained) if whole else None,
        seconds=seconds,
        lrs=(best,),
        note="" if whole else f"diverged at update {done + 1}",
        path=desk.path(np.full(done, best)),
    )


def run_autolrs(trainer: Trainer, settings: Settings, *, total: int, every: int = 0) -> Run:
    """Let AutoLRS train; never more than `total` updates, search included.

    A winner that diverges after its probe makes the run dearer than planned. What the total has room for is trained
    then, and the note says so.
    """
    trainer.start()
    desk = Desk(trainer, every)
    state, start, ends = State(), desk.saved(), dict[int | None, bytes]()
    while isinstance(work := ask(settings, state), Work):
        reused = work.kind == "commit" and work.start > _checkpoint(settings, state)
        goes_on = reused or work.kind == "decay"
        desk.restore(ends[work.probe] if goes_on else start)
        if work.updates > total - state.trained:
            return _cut_short(desk, state, work, total)
        seen = _train(desk, settings, state, work)
        state = tell(settings, state, work, seen)
        if not np.all(np.isfinite(seen.losses)):
            continue
        if work.kind == "probe":
            ends[work.probe] = desk.saved()
        elif work.kind != "decay":
            start, ends = desk.saved(), {}
    failed = isinstance(work, Failed)
    seconds = desk.seconds
    return Run(
        total_steps=state.trained,
        committed_steps=state.position,
        final_loss=None if failed else desk.look(state.trained),
        seconds=seconds,
        lrs=tuple(passed.lr for passed in state.passed),
        note=work.reason if isinstance(work, Failed) else "",
        path=desk.path(_committed(state)),
    )


def _checkpoint(settings: Settings, state: State) -> int:
    stage = stage_of(settings, state.position)
    return state.position if stage is None else stage.checkpoint


def _committed(state: State) -> FloatArray:
    found = schedule(state)
    return np.empty(0) if found is None else found.lrs


def _train(desk: Desk, settings: Settings, state: State, work: Work) -> Seen:
    """Train some work update by update; its training losses, or validation losses where these score the stage."""
    stage = stage_of(settings, state.position)
    by_validation = stage is not None and stage.by_validation
    between = max(1, stage.probe // settings.validations) if stage is not None else 1
    steps, losses = [], []
    for i, lr in enumerate(work.lrs.tolist()):
        loss = desk.update(lr, trained=None if work.kind in SEARCHED else state.trained + i)
        if math.isnan(loss):
            return Seen(updates=i + 1, steps=(*steps, float(work.start + i)), losses=(*losses, loss))
        done = work.start + i + 1
        if not by_validation:
            steps.append(float(done - 1))  # a training loss is that before its update
            losses.append(loss)
        elif stage is not None and (done - stage.checkpoint) % between == 0:
            steps.append(float(done))
            losses.append(desk.trainer.evaluate())
    return Seen(updates=work.updates, steps=tuple(steps), losses=tuple(losses))


def _cut_short(desk: Desk, state: State, work: Work, total: int) -> Run:
    """Train what the total has room for, if it would be committed."""
    room = total - state.trained
    lrs = work.lrs[: 0 if work.kind in SEARCHED else room]
    done = desk.follow(lrs, trained=state.trained)
    seconds, whole = desk.seconds, done == len(lrs)
    begun = np.full(max(0, work.start - state.position), work.lr) if work.kind == "commit" else np.empty(0)
    return Run(
        total_steps=state.trained + done,
        committed_steps=(state.position if work.kind in SEARCHED else work.start) + done,
        final_loss=desk.look(state.trained + done) if whole else None,
        seconds=seconds,
        lrs=(*(passed.lr for passed in state.passed), *([work.lr] if work.kind == "commit" else [])),
        note=f"a winner diverged after its probe: cut short in its {work.kind} when the total was spent",
        path=desk.path(np.concatenate([_committed(state), begun, lrs[:done]])),
    )


def plain(run: Run, **fields: Any) -> dict[str, Any]:
    """A row of the results."""
    return {
        **fields,
        "total_steps": run.total_steps,
        "committed_steps": run.committed_steps,
        "final_loss": run.final_loss,
        "seconds": round(run.seconds, 3),
        "lrs": [*run.lrs],
        "note": run.note,
        "path": run.path,
    }
