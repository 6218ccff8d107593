"""What a study says of the training it stands for: lines for the terminal, a section and a figure for the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autosched.report import canvas
from autosched.report.markup import Html, picture, section, table, tag
from autosched.transfer.rule import Z90

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def target_section(summary: Mapping[str, Any], figures: Mapping[str, bytes]) -> Html | None:
    """Which schedule to use at the target, by which rule, and how unsure it is; None without a target."""
    target = summary["target"]
    if target is None:
        return None
    parts: list[Html] = []
    if "new" in target:
        schedule = target["schedule"]
        what = f"For {_setting(target['new'])}: {_peak(target['new'])}."
        parts.append(tag("p", what, " The whole schedule is in ", tag("code", "target.json"), "."))
        rows = [(rule["name"], f"{rule['factor']:.3g}", rule["formula"], rule["validity"]) for rule in target["rules"]]
        parts.append(table(("rule", "peak LR times", "says", "known to hold for"), rows))
        parts.append(tag("p", f"{schedule['family']}, {schedule['steps']} updates."))
        if target["factor_of_others"] is not None:
            others = target["old"]["peak_lr"] * target["factor_of_others"]
            text = f"That is for {target['weights']}, in a parameter group of their own; all others keep {others:.4g}: "
            parts.append(tag("p", text, tag("code", "target-others.json"), "."))
        parts += [tag("p", f"Warning: {warning}") for warning in target["warnings"]]
    ladder = target["ladder"]
    if ladder is not None:
        rows = [
            (rung["study"], f"{rung['size']:g}", f"{rung['peak_lr']:.4g}", _factor(rung["log_sd"]))
            for rung in ladder["rungs"]
        ]
        parts.append(table(("study", SIZES[ladder["axis"]], "best peak LR", "90% interval"), rows))
        check = "" if ladder["check"] is None else f" Of these, {_check(ladder)}."
        parts.append(tag("p", f"Fitted to the ladder: {ladder['formula']}.{check}"))
        caption = "Best peak LRs of the ladder's studies, the power fitted to them, and what it says of the target."
        parts.append(picture(figures["ladder"], alt="ladder", caption=caption))
    return section("target", "For the target", *parts)


def _factor(log_sd: float) -> str:
    return f"within a factor of {math.exp(Z90 * log_sd):.2f}"


def ladder_plot(target: Mapping[str, Any]) -> Figure:
    """Best peak LRs of the rungs against their size with 90% intervals, the fitted power, and the target's peak LR."""
    ladder = target["ladder"]
    sizes = np.array([rung["size"] for rung in ladder["rungs"]])
    peaks = np.array([rung["peak_lr"] for rung in ladder["rungs"]])
    widths = np.exp(Z90 * np.array([rung["log_sd"] for rung in ladder["rungs"]]))
    figure = canvas.new_figure(7.2, 3.9)
    axes = canvas.dress(figure.add_subplot(), x=SIZES[ladder["axis"]], y="best peak LR")
    axes.set_xscale("log")
    axes.set_yscale("log")
    end = float(target["new"]["steps" if ladder["axis"] == "horizon" else "width"]) if "new" in target else sizes[-1]
    line = np.geomspace(sizes[0], max(end, sizes[-1]), 50)
    x = np.column_stack([np.ones_like(line), np.log(line / sizes[-1])])
    middle = x @ [ladder["intercept"], ladder["exponent"]]
    half = Z90 * np.sqrt(np.einsum("ni,ij,nj->n", x, np.array(ladder["covariance"]), x))
    axes.fill_between(line, np.exp(middle - half), np.exp(middle + half), color=canvas.BLUE, alpha=0.15, lw=0)
    axes.plot(line, np.exp(middle), color=canvas.BLUE, lw=2, label=ladder["formula"])
    spread = [peaks - peaks / widths, peaks * widths - peaks]
    axes.errorbar(sizes, peaks, yerr=spread, fmt="o", color=canvas.INK, capsize=3, label="studies, 90% intervals")
    if "new" in target:
        new = target["new"]
        spread = [[new["peak_lr"] - new["low"]], [new["high"] - new["peak_lr"]]]
        axes.errorbar([end], [new["peak_lr"]], yerr=spread, fmt="s", color=canvas.ORANGE, capsize=3, label="target")
    canvas.legend_below(axes, columns=3)
    return figure
