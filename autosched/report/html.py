"""The report: the study's page in one HTML file that needs nothing else, and its space beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.report import plots
from autosched.report.confirmation import winner
from autosched.report.document import whole_document
from autosched.report.frozen import frozen_page
from autosched.report.law_surface import law_record
from autosched.report.moments import Story
from autosched.report.named_losses_plot import named_losses
from autosched.report.range_test_plot import study_range_test
from autosched.report.reliability_plot import reliability
from autosched.space.json_form import space_yaml
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
"""Name of a figure -> what draws it, for a notebook; the page draws its own."""
LONGEST_CARRIED = 50_000
"""[updates] Of a schedule that the page carries; a longer one lies beside it alone, so that the page stays small."""


def write_report(
    story: Story,
    space: Space,
    summary: Mapping[str, Any],
    folder: str | Path,
    *,
    law: SavedLaw | FitFailure | None = None,
) -> Path:
    """Write ``report.html`` and ``space.yaml`` to a folder, which is made if need be.

    Args:
        summary: from :func:`autosched.report.summary.summarise`.
        law: the study's, from :func:`autosched.report.law_fit.study_law`; None to say nothing of it.

    Returns:
        The path of ``report.html``. The file holds all that it shows; it loads nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "space.yaml", space_yaml(space))
    path = folder / "report.html"
    write_whole(path, report_page(story, space, summary, law=law))
    return path


def report_page(
    story: Story, space: Space, summary: Mapping[str, Any], *, law: SavedLaw | FitFailure | None = None
) -> str:
    """The page as text."""
    document, best = whole_document(story, space, summary), winner(story.state)
    if law is not None:
        document["law"] = law_record(law, space, best)
    if best is not None and best.horizon <= LONGEST_CARRIED:
        document["schedule"] = best.schedule.to_json()
    return frozen_page(f"{story.state.name}: learning-rate schedule search", document)
