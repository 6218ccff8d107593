"""What a study says of the training it stands for, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

SIZES = {"horizon": "updates", "width": "width"}


def target_lines(target: Mapping[str, Any] | None) -> Iterator[str]:
    """For the terminal, from ``target`` of the summary."""
    if target is None:
        return
    if "new" in target:
        names = " and ".join(rule["name"] for rule in target["rules"])
        yield f"target      {_setting(target['new'])}: {_peak(target['new'])}, by {names}"
        if target["factor_of_others"] is not None:
            others = target["old"]["peak_lr"] * target["factor_of_others"]
            yield f"            that is for {target['weights']} in a group of their own; all others {others:.4g}"
        yield from (f"            warning: {warning}" for warning in target["warnings"])
    ladder = target["ladder"]
    if ladder is None:
        return
    rungs = ", ".join(f"{rung['peak_lr']:.3g} at {rung['size']:g}" for rung in ladder["rungs"])
    yield f"ladder      {ladder['formula']}: best peak LR {rungs}"
    if ladder["check"] is not None:
        yield f"            {_check(ladder)}"


def _setting(new: Mapping[str, Any]) -> str:
    known = {"batch": new["batch"], "width": new["width"]}
    return ", ".join([f"{new['steps']} updates", *(f"{name} {value:g}" for name, value in known.items() if value)])


def _peak(new: Mapping[str, Any]) -> str:
    return f"peak LR {new['peak_lr']:.4g}, 90% interval {new['low']:.3g} to {new['high']:.3g}"


def _check(ladder: Mapping[str, Any]) -> str:
    check = ladder["check"]
    interval = f"{check['predicted']:.3g} ({check['low']:.3g} to {check['high']:.3g})"
    verdict = "holds" if check["held"] else "does not hold"
    return f"the smaller ones say {interval} of the largest, where {check['found']:.3g} was found: the rule {verdict}"
