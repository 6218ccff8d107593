"""The ``objective`` of a space: by which of a trainer's validation losses schedules are judged."""

from __future__ import annotations

from collections.abc import Mapping

from autosched.space.document import shown
from autosched.space.section import Section, is_number

FORM = "the name of a loss, or positive weights by name as {new: 0.7, old: 0.3}"


def read_objective(top: Section) -> Mapping[str, float]:
    """Weights by the name of a loss; empty when nothing is said. A name alone has the weight 1."""
    if not top.has("objective"):
        return {}
    value = top.raw("objective")
    weights = {value: 1.0} if isinstance(value, str) and value else value
    if isinstance(weights, dict) and weights and all(is_number(part) and part > 0 for part in weights.values()):
        return {name: float(weight) for name, weight in weights.items()}
    top.fault("objective", f"must be {FORM}, but got {shown(value)}.")
    return {}
