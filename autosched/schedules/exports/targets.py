"""The frameworks a schedule can be written for, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from autosched.errors import ScheduleError
from autosched.schedules.exports.functions import to_csv
from autosched.schedules.exports.huggingface_source import to_huggingface_source
from autosched.schedules.exports.keras_source import to_keras_source
from autosched.schedules.exports.lightning_source import to_lightning_source
from autosched.schedules.exports.megatron_arguments import to_megatron_arguments, to_nemo_overrides
from autosched.schedules.exports.optax_source import to_optax_source
from autosched.schedules.exports.torch_source import to_torch_source
from autosched.schedules.schedule import Schedule

TARGETS: Mapping[str, Callable[[Schedule], str]] = MappingProxyType(
    {
        "json": Schedule.to_json,
        "csv": to_csv,
        "torch": to_torch_source,
        "huggingface": to_huggingface_source,
        "lightning": to_lightning_source,
        "keras": to_keras_source,
        "optax": to_optax_source,
        "megatron": to_megatron_arguments,
        "nemo": to_nemo_overrides,
    }
)


def export_text(schedule: Schedule, target: str) -> str:
    """The schedule as text for a framework: Python source, arguments, a table, or the schedule file itself.

    Args:
        schedule: the LRs.
        target: one of json, csv, torch, huggingface, lightning, keras, optax, megatron, nemo.

    Raises:
        ScheduleError: no such target, or one that cannot express the schedule.

    Example:
        >>> export_text(Schedule([0.1]), "csv")
        'step,lr\\n0,0.1\\n'
    """
    if target not in TARGETS:
        raise ScheduleError(f"the target must be one of {', '.join(TARGETS)}, but got {target!r}.")
    return TARGETS[target](schedule)
