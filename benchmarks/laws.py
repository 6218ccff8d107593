"""How well every law predicts published runs it was not fitted to.

    python benchmarks/laws.py [--json FILE]

Splits: ``gpt25m`` and ``gpt100m`` (fit three curves, predict six others), ``llama35k`` (fit horizons 15,000 and 25,000,
predict the ends at 35,000), ``llama25k`` (fit 15,000, predict the ends at 25,000), ``llama15to35`` (fit 15,000,
predict the ends at 35,000), ``halfway`` (each 25,000-step run up to half of its steps and the other peaks' runs in
full, predict the ends). ``prede`` and ``worste`` are over whole curves for the GPT splits and over ends for the others;
``best_gap`` is what the run that is predicted to end lowest really ended above the best one.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy
from scipy.stats import spearmanr

from autosched.curves.curve import Curve
from autosched.laws.fit import FitFailure, FitOptions, LawFit, fit_law
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.registry import family_for
from autosched.testing.published_curves import published_curve, published_group

FITTED = ("cosine_24000", "constant_24000", "wsdcon_9")
UNSEEN = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
LAWS = ("multi_power", "functional", "annealing", "auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One law on one split; losses in nats, `prede` and `worste` relative."""

    split: str
    law: str
    prede: float
    worste: float
    end_mae: float
    end_bias: float
    spearman: float
    best_gap: float
    coverage90: float
    fit_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Predictions on one curve: means (n,), and the end's interval when the law has one."""

    curve: Curve
    steps: np.ndarray
    mean: np.ndarray
    low: float = math.nan
    high: float = math.nan


Predictor = Callable[[Curve, np.ndarray, int | None], Predicted]


def fitted(law: str, curves: Sequence[Curve]) -> Predictor | FitFailure:
    """A function that predicts curves; its last argument is the curve's number when it was fitted in part."""
    if law == "auto":
        found = fit_forecaster(curves)
        if isinstance(found, FitFailure):
            return found
        return lambda curve, steps, run: _with_interval(found, curve, steps, run)
    fit = fit_law(family_for(law, curves), curves, FitOptions(worst_sd=1.0))
    if not isinstance(fit, LawFit):
        return fit
    return lambda curve, steps, run: Predicted(curve=curve, steps=steps, mean=fit.law.predict_at(curve.schedule, steps))


def _with_interval(law: Forecaster, curve: Curve, steps: np.ndarray, run: int | None) -> Predicted:
    found = law.along(curve.schedule, steps, run=run)
    low, high = found.interval(0.9)
    return Predicted(curve=curve, steps=steps, mean=found.mean, low=float(low[-1]), high=float(high[-1]))


def gpt(law: str, group: str) -> tuple[list[Predicted], float]:
    """Three curves predict six, at every logged step."""
    started = time.perf_counter()
    predict = fitted(law, [published_curve(f"{group}/{name}") for name in FITTED])
    seconds = time.perf_counter() - started
    if isinstance(predict, FitFailure):
        return [], seconds
    curves = [published_curve(f"{group}/{name}") for name in UNSEEN]
    return [predict(curve, curve.steps, None) for curve in curves], seconds


def llama(law: str, fit: tuple[int, ...], unseen: int) -> tuple[list[Predicted], float]:
    """Shorter horizons predict the ends of longer ones, over the peaks that were fitted."""
    curves = published_group("llama124m")
    seen = [curve for curve in curves if curve.schedule.steps in fit]
    peaks = {curve.schedule.peak_lr for curve in seen}
    started = time.perf_counter()
    predict = fitted(law, seen)
    seconds = time.perf_counter() - started
    if isinstance(predict, FitFailure):
        return [], seconds
    ends = [curve for curve in curves if curve.schedule.steps == unseen and curve.schedule.peak_lr in peaks]
    return [predict(curve, curve.steps[-1:], None) for curve in ends], seconds


def halfway(law: str) -> tuple[list[Predicted], float]:
    """Each run up to half of its steps, and the other peaks' runs in full."""
    curves = [curve for curve in published_group("llama124m") if curve.schedule.steps == 25_000]
    found: list[Predicted] = []
    seconds = 0.0
    for peak in sorted({curve.schedule.peak_lr for curve in curves}):
        own = [curve for curve in curves if curve.schedule.peak_lr == peak]
        others = [curve for curve in curves if curve.schedule.peak_lr != peak]
        started = time.perf_counter()
        predict = fitted(law, [*(curve.until(12_500) for curve in own), *others])
        seconds += time.perf_counter() - started
        if not isinstance(predict, FitFailure):
            found += [predict(curve, curve.steps[-1:], run) for run, curve in enumerate(own)]
    return found, seconds


SPLITS: Mapping[str, Callable[[str], tuple[list[Predicted], float]]] = {
    "gpt25m": lambda law: gpt(law, "gpt25m"),
    "gpt100m": lambda law: gpt(law, "gpt100m"),
    "llama35k": lambda law: llama(law, (15_000, 25_000), 35_000),
    "llama25k": lambda law: llama(law, (15_000,), 25_000),
    "llama15to35": lambda law: llama(law, (15_000,), 35_000),
    "halfway": halfway,
}


def score(split: str, law: str) -> Score | None:
    """Fit and judge one law on one split; None when it could not be fitted."""
    found, seconds = SPLITS[split](law)
    if not found:
        return None
    seen = [np.interp(item.steps, item.curve.steps, item.curve.losses) for item in found]
    relative = [np.abs(item.mean / losses - 1) for item, losses in zip(found, seen, strict=True)]
    ends = np.array([item.mean[-1] for item in found])
    truth = np.array([losses[-1] for losses in seen])
    inside = [item.low <= loss <= item.high for item, loss in zip(found, truth, strict=True)]
    return Score(
        split=split,
        law=law,
        prede=float(np.mean([errors.mean() for errors in relative])),
        worste=float(max(errors.max() for errors in relative)),
        end_mae=float(np.abs(ends - truth).mean()),
        end_bias=float((ends - truth).mean()),
        spearman=float(spearmanr(ends, truth)[0]),
        best_gap=float(truth[ends.argmin()] - truth.min()),
        coverage90=float(np.mean(inside)) if math.isfinite(found[0].low) else math.nan,
        fit_seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write scores and versions here")
    arguments = parser.parse_args()
    columns = ("prede", "worste", "end_mae", "end_bias", "spearman", "best_gap", "coverage90", "fit_seconds")
    print(f"{'split':10s}{'law':13s}" + "".join(f"{column:>12s}" for column in columns))
    scores = []
    for split in SPLITS:
        for law in LAWS:
            found = score(split, law)
            if found is None:
                print(f"{split:10s}{law:13s}  could not be fitted", flush=True)
                continue
            scores.append(asdict(found))
            print(f"{split:10s}{law:13s}" + "".join(f"{getattr(found, c):12.5f}" for c in columns), flush=True)
    if arguments.json:
        versions = {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__}
        arguments.json.write_text(json.dumps({"versions": versions, "scores": scores}, indent=1))


if __name__ == "__main__":
    main()
