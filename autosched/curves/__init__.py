"""Loss curves, and where they come from."""

from autosched.curves.csv_files import read_curve, read_curves
from autosched.curves.curve import Curve
from autosched.curves.logged_lrs import read_lrs, read_mlflow_lrs
from autosched.curves.mlflow_runs import MlflowSource, read_mlflow_curves

__all__ = [
    "Curve",
    "MlflowSource",
    "read_curve",
    "read_curves",
    "read_lrs",
    "read_mlflow_curves",
    "read_mlflow_lrs",
]
