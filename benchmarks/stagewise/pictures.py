"""The LR path and the validation loss path of every method for one seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autosched.report import canvas
from autosched.schedules.schedule import FloatArray

WIDTH, HEIGHT = 10.0, 4.2


def paths(trainer: str, rows: Sequence[Mapping[str, Any]]) -> bytes | None:
    """A PNG; None where no run was looked at."""
    drawn = [row for row in rows if row.get("path") and len(row["path"]["lrs"])]
    if not drawn:
        return None
    figure = canvas.new_figure(WIDTH, HEIGHT)
    title = f"{trainer}, seed {drawn[0]['seed']}"
    left = canvas.dress(figure.add_subplot(1, 2, 1), x="committed update", y="learning rate", title=title)
    right = canvas.dress(figure.add_subplot(1, 2, 2), x="trained update, search included", y="validation loss (nats)")
    for index, row in enumerate(drawn):
        path, colour = row["path"], canvas.CYCLE[index % len(canvas.CYCLE)]
        lrs = np.array(path["lrs"])
        lrs[lrs <= 0] = np.nan
        left.plot(np.arange(1, len(lrs) + 1), lrs, color=colour, lw=1.6, label=row["method"])
        right.plot(*with_gaps(path["updates"], path["losses"]), color=colour, lw=1.4, marker=".", ms=3)
    left.set_yscale("log")
    left.set_ylim(bottom=min(max(row["path"]["lrs"]) for row in drawn) / 30)  # a cosine goes to 0
    ends = [loss for row in drawn for loss in row["path"]["losses"]]
    right.set_ylim(min(ends) * 0.95, float(np.quantile(ends, 0.9)) * 1.1)
    figure.legend(loc="outside lower center", ncols=len(drawn), frameon=False, fontsize=8.5)
    return canvas.png(figure)


def with_gaps(updates: Sequence[float], losses: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """The line, broken where probes were trained between two looks."""
    x, y = np.array(updates, dtype=np.float64), np.array(losses, dtype=np.float64)
    steps = np.diff(x)
    gaps = np.flatnonzero(steps > 2 * np.median(steps)) + 1 if steps.size else []
    return np.insert(x, gaps, np.nan), np.insert(y, gaps, np.nan)
