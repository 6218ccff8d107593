"""Loss curves, where they come from, and how to smooth them."""

from autosched.curves.csv_files import read_curve, read_curves
from autosched.curves.curve import Curve
from autosched.curves.logged_lrs import read_lrs, read_mlflow_lrs
from autosched.curves.mlflow_runs import MlflowSource, read_mlflow_curves
from autosched.curves.smoothing import smoothed, without_outliers

__all__ = [
    "Curve",
    "MlflowSource",
    "read_curve",
    "read_curves",
    "read_lrs",
    "read_mlflow_curves",
    "read_mlflow_lrs",
    "smoothed",
    "without_outliers",
]
