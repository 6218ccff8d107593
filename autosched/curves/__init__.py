"""Loss curves and where they come from."""

from autosched.curves.csv_files import read_curve, read_curves
from autosched.curves.curve import Curve

__all__ = ["Curve", "read_curve", "read_curves"]
