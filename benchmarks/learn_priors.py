"""What recorded runs of other models teach a forecaster about a new one, model by model.

    OMP_NUM_THREADS=1 python benchmarks/learn_priors.py [--curves DIR] [--json] [--write]

From one, two and four runs of a model and a horizon, cut at 25%, 50% and 75%, the default forecaster forecasts the end
of each of them, and from two and four runs, too, the first of which is whole. Where no run was cooled yet, its error is
taken for ``rate * d`` (autosched/laws/cooldown_prior.py): a model's rate is the least-squares slope through 0, the
prior's mean and standard deviation are those of the rates over models, the latter widened by ``sqrt(1 + 1 / models)``
because a new model's rate is what is asked. The calibration is the root mean square of error over standard deviation,
every model by the rates of the others, each model and each stage of a study (autosched/report/calibration.py) counting
as much as any other: forecasts of one model err alike, so many of them are not many. Groups that no
law describes as one model teach nothing: the laws miss all their runs together by more than 5%, or their runs differ by
more than the LR explains (`Forecaster.unlike_runs`), as where weight decay and betas were tuned too.

The table is honest: each model's forecasts are made with rates and calibration of all other models alone (the latter
from the rates of the rest). --write puts those of all models into the package.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
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
from autosched.laws.cooldown_prior import LEARNED, CooldownPrior, Learned
from autosched.laws.fit import FitFailure, thinned
from autosched.laws.forecast import Query
from autosched.laws.forecaster_fit import FULL, fit_forecaster
from autosched.laws.priors import POINTS_PER_CURVE, WORST_FORECAST_MISFIT, WORST_MISFIT
from autosched.laws.residual import run_points
from autosched.randomness import generator
from autosched.report.calibration import COOLED, STAGES, Calibration, Told
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
        for count, cut, draw in itertools.product(RUNS, CUTS, range(DRAWS)):
            if count <= len(runs):
                rows = generator(0, horizon, count, round(100 * cut), draw, "cases").permutation(len(runs))[:count]
                drawn = [runs[row] for row in rows]
                yield from _forecast(drawn, [cut] * count)
                if count > 1:
                    yield from _forecast(drawn, [1.0, *[cut] * (count - 1)])


def _forecast(runs: Sequence[Curve], cuts: Sequence[float]) -> Iterator[Case]:
    """Of the ends of the runs that are cut, by a forecaster that knows each up to its cut."""
    parts = [
        thinned(run.at(run.steps <= cut * run.schedule.steps), most=POINTS_PER_CURVE)
        for run, cut in zip(runs, cuts, strict=True)
    ]
    preset = replace(FULL, priors=None, fit=replace(FULL.fit, worst_sd=WORST_FORECAST_MISFIT))
    law = fit_forecaster(parts, preset)
    if isinstance(law, FitFailure) or law.process is None:
        return
    seen = law.process.points
    lowest = float(seen.features[:, 3].min())
    told = "complete" if 1.0 in cuts else "cooling" if lowest <= COOLED else None
    for number, run in enumerate(runs):
        if cuts[number] == 1.0:
            continue
        asked = [(run.schedule, run.steps[-1:])]
        unseen = float(CooldownPrior(mean=0.0, sd=0.0).unseen(seen, run_points(asked).features)[0])
        end = law.forecast(Query.of(asked), [number])
        if end.sound[0]:
            yield Case(
                stage=told or ("no_cooldown" if unseen > HELD_OPEN else "constant"),
                runs=len(runs),
                cut=cuts[-1],
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


def told(case: Case, learned: Learned) -> Told:
    """The case with what others taught."""
    mean = np.log(case.end) + case.error - learned.cooldown.mean * case.unseen
    half = 1.6449 * learned.calibration * np.hypot(case.sd, learned.cooldown.sd * case.unseen)
    low, middle, high = np.exp([mean - half, mean, mean + half]).tolist()
    return Told(stage=case.stage, mean=middle, low=low, high=high, end=case.end)


def learned_from(made: Mapping[str, Sequence[Case]]) -> Learned:
    """From the forecasts of some models, by model: what is said of another."""
    rates = {model: rate_of(found) for model, found in made.items()}
    squares = []
    for model, found in made.items():
        others = Learned(cooldown=prior_of([rates[other] for other in rates if other != model]), calibration=1.0)
        for stage in STAGES:
            scores = [told(case, others).score for case in found if case.stage == stage]
            squares += [np.mean(np.square(scores))] if scores else []
    return Learned(cooldown=prior_of(list(rates.values())), calibration=float(np.sqrt(np.mean(squares))))


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
    made: dict[str, list[Case]] = {}
    left_out = {}
    for group in GROUPS:
        horizons = by_horizon(folder, group)
        reason = no_model(horizons)
        if reason is not None:
            left_out[group] = reason
            continue
        made[group] = list(cases(horizons))
    others = {group: learned_from({other: made[other] for other in made if other != group}) for group in made}
    return {
        **plain(learned_from(made)),
        "rates": {group: round(rate_of(found), 4) for group, found in made.items()},
        "left_out": left_out,
        "others": {group: plain(found) for group, found in others.items()},
        "outside": [line for group in made for line in _lines(group, made[group], others[group])],
        "stages": list(_stages(made, others)),
    }


def plain(found: Learned) -> dict[str, Any]:
    """As the package keeps it."""
    cooldown = {"mean": round(found.cooldown.mean, 4), "sd": round(found.cooldown.sd, 4)}
    return {"cooldown": cooldown, "calibration": round(found.calibration, 3)}


NOTHING = Learned(cooldown=CooldownPrior(mean=0.0, sd=0.0), calibration=1.0)


def _lines(group: str, found: Sequence[Case], others: Learned) -> Iterator[dict[str, Any]]:
    """Before and after, by stage."""
    for stage in (*STAGES, "constant"):
        of = [case for case in found if case.stage == stage]
        if not of:
            continue
        line: dict[str, Any] = {"model": group, "stage": stage, "forecasts": len(of)}
        for name, prior in (("before", NOTHING), ("after", others)):
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


def _stages(made: Mapping[str, Sequence[Case]], others: Mapping[str, Learned]) -> Iterator[dict[str, Any]]:
    """Coverage by stage, every model counting alike: before, with the others' rates, and with their calibration."""
    for stage in STAGES:
        line: dict[str, Any] = {"stage": stage}
        for name, of in (
            ("before", dict.fromkeys(made, NOTHING)),
            ("rates", {group: replace(found, calibration=1.0) for group, found in others.items()}),
            ("after", others),
        ):
            ends = [[told(case, of[group]) for case in found if case.stage == stage] for group, found in made.items()]
            held = [Calibration.of(group) for group in ends if group]
            scores = [np.mean([log_score(one) for one in group]) for group in ends if group]
            line[name] = {
                **{
                    f"coverage{p}": round(float(np.mean([getattr(h, f"coverage{p}") for h in held])), 3)
                    for p in (50, 80, 90)
                },
                "width": round(float(np.mean([h.width for h in held])), 4),
                "log_score": round(float(np.mean(scores)), 3),
            }
        yield line


def log_score(one: Told) -> float:
    """Log density of the end, as a log-normal without its constant; the higher the better."""
    return -math.log(math.log(one.high / one.low)) - 0.5 * one.score**2


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
        kept |= {name: document[name] for name in ("cooldown", "calibration", "rates", "left_out")}
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
    for line in document["stages"]:
        held = "  ".join(f"{name} {line[name]['coverage90']:.0%}" for name in ("before", "rates", "after"))
        print(f"all models alike {line['stage']:<13}90% hold {held}")
    print(f"rates {document['rates']}; cooldown {document['cooldown']}; left out {document['left_out']}")
    print(f"calibration {document['calibration']}; without one model {document['others']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
