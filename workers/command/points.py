"""From the losses a command reports, at updates of its own choice, to one loss for every evaluation of the engine."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autosched.ledger.records import Point
from autosched.trainer import Diverged
from workers.command.losses import Report


class MissingLossError(Exception):
    """The command went past an evaluation without a loss for it; the text says where, and what to change."""


class Evaluations:
    """Gathers reports into points, in order of updates.

    The point at an evaluated update is the mean (or the last) of the losses reported after the evaluated one before
    it and up to itself. So a validation loss that is reported exactly there is taken as it is, and training losses
    that are reported at every update are averaged.

    Args:
        start: updates done when the command begins.
        evaluated: updates after which the engine wants a loss, increasing.
        take: ``mean`` or ``last``.
    """

    def __init__(self, start: int, evaluated: Iterable[int], *, take: str = "mean") -> None:
        self._before, self._evaluated, self._take = start, [*evaluated], take
        self._reports: list[Report] = []
        self._seen = -math.inf
        self.count = 0

    def add(self, reports: Iterable[Report]) -> None:
        """Take in what was reported."""
        for report in reports:
            self.count += 1
            self._seen = max(self._seen, report.step)
            if self._evaluated and self._before < report.step <= self._evaluated[-1]:
                self._reports.append(report)

    def next_point(self, *, ended: bool = False) -> Point | None:
        """The next point, as soon as nothing more can be reported for it; None until then.

        Args:
            ended: the command has ended, so nothing more will be reported.

        Raises:
            Diverged: a loss that belongs to it is NaN or infinite.
            MissingLossError: nothing was reported for it.
        """
        if not self._evaluated or not (ended or self._seen >= self._evaluated[0]):
            return None
        step = self._evaluated[0]
        belonging = [report for report in self._reports if report.step <= step]
        for report in belonging:
            if not math.isfinite(report.loss):
                raise Diverged(
                    max(math.ceil(report.step), self._before + 1), report.loss, f"the loss is {report.loss}."
                )
        if not belonging:
            raise MissingLossError(self._missing(step))
        self._reports = [report for report in self._reports if report.step > step]
        self._before = self._evaluated.pop(0)
        losses = [report.loss for report in belonging]
        return Point(step=step, loss=losses[-1] if self._take == "last" else math.fsum(losses) / len(losses))

    def _missing(self, step: int) -> str:
        if not self.count:
            return "it reported no loss at all"
        if self._seen < step:
            return f"it reported its last loss at update {self._seen:g} of {step}"
        return f"between updates {self._before} and {step} it reported no loss: set eval_every to how often it does"
