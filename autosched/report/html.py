"""The report: one HTML file that needs nothing else, with its figures beside it as PNGs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from autosched.ledger.state import StudyState
from autosched.report import canvas, plots
from autosched.report.html_sections import (
    cost_section,
    failure_section,
    forecast_section,
    headline,
    holdout_section,
    pruned_section,
    reproduction_section,
    search_section,
    trials_section,
    usage_section,
)
from autosched.report.lr_section import lr_section
from autosched.report.markup import join, page, tag
from autosched.report.named_losses_plot import named_losses
from autosched.report.range_test_plot import study_range_test
from autosched.report.reliability_plot import reliability
from autosched.report.target import ladder_plot, target_section
from autosched.space import space_to_json
from autosched.space.json_form import without_secrets_in
from autosched.space.records import Space
from autosched.whole_files import write_whole

FIGURES = {
    "lr_curves": plots.lr_curves,
    "loss_curves": plots.loss_curves,
    "named_losses": named_losses,
    "winner_and_default": plots.winner_and_default,
    "forecasts": plots.forecasts,
    "reliability": reliability,
    "parameters": plots.parameter_plot,
    "range_test": study_range_test,
    "costs": plots.costs,
}
"""File name without its ending -> what draws it."""


def write_report(state: StudyState, space: Space, summary: Mapping[str, Any], folder: str | Path) -> Path:
    """Write ``report.html``, its figures as PNGs and ``space.yaml`` to a folder, which is made if need be.

    Args:
        summary: from :func:`autosched.report.summary.summarise`.

    Returns:
        The path of ``report.html``. The file holds its figures and styles; it loads nothing and runs no script.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, bytes] = {}
    for name, draw in FIGURES.items():
        drawn = draw(state, space)
        if drawn is not None:
            figures[name] = canvas.png(drawn)
            write_whole(folder / f"{name}.png", figures[name])
    if summary["target"] is not None and summary["target"]["ladder"] is not None:
        figures["ladder"] = canvas.png(ladder_plot(summary["target"]))
        write_whole(folder / "ladder.png", figures["ladder"])
    document = space_yaml(space)
    write_whole(folder / "space.yaml", document)
    path = folder / "report.html"
    write_whole(path, report_page(state, space, summary, figures, space_document=document))
    return path


def space_yaml(space: Space) -> str:
    """The whole space, defaults filled in and secrets left out, as a file that can be tuned again."""
    return yaml.safe_dump(without_secrets_in(space_to_json(space)), sort_keys=False, allow_unicode=True, width=110)


def report_page(
    state: StudyState,
    space: Space,
    summary: Mapping[str, Any],
    figures: Mapping[str, bytes],
    *,
    space_document: str,
) -> str:
    """The page as text; a section without content is left out.

    Args:
        figures: PNGs by the names of `FIGURES`.
        space_document: the space as YAML.
    """
    sections = [
        ("use", "Use it", usage_section(summary)),
        ("target", "Target", target_section(summary, figures)),
        ("search", "Search", search_section(figures)),
        ("lr", "Peak LR", lr_section(summary, figures)),
        ("forecasts", "Forecasts", forecast_section(figures)),
        ("pruned", "Pruned", pruned_section(state, space)),
        ("holdouts", "Holdouts", holdout_section(state)),
        ("failures", "Divergences", failure_section(state)),
        ("cost", "Cost", cost_section(summary, figures)),
        ("trials", "All trials", trials_section(state)),
        ("again", "Reproduce", reproduction_section(state, summary, space_document)),
    ]
    there = [(identity, name, part) for identity, name, part in sections if part is not None]
    links = tag("nav", join(tag("a", name, href=f"#{identity}") for identity, name, _ in there))
    title = f"{summary['study']}: learning-rate schedule report"
    return page(title, headline(summary), links, *(part for _, _, part in there))
