"""How far the present work of an AutoLRS run is, and what was seen of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from autosched.schedules.schedule import FloatArray
from autosched.search.autolrs import Seen, Settings, Stage, Work, stage_of


@dataclass(slots=True)
class Progress:
    """Changes with every update.

    Attributes:
        work: what is trained; None when the run is over.
        stage: that a probe, its decay or a commit belongs to.
        every: updates between validation losses, which a decay has at its end only; 0 where training losses count.
        updates: of the work, that are done.
        steps, losses: what counts so far; see :class:`autosched.search.autolrs.Seen`.
    """

    work: Work | None = None
    stage: Stage | None = None
    every: int = 0
    updates: int = 0
    steps: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    _lrs: FloatArray | None = None

    @classmethod
    def of(cls, settings: Settings, work: Work | None) -> Progress:
        """The beginning of some work."""
        if work is None:
            return cls()
        stage = stage_of(settings, work.start) if work.kind in ("probe", "decay", "commit") else None
        by_validation = stage is not None and stage.by_validation
        every = max(stage.probe // settings.validations, 1) if stage is not None and by_validation else 0
        if every and work.kind == "decay":
            every = work.updates
        return cls(work=work, stage=stage, every=every, _lrs=work.lrs)

    @property
    def position(self) -> int:
        """Update that comes next, from the start of the run."""
        assert self.work is not None, "the run goes on"  # noqa: S101 - the caller looks
        return self.work.start + self.updates

    @property
    def lr(self) -> float:
        """Of that update."""
        assert self._lrs is not None, "the run goes on"  # noqa: S101 - the caller looks
        return float(self._lrs[self.updates])

    @property
    def from_an_end(self) -> bool:
        """Whether the work goes on from the end of a probe."""
        return self.work is not None and self.stage is not None and self.work.start > self.stage.checkpoint

    @property
    def over(self) -> bool:
        """Whether it is done, or diverged."""
        diverged = bool(self.losses) and not math.isfinite(self.losses[-1])
        return self.work is None or diverged or self.updates == self.work.updates

    def add(self, loss: float, validate: Callable[[], float]) -> None:
        """One update more, whose training loss this was; validates where that counts and is due."""
        before = self.position
        self.updates += 1
        if not self.every or not math.isfinite(loss):
            self._record(before, loss)
        elif self._validates:
            self._record(self.position, validate())

    @property
    def _validates(self) -> bool:
        """Whether it is due."""
        assert self.work is not None, "the run goes on"  # noqa: S101 - the caller looks
        start = self.work.start if self.work.kind == "decay" or self.stage is None else self.stage.checkpoint
        return (self.position - start) % self.every == 0

    def _record(self, step: int, loss: float) -> None:
        self.steps.append(float(step))
        self.losses.append(loss)

    def seen(self) -> Seen:
        """As the state machine is told."""
        return Seen(updates=self.updates, steps=tuple(self.steps), losses=tuple(self.losses))
