"""What a study says of the training it stands for, as lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def target_lines(target: Mapping[str, Any] | None) -> Iterator[str]:
    """For the terminal, from ``target`` of the summary."""
    if target is None:
        return
    if "new" in target:
        names = " and ".join(rule["name"] for rule in target["rules"])
        yield f"target      {_setting(target['new'])}: peak LR {peak_text(target['new'])}, by {names}"
        yield from reservations(target)
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


def peak_text(new: Mapping[str, Any]) -> str:
    """A peak LR that was carried over, with its interval."""
    return f"{new['peak_lr']:.4g}, 90% interval {new['low']:.3g} to {new['high']:.3g}"


def reservations(carried: Mapping[str, Any]) -> Iterator[str]:
    """Lines on which weights a peak LR that was carried over is for, and on what its rules warn of.

    Args:
        carried: of :func:`autosched.transfer.carry_over.carried_over_document`.
    """
    if carried["factor_of_others"] is not None:
        others = carried["old"]["peak_lr"] * carried["factor_of_others"]
        yield f"weights     that is for {carried['weights']} in a group of their own; all others {others:.4g}"
    yield from (f"warning     {warning}" for warning in carried["warnings"])


def _check(ladder: Mapping[str, Any]) -> str:
    check = ladder["check"]
    interval = f"{check['predicted']:.3g} ({check['low']:.3g} to {check['high']:.3g})"
    verdict = "holds" if check["held"] else "does not hold"
    return f"the smaller ones say {interval} of the largest, where {check['found']:.3g} was found: the rule {verdict}"
