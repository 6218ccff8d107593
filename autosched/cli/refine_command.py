"""`refine`: a schedule from the gradient norms of a pilot run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from autosched.cli.law_input import FilterOption, TrackingOption
from autosched.cli.options import JsonOption, LedgerOption, show, write_file
from autosched.curves.csv_files import read_norms
from autosched.curves.gradient_norms import GradientNorms
from autosched.curves.mlflow_runs import read_mlflow_norms
from autosched.errors import CurveError, StudyError, UsageError
from autosched.laws.refinement import FILTER_SHARE, WEIGHT_POWERS, refined_shape
from autosched.report.refinement_plot import refinement_plot
from autosched.report.terminal_plot import terminal_plot
from autosched.schedules.schedule import MOST_UPDATES, ParameterValue, Schedule
from autosched.study.curve_sources import MLFLOW, mlflow_source
from autosched.study.results import Study

METRICS = {"adam": ("grad_norm_l1", "grad_norm"), "sgd": ("grad_norm",)}
"""By optimizer, what its norms are logged as; the first that is there is taken."""


def refine(
    source: Annotated[
        str,
        typer.Argument(help="A CSV file (step,lr,grad_norm), mlflow:EXPERIMENT, or a study.", metavar="SOURCE"),
    ],
    trial: Annotated[int | None, typer.Option("--trial", help="Of a study: which trial; default: the best.")] = None,
    optimizer: Annotated[str, typer.Option("--optimizer", help="adam (l1 norms) or sgd (l2 norms).")] = "adam",
    column: Annotated[
        str | None,
        typer.Option("--column", help="What the norms are logged as; default: grad_norm_l1 for adam, else grad_norm."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, max=MOST_UPDATES, help="Horizon; default: the pilot's.")
    ] = None,
    peak_lr: Annotated[float | None, typer.Option("--peak-lr", help="Peak LR; default: the pilot's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the schedule (JSON).", metavar="FILE")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw norms and schedule.", metavar="PNG")] = None,
    filter_text: FilterOption = "",
    tracking_uri: TrackingOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refine a schedule from the gradient norms that a finished pilot run logged (Defazio et al. 2023).

    Example: autosched refine wsd-demo --trial 3 --out refined.json --plot refined.png
    """
    if optimizer not in WEIGHT_POWERS:
        raise UsageError(f"--optimizer must be one of {', '.join(WEIGHT_POWERS)}, but got {optimizer!r}.")
    if peak_lr is not None and not 0 < peak_lr < float("inf"):
        raise UsageError(f"--peak-lr must be finite and > 0, but got {peak_lr:g}.")
    metrics = METRICS[optimizer] if column is None else (column,)
    if source.startswith(MLFLOW):
        pilot = mlflow_norms(source, metrics, text=filter_text, uri=tracking_uri)
    elif Path(source).exists() or source.endswith(".csv"):
        pilot = read_norms(source, metrics)
    else:
        pilot = trial_norms(source, trial, metrics, ledger)
    refined = refined_schedule(pilot, optimizer=optimizer, steps=steps, peak_lr=peak_lr)
    if out is not None:
        write_file(out, refined.to_json().encode())
    if plot is not None:
        write_file(plot, refinement_plot(pilot, refined))
    show(as_json, _document(pilot, refined), _lines(pilot, refined, out, plot))


def refined_schedule(pilot: GradientNorms, *, optimizer: str, steps: int | None, peak_lr: float | None) -> Schedule:
    """The refined schedule as a table whose parameters say where it comes from."""
    norms = pilot.on_every_update(steps or pilot.schedule.steps)
    origin: dict[str, ParameterValue] = {
        "refined_from": pilot.name,
        "metric": pilot.metric,
        "optimizer": optimizer,
        "filter_share": FILTER_SHARE,
        "pilot_steps": pilot.schedule.steps,
        "pilot_peak_lr": pilot.schedule.peak_lr,
    }
    peak = pilot.schedule.peak_lr if peak_lr is None else peak_lr
    return Schedule(peak * refined_shape(norms, optimizer=optimizer), "table", origin)


