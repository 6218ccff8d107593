"""What the law commands print: documents for machines, lines for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from autosched.laws.forecast import Forecast, Interval
from autosched.laws.forecaster import Forecaster
from autosched.laws.law import LossLaw
from autosched.laws.optimum import Optimum
from autosched.laws.scores import Score
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule
from autosched.search.next_run import NextRun


def number(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def fit_document(law: Forecaster, names: list[str], seconds: float) -> dict[str, Any]:
    """`fit`: parameters by law (all laws of a stack), leave-one-curve-out errors (relative, root mean square)."""
    kinds = [family.name for family in law.families]
    params: dict[str, Any] = {kind: dict(fit.params) for kind, fit in zip(kinds, law.fits, strict=True)}
    more = {"weights": dict(zip(kinds, law.weights.tolist(), strict=True)), "inflation": law.inflation}
    if law.process is None:
        params, more = dict(law.fits[0].params), {}
    loo = {kind: number(error) for kind, error in zip(kinds, law.loo.tolist(), strict=True)}
    outlying = [
        {"curve": names[row.curve], "step": int(row.step), "loss": row.loss, "expected": row.expected}
        for row in law.outlying
    ]
    told = {"fit_seconds": seconds, "curves": names, "loo": loo, "outlying": outlying, "warnings": fit_warnings(law)}
    return {"law": law.name, "params": params, **more, **told}


def fit_lines(document: Mapping[str, Any], out: str | None) -> Iterator[str]:
    """`fit` for a person."""
    count = len(document["curves"])
    yield f"{document['law']}: fitted {count} curve{'s' * (count != 1)} in {document['fit_seconds']:.2f} s"
    nested = "weights" in document
    for kind, error in document["loo"].items():
        weight = f"weight {document['weights'][kind]:.2f}, " if nested else ""
        shown = "unknown (fewer than three curves)" if error is None else f"{error:.3%}"
        yield f"  {kind}: {weight}error on left-out curves {shown}"
        params = document["params"][kind] if nested else document["params"]
        yield "    " + ", ".join(f"{name} {value:.4g}" for name, value in params.items())
    yield from outlying_lines(document["outlying"])
    yield from (f"  warning: {text}" for text in document["warnings"])
    if out is not None:
        yield f"wrote {out}"


def fit_warnings(law: Forecaster) -> list[str]:
    """What makes a fitted law doubtful."""
    if law.unlike_runs is None:
        return []
    return [
        f"the runs differ from one law by {law.unlike_runs:.1%}, each in its own way: did their weight decay, betas, "
        "batch size, data or code differ? Fit such runs apart."
    ]


def optimum_warnings(law: LossLaw, peak_lr: tuple[float, float]) -> list[str]:
    """What makes an optimum doubtful: peak LRs more than a factor of e beyond those that the law has seen."""
    seen = law.peaks if isinstance(law, Forecaster) else None
    if seen is None:
        return []
    if peak_lr[0] * math.e >= seen[0] and peak_lr[1] <= seen[1] * math.e:
        return []
    told = f"{seen[0]:.3g}" if seen[1] <= seen[0] * (1 + 1e-9) else f"{seen[0]:.3g} to {seen[1]:.3g}"
    return [
        f"peak LRs of {peak_lr[0]:.3g} to {peak_lr[1]:.3g} were asked for, the law has seen {told} alone: how loss "
        "depends on the peak out there is a guess; train runs there, or ask closer to it."
    ]


def outlying_lines(rows: Sequence[Mapping[str, Any]], most: int = 5) -> Iterator[str]:
    """The rows that a fit found far from every law, the first few by name."""
    if rows:
        yield f"  {len(rows)} row{'s' * (len(rows) > 1)} far from every law:"
    for row in rows[:most]:
        yield f"    {row['curve']} step {row['step']}: loss {row['loss']:.4g}, expected {row['expected']:.4g}"
    if len(rows) > most:
        yield f"    … and {len(rows) - most} more, see --json"


def score_document(scores: Mapping[str, Score], mean: Score) -> dict[str, Any]:
    """`evaluate`."""

    def plain(score: Score) -> dict[str, float | None]:
        return {name: number(value) for name, value in asdict(score).items()}

    return {"curves": {name: plain(score) for name, score in scores.items()}, "mean": plain(mean)}


def score_lines(scores: Mapping[str, Score], mean: Score) -> Iterator[str]:
    """`evaluate` for a person."""
    width = max(len("curve"), *map(len, scores))
    yield f"{'curve':{width}}  {'mean err':>8} {'worst':>8} {'final (nats)':>12} {'R2':>8} {'in 90%':>7}"
    for name, score in (*scores.items(), ("mean", mean)):
        yield (
            f"{name:{width}}  {score.prede:8.3%} {score.worste:8.3%} {score.final_error:+12.4f} {score.r2:8.4f} "
            f"{score.coverage90:7.0%}"
        )


def prediction_document(steps: FloatArray, predicted: Forecast) -> dict[str, Any]:
    """`predict`: updates done, mean loss and its standard deviation, nats; None where the law is out of its regime."""
    return {
        "steps": [int(step) for step in steps],
        "mean": [number(loss) for loss in predicted.mean.tolist()],
        "sd": [number(sd) for sd in (predicted.mean * predicted.sd).tolist()],
    }


def prediction_lines(steps: FloatArray, predicted: Forecast, rows: int = 20) -> Iterator[str]:
    """`predict` for a person: about so many rows, the last one always."""
    (low, high), mean = predicted.interval(0.9), predicted.mean
    yield f"{'step':>8} {'loss':>8} {'90% interval':>19}"
    last = steps.size - 1
    for i in sorted({round(last * j / max(rows - 1, 1)) for j in range(rows)}):
        yield f"{int(steps[i]):8d} {mean[i]:8.4f} {low[i]:9.4f} {high[i]:9.4f}"


def optimum_document(found: Optimum, law: LossLaw, warnings: list[str]) -> dict[str, Any]:
    """`optimize`; a `difference` is the alternative's final loss minus the optimum's, nats."""
    return {
        "law": law.name,
        "schedule": json.loads(found.schedule.to_json()),
        "predicted": asdict(found.predicted),
        "alternatives": {
            name: {
                **described(other.schedule),
                "predicted": asdict(other.predicted),
                "difference": asdict(other.worse_by),
            }
            for name, other in found.alternatives.items()
        },
        "seconds": found.seconds,
        "warnings": warnings,
    }


def described(schedule: Schedule) -> dict[str, str | float | dict[str, ParameterValue]]:
    """A schedule without its LRs."""
    params = dict(schedule.params)
    return {"family": schedule.family, "params": params, "peak_lr": schedule.peak_lr, "final_lr": schedule.final_lr}


def optimum_lines(found: Optimum) -> Iterator[str]:
    """`optimize` for a person."""
    schedule = found.schedule
    falls = int((schedule.lrs >= 0.999 * schedule.peak_lr).nonzero()[0][-1]) + 1
    shape = f"; {schedule.describe()}" if schedule.params else ""
    yield f"predicted final loss {interval(found.predicted)} nats, found in {found.seconds:.2f} s"
    fall = f"falls from update {falls} of {schedule.steps} to {schedule.final_lr:.3g}"
    yield f"  peak LR {schedule.peak_lr:.4g}, {fall}{shape}"
    for name, other in found.alternatives.items():
        if other.schedule == schedule:
            yield f"  {name:7} is this schedule"
        else:
            worse = f"{other.predicted.mean:.4f}, worse by {interval(other.worse_by)}"
            yield f"  {name:7} {worse}; {other.schedule.describe()}"


def next_run_documents(runs: Sequence[NextRun]) -> list[dict[str, Any]]:
    """`optimize`: the runs that would teach most; losses in nats."""
    return [
        {
            **described(run.schedule),
            "steps": run.schedule.steps,
            "value": run.value,
            "sd_before": run.sd_before,
            "sd_after": run.sd_after,
        }
        for run in runs
    ]


def next_run_lines(runs: Sequence[NextRun]) -> Iterator[str]:
    """`optimize`, for a person: the value of one more run."""
    for run in runs:
        known = f"the best schedule's end would be known to {run.sd_after:.4f} nats instead of {run.sd_before:.4f}"
        yield f"one more run of {run.schedule.steps} updates that teaches most: {run.schedule.describe()}"
        yield f"  {known}, and what is chosen then is expected to end {run.value:.2g} nats lower"


def interval(value: Interval) -> str:
    """Mean and 90% interval; the mean alone for a law that was not fitted and does not know how sure it is."""
    return f"{value.mean:.4f}" + (f" ({value.low:.4f} to {value.high:.4f})" if value.sd > 0 else "")
