"""What a cooldown gives beyond what the laws say before one was seen: learned from recorded runs, model by model.

    OMP_NUM_THREADS=1 python benchmarks/learn_priors.py [--curves DIR] [--json] [--write]

From one, two and four runs of a model and a horizon, cut at 25%, 50% and 75%, the default forecaster forecasts the end
of each of them. Where no run was cooled yet, its error is taken for ``rate * d`` (autosched/laws/cooldown_prior.py): a
model's rate is the least-squares slope through 0, the prior's mean and standard deviation are those of the rates over
models, the latter widened by ``sqrt(1 + 1 / models)`` because a new model's rate is what is asked. Groups that no
law describes as one model teach nothing: the laws miss all their runs together by more than 5%, or their runs differ by
more than the LR explains (`Forecaster.unlike_runs`), as where weight decay and betas were tuned too.

The table is honest: each model's forecasts are made with the rates of all other models alone. --write puts the rates
of all models into the package.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import autosched.laws
from autosched.curves.curve import Curve
from autosched.curves.recorded_runs import read_runs
from autosched.errors import AutoschedError
from autosched.laws.cooldown_prior import LEARNED, CooldownPrior
from autosched.laws.fit import FitFailure, thinned
from autosched.laws.forecast import Query
from autosched.laws.forecaster_fit import FULL, fit_forecaster
from autosched.laws.priors import POINTS_PER_CURVE, WORST_FORECAST_MISFIT, WORST_MISFIT
from autosched.laws.residual import run_points
from autosched.randomness import generator
from autosched.report.calibration import COOLED, Calibration, Told
from autosched.schedules.schedule import FloatArray
from autosched.testing.published_curves import published_curves

GROUPS = (
    "gpt25m",
    "gpt100m",
    "llama124m",
    "muon124m",
    "algoperf_wmt",
    "algoperf_ogbg",
    "algoperf_imagenet_resnet",
)
RUNS, CUTS, DRAWS = (1, 2, 4), (0.25, 0.5, 0.75), 6
HELD_OPEN = 0.05
"""[share of the peak LR] A run whose LR falls by less until its end has no cooldown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One forecast of one end.

    Attributes:
        unseen: the distance d, see :mod:`autosched.laws.cooldown_prior`.
        error: forecast minus seen, log loss, by the laws' word; `sd` is its standard deviation.
        end: nats.
    """

    stage: str
    runs: int
    cut: float
    unseen: float
    error: float
    sd: float
    end: float


def cases(horizons: Mapping[int, Sequence[Curve]]) -> Iterator[Case]:
    """All forecasts for the runs of one model, by horizon."""
    for horizon, runs in horizons.items():
        for count in (count for count in RUNS if count <= len(runs)):
            for cut in CUTS:
                for draw in range(DRAWS):
                    rows = generator(0, horizon, count, round(100 * cut), draw, "cases").permutation(len(runs))[:count]
                    yield from _forecast([runs[row] for row in rows], count, cut)


def _forecast(runs: Sequence[Curve], count: int, cut: float) -> Iterator[Case]:
    parts = [thinned(run.at(run.steps <= cut * run.schedule.steps), most=POINTS_PER_CURVE) for run in runs]
    preset = replace(FULL, cooldown=None, fit=replace(FULL.fit, worst_sd=WORST_FORECAST_MISFIT))
    law = fit_forecaster(parts, preset)
    if isinstance(law, FitFailure) or law.process is None:
        return
    seen = law.process.points
    lowest = float(seen.features[:, 3].min())
    for number, run in enumerate(runs):
        asked = [(run.schedule, run.steps[-1:])]
        unseen = float(CooldownPrior(mean=0.0, sd=0.0).unseen(seen, run_points(asked).features)[0])
        end = law.forecast(Query.of(asked), [number])
        if end.sound[0]:
            yield Case(
                stage="cooling" if lowest <= COOLED else "no_cooldown" if unseen > HELD_OPEN else "constant",
                runs=count,
                cut=cut,
                unseen=unseen,
                error=float(end.log_mean[0] - np.log(run.losses[-1])),
                sd=float(end.sd[0]),
                end=float(run.losses[-1]),
            )


def rate_of(found: Sequence[Case]) -> float:
    """Least-squares slope of the errors against d, through 0."""
    told = [case for case in found if case.stage == "no_cooldown"]
    unseen = np.array([case.unseen for case in told])
    return float(unseen @ np.array([case.error for case in told]) / (unseen @ unseen))


def prior_of(rates: Sequence[float]) -> CooldownPrior:
    """Of a model that is none of these."""
    sd = float(np.std(rates, ddof=1)) * float(np.sqrt(1 + 1 / len(rates)))
    return CooldownPrior(mean=float(np.mean(rates)), sd=sd)


def told(case: Case, prior: CooldownPrior) -> Told:
    """The case with a prior."""
    mean = np.log(case.end) + case.error - prior.mean * case.unseen
    half = 1.6449 * np.hypot(case.sd, prior.sd * case.unseen)
    low, middle, high = np.exp([mean - half, mean, mean + half]).tolist()
    return Told(stage=case.stage, mean=middle, low=low, high=high, end=case.end)


def no_model(horizons: Mapping[int, Sequence[Curve]]) -> str | None:
    """Why these runs are not what a law describes; None where they are one model."""
    for runs in horizons.values():
        law = fit_forecaster([thinned(run, most=POINTS_PER_CURVE) for run in runs], FULL)
        if isinstance(law, FitFailure):
            return law.reason
        misfit = min(fit.residual_sd for fit in law.fits)
        if misfit > WORST_MISFIT:
            return f"the laws miss its runs by {misfit:.1%}"
        if law.unlike_runs is not None:
            return f"its runs differ by {law.unlike_runs:.1%} where only the LR should"
    return None


def by_horizon(folder: Path, group: str) -> dict[int, list[Curve]]:
    """The runs of a model with at least two of its horizon, and of a few horizons together where each has one shape."""
    found: dict[int, list[Curve]] = {}
    for run in read_runs(folder, group):
        found.setdefault(run.horizon, []).append(run.curve)
    if max(map(len, found.values())) < max(RUNS):
        return {max(found): [curve for runs in found.values() for curve in runs]}
    return {horizon: runs for horizon, runs in found.items() if len(runs) >= max(RUNS)}


def learned(folder: Path) -> dict[str, Any]:
    """The document: rates by model, the prior, and how each model's forecasts fare with the others' prior."""
    rates: dict[str, float] = {}
    made: dict[str, list[Case]] = {}
    left_out = {}
    for group in GROUPS:
        horizons = by_horizon(folder, group)
        reason = no_model(horizons)
        if reason is not None:
            left_out[group] = reason
            continue
        made[group] = list(cases(horizons))
        rates[group] = rate_of(made[group])
    whole = prior_of(list(rates.values()))
    return {
        "cooldown": {"mean": round(whole.mean, 4), "sd": round(whole.sd, 4)},
        "rates": {group: round(rate, 4) for group, rate in rates.items()},
        "left_out": left_out,
        "outside": [line for group in made for line in _lines(group, made[group], rates)],
    }


def _lines(group: str, found: Sequence[Case], rates: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Before and after, by stage."""
    others = prior_of([rate for other, rate in rates.items() if other != group])
    for stage in ("no_cooldown", "cooling", "constant"):
        of = [case for case in found if case.stage == stage]
        if not of:
            continue
        line: dict[str, Any] = {"model": group, "stage": stage, "forecasts": len(of)}
        for name, prior in (("before", CooldownPrior(mean=0.0, sd=0.0)), ("after", others)):
            ends = [told(case, prior) for case in of]
            calibration = Calibration.of(ends)
            off: FloatArray = np.array([end.mean - end.end for end in ends])
            line[name] = {
                "bias": round(calibration.bias, 4),
                "rmse": round(float(np.sqrt(np.mean(off**2))), 4),
                "width": round(calibration.width, 4),
                **{f"coverage{p}": round(getattr(calibration, f"coverage{p}"), 3) for p in (50, 80, 90)},
            }
        yield line


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=Path, help="folder with runs.csv; default: AUTOSCHED_CURVES, or shared/curves")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--write", action="store_true", help="put the prior into the package")
    given = parser.parse_args(arguments)
    try:
        document = learned(given.curves or published_curves())
    except AutoschedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if given.write:
        kept = {"source": "python benchmarks/learn_priors.py --write"}
        kept |= {name: document[name] for name in ("cooldown", "rates", "left_out")}
        (Path(autosched.laws.__file__).parent / LEARNED).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if given.json:
        print(json.dumps(document, indent=1))
        return 0
    for line in document["outside"]:
        before, after = line["before"], line["after"]
        print(
            f"{line['model']:<12}{line['stage']:<13}{line['forecasts']:>5}"
            f"  bias {before['bias']:+.4f} -> {after['bias']:+.4f}"
            f"  rmse {before['rmse']:.4f} -> {after['rmse']:.4f}  width {before['width']:.3f} -> {after['width']:.3f}"
            f"  90% hold {before['coverage90']:.0%} -> {after['coverage90']:.0%}"
        )
    print(f"rates {document['rates']}; cooldown {document['cooldown']}; left out {document['left_out']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
