"""`fit`, `predict`, `evaluate`, `optimize`: loss laws from logs, and the schedule they like best."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from autosched.cli.law_documents import (
    fit_document,
    fit_lines,
    next_run_documents,
    next_run_lines,
    optimum_document,
    optimum_lines,
    optimum_warnings,
    prediction_document,
    prediction_lines,
    score_document,
    score_lines,
)
from autosched.cli.law_input import (
    ColumnsOption,
    EpochOption,
    FilterOption,
    LawArgument,
    LoggedScheduleOption,
    LossOption,
    PathsArgument,
    TrackingOption,
    log_options,
    tell_notes,
)
from autosched.cli.options import JsonOption, show, write_file
from autosched.cli.schedule_commands import load_schedule
from autosched.curves.continued import continued
from autosched.curves.csv_files import read_begun_run
from autosched.curves.curve import Curve
from autosched.errors import UsageError, WorkError
from autosched.laws.continual import ContinualFamily
from autosched.laws.files import SavedLaw, read_law
from autosched.laws.fit import FitFailure
from autosched.laws.forecaster import AUTO, Forecaster, forecast_along
from autosched.laws.forecaster_fit import FULL, alone, fit_forecaster
from autosched.laws.law import LawFamily, telling_steps
from autosched.laws.optimum import NoOptimum, Optimum, OptimumTask, best_wsd, optimal_schedule
from autosched.laws.registry import family_for, family_names
from autosched.laws.scores import mean_score, score
from autosched.report.schedule_plot import schedule_plot
from autosched.report.terminal_plot import terminal_plot
from autosched.search.next_run import next_runs
from autosched.study.curve_sources import named_curves

CONTINUAL = "continual"
FAMILIES = ("wsd",)


def fit(
    paths: PathsArgument,
    law: Annotated[str, typer.Option("--law", help="auto (several stacked), or one kind of law.")] = AUTO,
    out: Annotated[Path | None, typer.Option("--out", help="Write the law to a file.", metavar="FILE")] = None,
    filter_text: FilterOption = "",
    tracking_uri: TrackingOption = None,
    pretraining_steps: Annotated[
        int | None, typer.Option("--pretraining-steps", help="With --law continual: updates before the data changed.")
    ] = None,
    columns: ColumnsOption = None,
    updates_per_epoch: EpochOption = None,
    schedule: LoggedScheduleOption = None,
    loss: LossOption = None,
    after: Annotated[
        Path | None,
        typer.Option(
            "--after",
            help="With --law continual, of runs that began from a trained model: the schedule that trained it (JSON).",
            metavar="FILE",
        ),
    ] = None,
    effect: Annotated[
        str, typer.Option("--effect", help="With --law continual: forgetting (old data's loss) or adaptation (new).")
    ] = "forgetting",
    as_json: JsonOption = False,
) -> None:
    """Fit a loss law to logged runs.

    Example: autosched fit runs/ --law auto --out law.json
    """
    if law not in (AUTO, CONTINUAL, *family_names()):
        allowed = ", ".join((AUTO, *family_names(), CONTINUAL))
        raise UsageError(f"--law must be one of {allowed}, but got {law!r}.")
    logged = log_options(columns, updates_per_epoch, schedule, loss)
    named = named_curves(paths, text=filter_text, uri=tracking_uri, options=logged)
    curves = [item.curve for item in named]
    if after is not None:
        if law != CONTINUAL or pretraining_steps is not None:
            raise UsageError("--after belongs to --law continual, and says --pretraining-steps, too.")
        before = load_schedule(after)
        curves, pretraining_steps = [continued(curve, before) for curve in curves], before.steps
    begun = time.perf_counter()
    fitted = fit_forecaster(curves, FULL if law == AUTO else alone(_law_family(law, curves, pretraining_steps, effect)))
    seconds = time.perf_counter() - begun
    if isinstance(fitted, FitFailure):
        raise WorkError(f"no law could be fitted: {fitted.reason}")
    if out is not None:
        write_file(out, SavedLaw.of(fitted, curves).to_json().encode())
    document = fit_document(fitted, [item.name for item in named], seconds)
    show(as_json, document, fit_lines(document, None if out is None else str(out)))
    tell_notes(paths)


def predict(
    law: LawArgument,
    schedule: Annotated[Path, typer.Option("--schedule", help="A schedule file (JSON).", metavar="FILE")],
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Predict after every so many updates; default: where it bends.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", help="The log (step,lr,loss) of a run that has begun with this schedule.", metavar="CSV"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the loss curve of a schedule, with its standard deviation (nats).

    Example: autosched predict law.json --schedule schedule.json --run begun.csv
    """
    saved, planned = read_law(law), load_schedule(schedule)
    steps = telling_steps(planned)
    if every is not None:
        steps = np.unique(np.append(np.arange(every, planned.steps + 1, every), planned.steps)).astype(np.float64)
    if run is None:
        predicted = forecast_along(saved.law, planned, steps)
    else:
        knowing, number = saved.knowing(read_begun_run(run, planned, schedule))
        predicted = knowing.along(planned, steps, run=number)
    show(as_json, prediction_document(steps, predicted), prediction_lines(steps, predicted))


