"""The part of the report about the peak LR: its range test, the LRs of stages, and how much it matters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autosched.report.markup import Html, picture, section, table, tag

SENSITIVITY = (
    "LR sensitivity is the expected excess loss when the peak LR is drawn log-uniformly from the range instead of "
    "chosen, diverged runs counting as untrained (Wortsman et al. 2023). Each quarter decade stands for its best "
    "complete trial; between them the loss is interpolated. It compares over equal ranges only."
)


def lr_section(summary: Mapping[str, Any], figures: Mapping[str, bytes]) -> Html | None:
    """The range test of the study, the LRs of its stages and the sensitivity of its families."""
    parts = [*_range_test(summary["range_test"], figures), *_stages(summary["stages"])]
    parts += _sensitivity(summary["lr_sensitivity"])
    return section("lr", "The peak LR", *parts) if parts else None


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


def _range_test(found: Mapping[str, Any] | None, figures: Mapping[str, bytes]) -> list[Html]:
    if found is None:
        return []
    parts = [tag("p", f"Range test: {range_test_text(found)}.")]
    if "range_test" in figures:
        caption = "One model, trained once while the LR rises exponentially. The search's bounds are shaded."
        parts.append(picture(figures["range_test"], alt="loss against LR in the range test", caption=caption))
    return parts


def _stages(found: list[Mapping[str, Any]]) -> list[Html]:
    if not found:
        return []
    starts = [0, *(stage["step"] for stage in found)]
    rows = [
        (str(stage["stage"]), f"{start} to {stage['step']}", f"{stage['lr']:.4g}", str(stage["trial"]))
        for start, stage in zip(starts, found, strict=False)
    ]
    heads = ("stage", "updates", "LR", "tried by trial")
    return [tag("h3", "Stages"), table(heads, rows, numbers=frozenset({0, 1, 2, 3}))]


def _sensitivity(found: list[Mapping[str, Any]]) -> list[Html]:
    if not found:
        return []
    rows = [
        (one["family"], "", "", "", one["reason"])
        if one["value"] is None
        else (
            one["family"],
            f"{one['value']:.4f}",
            f"{one['low']:.3g} to {one['high']:.3g}",
            f"{one['best_lr']:.3g}",
            f"{one['runs']} trials in {one['cells']} quarter decades",
        )
        for one in found
    ]
    heads = ("family", "sensitivity (nats)", "range of the peak LR", "best", "from")
    return [tag("h3", "LR sensitivity"), tag("p", SENSITIVITY), table(heads, rows, numbers=frozenset({1, 2, 3}))]
