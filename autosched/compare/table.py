"""The outcome of a comparison as text: plain lines and Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autosched.compare.scores import Fresh, Standing
from autosched.compare.trace import Trace

MISSED = "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What is shown.

    Attributes:
        title: of the page.
        terms: sentences that say what every method got, and what the target is.
        horizon: updates of a full run.
        standings: ranked.
        traces: of all studies.
        aims: seed -> target, nats.
        algoperf: method -> AlgoPerf's score in updates; empty when the terms are others.
    """

    title: str
    terms: Sequence[str]
    horizon: int
    standings: Sequence[Standing]
    traces: Sequence[Trace]
    aims: Mapping[int, float]
    algoperf: Mapping[str, float] = field(default_factory=dict)


def heads(results: Results) -> tuple[str, ...]:
    """Of the table of methods."""
    fresh = ("on fresh seeds",) if any(one.fresh is not None for one in results.standings) else ()
    algoperf = ("AlgoPerf",) if results.algoperf else ()
    return ("method", "best loss", "regret", "full runs to target", "reached", "win rate", *fresh, *algoperf)


def rows(results: Results) -> list[tuple[str, ...]]:
    """The table of methods, as text."""
    wanted = heads(results)
    return [_row(one, results, fresh="on fresh seeds" in wanted) for one in results.standings]


def _row(one: Standing, results: Results, *, fresh: bool) -> tuple[str, ...]:
    cells = [
        one.method,
        _number(one.best, "none"),
        _number(one.regret, "none"),
        runs_text(one.steps, results.horizon),
        f"{one.reached} of {one.seeds}",
        "" if one.win_rate is None else f"{one.win_rate:.0%}",
    ]
    if fresh:
        cells.append("" if one.fresh is None else fresh_text(one.fresh))
    if results.algoperf:
        cells.append(runs_text(results.algoperf[one.method], results.horizon))
    return tuple(cells)


def runs_text(steps: float, horizon: int) -> str:
    """Updates as full runs, or that they never sufficed.

    Example:
        >>> runs_text(1500, 600), runs_text(float("inf"), 600)
        ('2.50', 'missed')
    """
    return f"{steps / horizon:.2f}" if math.isfinite(steps) else MISSED


def fresh_text(fresh: Fresh) -> str:
    """Mean and standard error, nats."""
    if not math.isfinite(fresh.mean):
        return "diverged"
    return f"{fresh.mean:.4f}" + ("" if fresh.standard_error is None else f" ± {fresh.standard_error:.4f}")


def plain_lines(results: Results) -> list[str]:
    """For a terminal."""
    return [*results.terms, "", *aligned(heads(results), rows(results))]


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table in plain text: the first column to the left, the others to the right."""
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(widths[i]) for i, cell in enumerate(line) if i)])
        for line in lines
    ]


def markdown(results: Results, *, plot: str | None) -> str:
    """A section of Markdown; `plot` is the name of the picture beside it."""
    head = heads(results)
    lines = [f"# {results.title}", "", *results.terms, "", _cells(head), _cells(["---", *["---:"] * (len(head) - 1)])]
    lines += [_cells(row) for row in rows(results)]
    if plot is not None:
        lines += ["", f"![Regret against updates spent]({plot})"]
    return "\n".join(lines) + "\n"


def _number(value: float, otherwise: str) -> str:
    return f"{value:.4f}" if math.isfinite(value) else otherwise


def _cells(values: Sequence[str]) -> str:
    return "| " + " | ".join(values) + " |"
