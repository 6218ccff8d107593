"""Notices that a run has diverged, from its training losses alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from autosched.trainer import Diverged


@dataclass(slots=True, kw_only=True)
class DivergenceWatch:
    """Follows the training loss update by update; part of a checkpoint, so it does not matter how a run is cut.

    A run has diverged when its loss, or the norm of its gradient, is NaN or infinite, or when its smoothed loss
    ``s_i = memory * s_{i-1} + (1 - memory) * L_i`` (``s_0 = L_0``) exceeds ``factor * L_0 + margin``. A fresh model's
    loss L_0 is that of guessing, so this is far worse than a model that has learned nothing. Smoothing lets single
    spikes pass, which a high LR brings and a run survives.

    Attributes:
        first: loss of update 0, nats; None before it.
        smoothed: smoothed loss so far, nats.
    """

    first: float | None = None
    smoothed: float = 0.0

    memory = 0.9
    factor = 1.5
    margin = 1.0

    def observe(self, step: int, loss: float, grad_norm: float) -> None:
        """Take in update number `step` (counted from 1).

        Raises:
            Diverged: the run has diverged.
        """
        if not math.isfinite(loss):
            raise Diverged(step, loss, f"the training loss became {loss} at update {step}")
        if not math.isfinite(grad_norm):
            raise Diverged(step, loss, f"the gradient norm became {grad_norm} at update {step}")
        if self.first is None:
            self.first = self.smoothed = loss
        self.smoothed = self.memory * self.smoothed + (1.0 - self.memory) * loss
        limit = self.factor * self.first + self.margin
        if self.smoothed > limit:
            reason = f"the training loss, {self.smoothed:.3g} on average, is far above the start ({self.first:.3g})"
            raise Diverged(step, loss, f"{reason} at update {step}")

    def state(self) -> dict[str, float | None]:
        """What :meth:`restore` needs."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, object]) -> DivergenceWatch:
        """The watch whose :meth:`state` this is.

        Raises:
            ValueError: it is not one.
        """
        first, smoothed = state.get("first"), state.get("smoothed")
        if not isinstance(smoothed, float) or not (first is None or isinstance(first, float)):
            raise ValueError("the state of the divergence watch must hold two numbers.")
        return cls(first=first, smoothed=smoothed)
