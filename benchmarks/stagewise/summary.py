"""What the rows say about each trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from autosched.compare.table import aligned
from stagewise.contest import FAITHFUL, FAR, MENDED, SEARCHED

Row = Mapping[str, Any]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and its standard error, nats; None where there are too few."""
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"mean": mean(values) if values else None, "standard_error": error}


def losses_of(rows: Sequence[Row], method: str) -> dict[int, float | None]:
    """Final loss by seed."""
    return {row["seed"]: row["final_loss"] for row in rows if row["method"] == method}


def difference(rows: Sequence[Row], method: str, other: str) -> dict[str, Any]:
    """How much higher `method` ends than `other` on the seeds where both ended, and on how many seeds it is below.

    A run without a final loss is above any other.
    """
    own, others = losses_of(rows, method), losses_of(rows, other)
    both = [own[seed] - others[seed] for seed in own if own[seed] is not None and others.get(seed) is not None]
    below = sum(_or_inf(own[seed]) < _or_inf(others.get(seed)) for seed in own)
    return {**spread(both), "below_on": below, "seeds": len(own)}


def _or_inf(loss: float | None) -> float:
    return math.inf if loss is None else loss


def summary(trainer: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Of one trainer's rows, as JSON data; the differences are far-sighted (and default) minus the peer's."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    constant, cosine = (next(m for m in methods if m.startswith(name)) for name in ("constant", "cosine"))
    table = [_line(method, [row for row in rows if row["method"] == method]) for method in methods]
    means = {line["method"]: _or_inf(line["mean"]) if not line["lost"] else math.inf for line in table}
    against, searched = difference(rows, FAR, constant), difference(rows, FAR, SEARCHED)
    return {
        "trainer": trainer,
        "methods": table,
        "far_sighted_below_constant": f"{against['below_on']} of {against['seeds']} seeds",
        "far_sighted_below_searched": f"{searched['below_on']} of {searched['seeds']} seeds",
        "far_sighted_not_above_faithful": means[FAR] < math.inf and means[FAR] <= means[FAITHFUL],
        "differences": {
            f"{method} - {other}": difference(rows, method, other)
            for method in (FAR, MENDED)
            for other in (FAITHFUL, SEARCHED, constant, cosine)
        },
    }


def _line(method: str, rows: Sequence[Row]) -> dict[str, Any]:
    found = [row["final_loss"] for row in rows if row["final_loss"] is not None]
    return {
        "method": method,
        **spread(found),
        "seeds": len(rows),
        "lost": len(rows) - len(found),
        "total_steps": round(mean(row["total_steps"] for row in rows)),
        "committed_steps": round(mean(row["committed_steps"] for row in rows)),
        "tuning_steps": round(mean(row["tuning_steps"] for row in rows)),
        "seconds": round(mean(row["seconds"] for row in rows), 1),
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The summary for a person."""
    head = (found["trainer"], "final loss", "lost", "trained", "committed", "with tuning", "s")
    body = [
        (
            line["method"],
            loss_text(line),
            str(line["lost"]),
            f"{line['total_steps']:,}",
            f"{line['committed_steps']:,}",
            f"{line['tuning_steps']:,}",
            f"{line['seconds']:.1f}",
        )
        for line in found["methods"]
    ]
    said = "is not" if found["far_sighted_not_above_faithful"] else "is"
    return [
        *aligned(head, body),
        f"{FAR} below the constant LR searched within the total: {found['far_sighted_below_searched']}",
        f"{FAR} below the constant LR whose ten runs are free: {found['far_sighted_below_constant']}",
        f"its mean {said} above the faithful mode's",
        *(
            f"{name}: {loss_text(one, signed=True)}, below on {one['below_on']} of {one['seeds']} seeds"
            for name, one in found["differences"].items()
        ),
    ]


def loss_text(line: Mapping[str, Any], *, signed: bool = False) -> str:
    """Mean and standard error, nats."""
    if line["mean"] is None:
        return "none"
    shown = f"{line['mean']:+.4f}" if signed else f"{line['mean']:.4f}"
    return shown + ("" if line["standard_error"] is None else f" ± {line['standard_error']:.4f}")
