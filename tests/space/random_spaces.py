"""Hypothesis strategies for spaces as JSON data: random domains and conditions, most of them sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

HORIZONS = (40, 100, 600, 1000)
SHAPES = ("linear", "sqrt", "cosine", "exponential", "power")
LIMITS: Mapping[str, tuple[float, float]] = {
    "peak_lr": (1e-6, 10.0),
    "cooldown_fraction": (1e-3, 1.0),
    "cooldown_power": (0.1, 8.0),
    "final_lr_ratio": (0.0, 1.0),
}
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "constant": ("peak_lr", "warmup_steps"),
    "linear": ("peak_lr", "warmup_steps", "final_lr_ratio"),
    "cosine": ("peak_lr", "warmup_steps", "final_lr_ratio"),
    "wsd": ("peak_lr", "warmup_steps", "cooldown_fraction", "cooldown_shape", "cooldown_power", "final_lr_ratio"),
}


@st.composite
def numbers(draw: st.DrawFn, low: float, high: float, *, whole: bool = False) -> Any:
    """A value, choices, or bounds on a linear or log scale, between two limits."""
    one = st.integers(int(low), int(high)) if whole else st.floats(low, high, allow_subnormal=False)
    form = draw(st.sampled_from(("value", "choices", "range")))
    if form == "value":
        return draw(one)
    several = sorted(draw(st.lists(one, min_size=2, max_size=4, unique=True)))
    if form == "choices":
        return {"choices": several}
    scale = draw(st.sampled_from(("linear", "log"))) if several[0] > 0 else "linear"
    return {"low": several[0], "high": several[-1], "scale": scale}


@st.composite
def families(draw: st.DrawFn, name: str, horizon: int) -> dict[str, Any]:
    """The parameters of a family; its cooldown power and last LR may have conditions."""
    found: dict[str, Any] = {}
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4, unique=True))
    for parameter in FAMILIES[name]:
        if parameter == "warmup_steps":
            found[parameter] = draw(numbers(0, horizon - 1, whole=True))
        elif parameter == "cooldown_shape":
            found[parameter] = {"choices": shapes}
        elif parameter != "cooldown_power" or "power" in shapes:
            low, high = LIMITS[parameter]
            found[parameter] = draw(numbers(low, high))
    ratio = found.get("final_lr_ratio")
    if name == "wsd" and isinstance(ratio, dict) and draw(st.booleans()):
        some = draw(st.lists(st.sampled_from(shapes), min_size=1, unique=True))
        found["final_lr_ratio"] = {**ratio, "when": {"cooldown_shape": some}}
    return found


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A space as JSON data."""
    horizon = draw(st.sampled_from(HORIZONS))
    names = draw(st.lists(st.sampled_from(list(FAMILIES)), min_size=1, max_size=3, unique=True))
    return {
        "study": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)),
        "seed": draw(st.integers(0, 10**12)),
        "trainer": {"use": "simulated", "with": draw(options())},
        "horizon_steps": horizon,
        "schedule": [{name: draw(families(name, horizon))} for name in names],
        "budget": {"full_runs": draw(st.floats(1e-3, 1e6)), "minutes": draw(st.floats(1e-3, 1e6))},
        "resources": {"gpus": draw(st.floats(0, 1) | st.integers(2, 8)), "cpus": draw(st.integers(1, 64))},
    }


def options() -> st.SearchStrategy[dict[str, Any]]:
    """Options of a trainer: any JSON data with text keys."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    nested = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
    return st.dictionaries(st.text(), nested, max_size=3)
