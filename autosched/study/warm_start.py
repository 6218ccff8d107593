"""Where a study begins: the sources of ``warm_start`` are read, and their runs become part of the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autosched.curves.curve import Curve
from autosched.errors import CurveError, UsageError
from autosched.ledger.store import Ledger
from autosched.search.old_runs import chosen, comparable
from autosched.search.priors import MOST_CURVES
from autosched.search.surrogate import Surrogate
from autosched.space.records import Space
from autosched.space.warm_start import WarmStart
from autosched.study.curve_sources import MLFLOW, named_curves
from autosched.study.run import space_of


def with_old_runs(space: Space, ledger: Ledger) -> tuple[Space, list[str]]:
    """The space with the runs of its warm start, at most 24 in all, and one line per source on what was taken.

    Raises:
        UsageError: a source that is no study of the ledger, no file and no folder, or one without a usable curve.
        CurveError: a fault in a curve.
        SpaceError: runs of the same model with other hyperparameters than this space's.
    """
    found: list[WarmStart] = []
    notes: list[str] = []
    for warm in space.warm_start:
        if warm.runs:  # written into the file itself
            found.append(warm)
            continue
        share = max(MOST_CURVES // len(space.warm_start), 2)
        curves, note = _curves(warm.source, space, ledger)
        try:
            runs = chosen(curves, warm.model, share)
        except UsageError as error:
            raise UsageError(f"warm_start: {warm.source!r}: {error}") from None
        peaks = [run.schedule().peak_lr for run in runs]
        few = "" if len(runs) == len(curves) else f" of {len(curves)}"
        text = f"warm start: {len(runs)}{few} runs of {warm.source}, peak LR {min(peaks):.3g} to {max(peaks):.3g}"
        notes.append(f"{text}, {warm.model} model{note}.")
        found.append(replace(warm, runs=runs))
    read = replace(space, warm_start=tuple(found))
    comparable(read)
    return read, notes


def _curves(source: str, space: Space, ledger: Ledger) -> tuple[Sequence[tuple[str, Curve]], str]:
    """All curves of a source by name, and what a reader should know of them."""
    if source in {row.name for row in ledger.studies()}:
        state = ledger.state(source)
        old = space_of(state)
        # what warmed the old study up is no run of its own
        curves, _ = Surrogate(replace(old, warm_start=())).curves(state, len(state.log))
        if not curves:
            raise UsageError(f"warm_start: the study {source!r} has no trial with a loss.")
        differs = old.trainer != space.trainer
        return [
            (curve.name, curve) for curve in curves
        ], " (another trainer, other options, code or data)" if differs else ""
    try:
        return [(named.name, named.curve) for named in named_curves([source])], ""
    except CurveError as error:
        if str(error).startswith(f"{source}: no such file") and not source.startswith(MLFLOW):
            where = space.storage.ledger
            raise UsageError(f"warm_start: {source!r} is no study in {where}, no file and no folder.") from None
        raise