def trial_norms(study: str, trial: int | None, metrics: Sequence[str], ledger: str | None) -> GradientNorms:
    """The gradient norms of a trial in the ledger; of the best one when `trial` is None.

    Raises:
        StudyError: no such study or trial, none that is complete, or one whose trainer logs none of `metrics`.
        CurveError: what :class:`GradientNorms` refuses.
    """
    found = Study(study, ledger=ledger)
    if trial is not None and not 0 <= trial < len(found.trials):
        raise StudyError(f"--trial must be 0 to {len(found.trials) - 1} for the study {study!r}, but got {trial}.")
    chosen = found.trial(trial)
    name = f"trial {chosen.number} of {study}"
    trained = [point for point in chosen.points if point.step > 0]
    metric = next((known for known in metrics if any(known in point.metrics for point in trained)), None)
    if metric is None:
        text = " or ".join(map(repr, metrics))
        raise StudyError(f"{name} logged no {text}: its trainer's train() must return the gradient norm.")
    missing = next((point.step for point in trained if metric not in point.metrics), None)
    if missing is not None:
        raise StudyError(f"{name} logged no {metric!r} at update {missing}.")
    return GradientNorms(
        schedule=found.schedule(trial),
        steps=np.array([point.step for point in trained], dtype=np.float64),
        norms=np.array([point.metrics[metric] for point in trained]),
        name=name,
        metric=metric,
    )


def mlflow_norms(source: str, metrics: Sequence[str], *, text: str, uri: str | None) -> GradientNorms:
    """The gradient norms of the one run that ``mlflow:EXPERIMENT`` and the filter `text` leave.

    Raises:
        CurveError: no such experiment, not exactly one run that logged norms, or what :class:`GradientNorms` refuses.
        TrackingError: MLflow cannot be reached.
    """
    pilots = read_mlflow_norms(mlflow_source(source, text=text, uri=uri), metrics)
    names = [pilot.name.rpartition("#")[2] for pilot in pilots]
    if len(pilots) > 1:
        listed = f"{', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
        choose = f"choose one with --filter, e.g. \"attributes.run_name = '{names[0]}'\"."
        raise CurveError(f"{len(pilots)} runs logged {pilots[0].metric} ({listed}): {choose}", file=source)
    return dataclasses.replace(pilots[0], name=f"{source}/{names[0]}")


def _document(pilot: GradientNorms, refined: Schedule) -> dict[str, Any]:
    return {
        "pilot": {
            "source": pilot.name,
            "metric": pilot.metric,
            "norms": int(pilot.norms.size),
            "steps": pilot.schedule.steps,
            "peak_lr": pilot.schedule.peak_lr,
        },
        "optimizer": refined.params["optimizer"],
        "filter_share": FILTER_SHARE,
        "steps": refined.steps,
        "peak_lr": refined.peak_lr,
        "final_lr": refined.final_lr,
        "schedule": json.loads(refined.to_json()),
    }


def _lines(pilot: GradientNorms, refined: Schedule, out: Path | None, plot: Path | None) -> list[str]:
    optimizer = str(refined.params["optimizer"])
    seen = f"{pilot.norms.size} norms ({pilot.metric}) over {pilot.schedule.steps} updates"
    weights = {"adam": "1 / norm", "sgd": "1 / norm squared"}[optimizer]
    proxy = optimizer == "adam" and pilot.metric == "grad_norm"
    caution = "; the method takes l1 norms, these count as such if the two are in proportion" if proxy else ""
    drawn = [] if plot is not None else [terminal_plot([refined], ["learning rate"])]
    return [
        f"pilot       {pilot.name}: {seen}, peak LR {pilot.schedule.peak_lr:.3g}",
        f"weights     {weights} ({optimizer}){caution}",
        f"schedule    {refined.steps} updates, peak LR {refined.peak_lr:.3g}, last LR {refined.final_lr:.3g}",
        "next        tune the peak LR again: another shape has another best peak",
        *drawn,
        *(f"wrote {path}" for path in (out, plot) if path is not None),
    ]
