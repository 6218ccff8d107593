"""How long a committed run may be, so that its search and itself cost a given total."""

from __future__ import annotations

from collections.abc import Callable

from autosched.errors import UsageError
from autosched.search.autolrs import Settings, stages


def updates_trained(settings: Settings) -> int:
    """Updates that a run with an end trains, search included, if no LR diverges.

    Per stage: the message before its checkpoint, its probes with their decays, and all after the checkpoint; where the
    winner's probe is reused, that probe is not paid again.

    Example:
        >>> updates_trained(Settings(low=1e-3, high=1e-1, steps=1000))
        1900
    """
    if settings.steps is None:
        raise UsageError("a run without an end has no total.")
    trained = settings.warmup_steps + settings.cooldown_steps
    for stage in stages(settings):
        trained += stage.stop - stage.start
        trained += sum(stage.probe_updates(number) + stage.decay for number in range(settings.probes))
        trained -= stage.probe if settings.reuse else 0
    return trained


def longest_within(total: int, make: Callable[[int], Settings]) -> Settings:
    """The settings with the most committed updates whose run trains at most `total`.

    Every length is tried from the top down: a stage that begins to fit makes a longer run dearer by a jump, so what a
    run trains is not quite monotone in its length.

    Args:
        make: the settings of a run of so many committed updates.

    Raises:
        UsageError: `total` is too small for any run; the settings' own fault is named.
    """
    settings = make(total)
    for steps in range(total, 0, -1):
        try:
            settings = make(steps)
        except UsageError as error:
            raise UsageError(f"{total} updates in total are too few, search included. {error}") from None
        if updates_trained(settings) <= total:
            break
    return settings
