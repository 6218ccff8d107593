"""autosched: find the learning-rate schedule a training run should use, for the cost of a few runs.

The public names, complete and sorted. Importing this loads neither torch, Ray, MLflow nor Optuna.

Example:
    >>> import autosched
    >>> autosched.build("wsd", {"peak_lr": 0.01, "warmup_steps": 30}, steps=600).describe()
    'wsd(peak_lr=0.01, warmup_steps=30, cooldown_fraction=0.2, cooldown_shape=linear, final_lr_ratio=0)'
"""

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
    to_csv,
    to_function,
    to_lambda_lr,
    to_torch_source,
)
from autosched.space import Space, load_space

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
    "StudyError",
    "StudyState",
    "TrackingError",
    "UsageError",
    "WorkError",
    "build",
    "export_text",
    "family_names",
    "from_torch",
    "get_family",
    "load_space",
    "read_curve",
    "read_curves",
    "read_lrs",
    "to_csv",
    "to_function",
    "to_lambda_lr",
    "to_torch_source",
]
