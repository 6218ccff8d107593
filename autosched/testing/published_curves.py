"""Where tests and benchmarks find the published curves, which are not part of the package."""

from __future__ import annotations

import os
from pathlib import Path

import autosched
from autosched.curves.csv_files import read_curve, read_curves
from autosched.curves.curve import Curve
from autosched.errors import CurveError


def published_curves() -> Path:
    """The folder of the published curves: ``AUTOSCHED_CURVES``, or ``shared/curves`` beside the repository.

    Raises:
        CurveError: they are in neither place.
    """
    beside = Path(autosched.__file__).resolve().parents[2] / "shared" / "curves"
    folder = Path(os.environ.get("AUTOSCHED_CURVES", beside))
    if not (folder / "runs.csv").is_file():
        raise CurveError("no published curves here: set AUTOSCHED_CURVES to the folder that has runs.csv.", file=folder)
    return folder


def published_curve(name: str) -> Curve:
    """One of them, e.g. ``gpt25m/cosine_24000``."""
    return read_curve(published_curves() / f"{name}.csv")


def published_group(group: str) -> tuple[Curve, ...]:
    """All curves of a group: ``gpt25m``, ``gpt100m`` or ``llama124m``."""
    return read_curves(published_curves() / group)
