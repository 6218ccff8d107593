"""Where the stages of a run lie.

A stage of tau updates begins with probes of tau' updates each, all from its checkpoint, and is then trained with the LR
that won. Stages double up to the longest. The last one ends where the cooldown begins; what would be left after a stage
and is too short for probes of its own, or shorter than half the stage, belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autosched.search.autolrs.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage; updates are counted from the start of the run.

    Attributes:
        index: from 0.
        start: its first update.
        checkpoint: where its probes begin; `start`, unless messages cost updates.
        stop: the update after its last one.
        horizon: updates after the checkpoint at which a probe's loss is forecast (tau).
        probe: updates of a probe (tau').
        first_probe: updates of its first probe.
        decay: updates of a probe's decay; 0 where the forecast needs none.
        by_validation: whether validation losses score it.
    """

    index: int
    start: int
    checkpoint: int
    stop: int
    horizon: int
    probe: int
    first_probe: int
    decay: int
    by_validation: bool

    def probe_updates(self, number: int) -> int:
        """Updates of probe `number` (from 0)."""
        return self.probe if number else self.first_probe


def stages(settings: Settings) -> Iterator[Stage]:
    """The stages in order; without end where the run has none.

    Example:
        >>> from itertools import islice
        >>> [stage.horizon for stage in islice(stages(Settings(low=1e-3, high=1e-1)), 6)]
        [1000, 2000, 4000, 8000, 8000, 8000]
    """
    start, index, tau = settings.warmup_steps, 0, settings.first_stage
    end = None if settings.steps is None else settings.steps - settings.cooldown_steps
    fewest = settings.shortest_stage
    message = int(settings.message_updates)
    while end is None or start < end:
        stop = start + tau + 2 * message
        if end is not None and end - stop < max(fewest + 2 * message, tau // 2):
            stop = end
        horizon = stop - start - 2 * message
        probe = int(horizon * settings.probe_share + 1e-9)  # 100 * 0.29 is a little less than 29
        probe -= probe % settings.log_every
        yield Stage(
            index=index,
            start=start,
            checkpoint=start + message,
            stop=stop,
            horizon=horizon,
            probe=probe,
            first_probe=probe + (message if index == 0 else 0),
            decay=_decay(settings, probe),
            by_validation=settings.validation_from is not None and index >= settings.validation_from,
        )
        start, index, tau = stop, index + 1, min(2 * tau, settings.longest_stage)


def _decay(settings: Settings, probe: int) -> int:
    """A share of the probe, in whole logged losses, one at least."""
    if not settings.needs_decays:
        return 0
    every = settings.log_every
    return max(int(settings.decay_share * probe + 1e-9) // every, 1) * every


def stage_of(settings: Settings, position: int) -> Stage | None:
    """The stage that update `position` belongs to; None in warmup, in the cooldown and after the end."""
    for stage in stages(settings):
        if stage.stop > position:
            return stage if stage.start <= position else None
    return None
