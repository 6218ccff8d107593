"""The peak LR in words: what a range test found, and how much the LR matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def range_test_text(found: Mapping[str, Any]) -> str:
    """The outcome of a study's range test in a line."""
    cost = f"{found['steps']} updates"
    if found["low"] is None:
        return f"no bounds: {found['reason']} ({cost})"
    diverged = found["divergence_lr"]
    edge = "no divergence seen" if diverged is None else f"training diverges at {diverged:.3g}"
    return f"peak_lr from {found['low']:.3g} to {found['high']:.3g}; {edge} ({cost})"


def sensitivity_text(found: Mapping[str, Any]) -> str:
    """The sensitivity of one family in a line."""
    if found["value"] is None:
        return f"{found['family']}: none, {found['reason']}"
    return f"{found['family']} {found['value']:.4f} nats over LR {found['low']:.2g} to {found['high']:.2g}"
