"""autosched: find the learning-rate schedule a training run should use, for the cost of a few runs.

The public names, complete and sorted. A name is loaded when it is first used, so importing this loads nothing else.

Example:
    >>> import autosched
    >>> autosched.build("wsd", {"peak_lr": 0.01, "warmup_steps": 30}, steps=600).describe()
    'wsd(peak_lr=0.01, warmup_steps=30, cooldown_fraction=0.2, cooldown_shape=linear, final_lr_ratio=0)'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autosched import curves, errors, ledger, schedules, space, trainer
    from autosched.attached import attach
    from autosched.curves import Curve, read_curve, read_curves, read_lrs
    from autosched.errors import (
        AutoschedError,
        BackendError,
        CheckpointError,
        CurveError,
        LedgerError,
        ScheduleError,
        SpaceError,
        StudyError,
        TrackingError,
        UsageError,
        WorkError,
    )
    from autosched.ledger.state import StudyState
    from autosched.ledger.store import Ledger
    from autosched.schedules import (
        Family,
        Parameter,
        Schedule,
        build,
        export_text,
        family_names,
        from_torch,
        get_family,
        recipe_names,
        to_csv,
        to_function,
        to_lambda_lr,
        to_torch_source,
    )
    from autosched.space import Space, load_space
    from autosched.study import Study, resume, tune

__all__ = [
    "AutoschedError",
    "BackendError",
    "CheckpointError",
    "Curve",
    "CurveError",
    "Family",
    "Ledger",
    "LedgerError",
    "Parameter",
    "Schedule",
    "ScheduleError",
    "Space",
    "SpaceError",
    "Study",
    "StudyError",
    "StudyState",
    "TrackingError",
    "UsageError",
    "WorkError",
    "attach",
    "build",
    "curves",
    "errors",
    "export_text",
    "family_names",
    "from_torch",
    "get_family",
    "ledger",
    "load_space",
    "read_curve",
    "read_curves",
    "read_lrs",
    "recipe_names",
    "resume",
    "schedules",
    "space",
    "to_csv",
    "to_function",
    "to_lambda_lr",
    "to_torch_source",
    "trainer",
    "tune",
]

_HOMES = {
    "attached": ("attach",),
    "curves": ("Curve", "read_curve", "read_curves", "read_lrs"),
    "errors": (
        "AutoschedError",
        "BackendError",
        "CheckpointError",
        "CurveError",
        "LedgerError",
        "ScheduleError",
        "SpaceError",
        "StudyError",
        "TrackingError",
        "UsageError",
        "WorkError",
    ),
    "ledger": (),
    "ledger.state": ("StudyState",),
    "ledger.store": ("Ledger",),
    "schedules": (
        "Family",
        "Parameter",
        "Schedule",
        "build",
        "export_text",
        "family_names",
        "from_torch",
        "get_family",
        "recipe_names",
        "to_csv",
        "to_function",
        "to_lambda_lr",
        "to_torch_source",
    ),
    "space": ("Space", "load_space"),
    "study": ("Study", "resume", "tune"),
}
"""Module of this package -> the public names that are there."""


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), None)
    loaded = import_module(f"{__name__}.{home or name}")
    value = loaded if home is None else getattr(loaded, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
