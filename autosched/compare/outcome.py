"""From traces to what is shown and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosched.compare.algoperf import algoperf_score
from autosched.compare.plan import Terms
from autosched.compare.regret_plot import regret_plot
from autosched.compare.scores import TOLERANCE, by_method, standings, targets
from autosched.compare.table import Results, markdown
from autosched.compare.trace import Trace
from autosched.errors import UsageError
from autosched.report.frozen import frozen_page
from autosched.whole_files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What counts as having found a good schedule.

    Attributes:
        target: a final loss in nats; None for the best that any method found on the same seed, plus the tolerance.
        tolerance: nats.

    Raises:
        UsageError: a tolerance that is not above 0, or a target that is no number.
    """

    target: float | None = None
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < float("inf"):
            raise UsageError(f"the tolerance must be finite and > 0, but got {self.tolerance:g}.")
        if self.target is not None and not abs(self.target) < float("inf"):
            raise UsageError(f"the target must be finite, but got {self.target:g}.")


def results_of(traces: Sequence[Trace], terms: Terms, goal: Goal, *, title: str) -> Results:
    """The scores of all methods on these terms.

    Args:
        traces: of all methods on all seeds.
        title: of the tables.
    """
    aims, horizon = targets(traces, target=goal.target, tolerance=goal.tolerance), traces[0].horizon
    scores = {name: algoperf_score(list(own.values()), aims) for name, own in by_method(traces).items()}
    return Results(
        title=title,
        terms=_sentences(terms, goal, horizon),
        horizon=horizon,
        standings=standings(traces, aims),
        traces=traces,
        aims=aims,
        algoperf=scores if terms.is_algoperf else {},
    )


def write_results(results: Results, goal: Goal, folder: Path, document: Mapping[str, Any]) -> dict[str, str]:
    """Write the document, both tables and the plot; returns their paths by name.

    Raises:
        OSError: the folder cannot be written.
    """
    order = [one.method for one in results.standings]
    plot = regret_plot(results.traces, tolerance=goal.tolerance, order=order)
    files: dict[str, bytes] = {
        "compare.json": (json.dumps(document, allow_nan=False, indent=2) + "\n").encode(),
        "compare.md": markdown(results, plot=None if plot is None else "regret.png").encode(),
        "compare.html": comparison_page(results, document).encode(),
    }
    if plot is not None:
        files["regret.png"] = plot
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)
    return {name: str(folder / name) for name in files}


def comparison_page(results: Results, document: Mapping[str, Any]) -> str:
    """The comparison in one HTML file that needs nothing else, drawn as the report of a study is."""
    carried = {"title": results.title, "terms": results.terms, "document": document}
    return frozen_page(results.title, carried)


def _sentences(terms: Terms, goal: Goal, horizon: int) -> list[str]:
    budget = f"{terms.budget.trials} trials"
    if terms.budget.steps is not None:
        budget = f"{terms.budget.steps:,} updates, {terms.budget.steps / horizon:g} full runs of {horizon:,}"
    seeds = "one seed" if terms.seeds == 1 else f"{terms.seeds} seeds, each"
    told = [f"Every method: {seeds} with {budget}."]
    if goal.target is None:
        told.append(f"Target: the lowest final loss any method found on the seed + {goal.tolerance:g} nats.")
    else:
        told.append(f"Target: a final loss of {goal.target:g} nats.")
    if terms.is_algoperf:
        told.append("AlgoPerf: full runs of a study's fastest trial to the target, median over studies.")
    return told