def evaluate(
    law: LawArgument,
    paths: PathsArgument,
    filter_text: FilterOption = "",
    tracking_uri: TrackingOption = None,
    columns: ColumnsOption = None,
    updates_per_epoch: EpochOption = None,
    schedule: LoggedScheduleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Errors of a fitted law on logged runs, after their warmup; a run that was fitted in part is known as such.

    Example: autosched evaluate law.json runs/cosine.csv other-runs/
    """
    saved = read_law(law)
    logged = log_options(columns, updates_per_epoch, schedule)
    named = named_curves(paths, text=filter_text, uri=tracking_uri, options=logged)
    scores = {item.name: score(saved.law, item.curve, run=saved.run_of(item.curve)) for item in named}
    mean = mean_score(list(scores.values()))
    show(as_json, score_document(scores, mean), score_lines(scores, mean))
    tell_notes(paths)


def optimize(
    law: LawArgument,
    steps: Annotated[int, typer.Option("--steps", help="The horizon, optimizer updates.")],
    peak_lr: Annotated[float | None, typer.Option("--peak-lr", help="The peak LR; or give both bounds.")] = None,
    peak_lr_low: Annotated[float | None, typer.Option("--peak-lr-low", help="Lowest peak LR to consider.")] = None,
    peak_lr_high: Annotated[float | None, typer.Option("--peak-lr-high", help="Highest peak LR to consider.")] = None,
    warmup_steps: Annotated[int, typer.Option("--warmup-steps", help="Updates of linear warmup.")] = 0,
    min_lr: Annotated[float, typer.Option("--min-lr", help="Lowest LR allowed after the warmup.")] = 0.0,
    free: Annotated[bool, typer.Option("--free", help="The LR may rise again after the warmup.")] = False,
    family: Annotated[str | None, typer.Option("--family", help="The best of a family only: wsd.")] = None,
    cooldown_shape: Annotated[
        str | None, typer.Option("--cooldown-shape", help="Of WSD: linear, sqrt, cosine or power. [default: the best]")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the schedule (JSON).", metavar="FILE")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it beside the alternatives.", metavar="PNG")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the schedule with the lowest predicted final loss, and by how much it beats cosine, linear and WSD.

    Also says which further run would teach most, and what it is worth.

    Example: autosched optimize law.json --steps 24000 --peak-lr 3e-4 --warmup-steps 2000 --out schedule.json
    """
    if family is not None and family not in FAMILIES:
        raise UsageError(f"--family must be {', '.join(FAMILIES)}, but got {family!r}.")
    if family is not None and free:
        raise UsageError("--free asks for any form and --family for one: give one of them.")
    task = OptimumTask(
        steps=steps,
        peak_lr=_peaks(peak_lr, peak_lr_low, peak_lr_high),
        warmup_steps=warmup_steps,
        monotone=not free,
        min_lr=min_lr,
        cooldown_shape=cooldown_shape,
    )
    saved = read_law(law)
    found = optimal_schedule(saved.law, task) if family is None else best_wsd(saved.law, task)
    if isinstance(found, NoOptimum):
        raise UsageError(f"{law}: {found.reason}")
    if out is not None:
        write_file(out, found.schedule.to_json().encode())
    if plot is not None:
        write_file(plot, _picture(found))
    warnings = optimum_warnings(saved.law, task.peak_lr)
    longest = max((curve.last_step for curve in saved.curves), default=0)
    further = []
    if isinstance(saved.law, Forecaster):
        further = next_runs(saved.law, found.schedule, task, longest=longest)
    lines = [*_optimum_lines(found, out, plot), *next_run_lines(further), *(f"warning: {text}" for text in warnings)]
    document = {**optimum_document(found, saved.law, warnings), "next_runs": next_run_documents(further)}
    show(as_json, document, lines)


def _law_family(law: str, curves: list[Curve], pretraining_steps: int | None, effect: str) -> LawFamily[Any]:
    if law != CONTINUAL:
        return family_for(law, curves)
    if effect not in ("forgetting", "adaptation"):
        raise UsageError(f"--effect must be forgetting or adaptation, but got {effect!r}.")
    if pretraining_steps is None or pretraining_steps < 0:
        raise UsageError(
            "--law continual needs --pretraining-steps >= 0, the updates before the data changed, or --after FILE."
        )
    return ContinualFamily(
        effect="forgetting" if effect == "forgetting" else "adaptation", pretraining_steps=pretraining_steps
    )


def _peaks(peak_lr: float | None, low: float | None, high: float | None) -> tuple[float, float]:
    if peak_lr is not None and low is None and high is None:
        return peak_lr, peak_lr
    if peak_lr is None and low is not None and high is not None:
        return low, high
    raise UsageError("give either --peak-lr, or both --peak-lr-low and --peak-lr-high.")


def _picture(found: Optimum) -> bytes:
    others = {name: other.schedule for name, other in found.alternatives.items() if other.schedule != found.schedule}
    drawn = {"optimum": found.schedule, **others}
    return schedule_plot(list(drawn.values()), list(drawn))


def _optimum_lines(found: Optimum, out: Path | None, plot: Path | None) -> list[str]:
    drawn = [] if plot is not None else [terminal_plot([found.schedule], ["learning rate"])]
    return [*optimum_lines(found), *drawn, *(f"wrote {path}" for path in (out, plot) if path is not None)]
