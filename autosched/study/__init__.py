"""Studies from Python: start one, go on with one, look at what one found. The command line is made of these parts."""

from autosched.study.results import Study
from autosched.study.tuning import resume, tune

__all__ = ["Study", "resume", "tune"]
