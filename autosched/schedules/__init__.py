"""Learning-rate schedules: the `Schedule` value, its families with typed parameters, exports to every framework."""

from autosched.schedules.exports.functions import to_csv, to_function
from autosched.schedules.exports.targets import export_text
from autosched.schedules.exports.torch_source import to_lambda_lr, to_torch_source
from autosched.schedules.family import Family
from autosched.schedules.from_torch import from_torch
from autosched.schedules.parameter import Parameter
from autosched.schedules.registry import build, family_names, get_family, recipe_names
from autosched.schedules.schedule import Schedule

__all__ = [
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
]
