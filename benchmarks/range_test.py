"""LR range tests against what they are for: the divergence LR of quadratics, and the best peak LR that a search finds.

    OMP_NUM_THREADS=1 python benchmarks/range_test.py --runs FOLDER [--json FILE] [--plot PNG] [--seeds 10]

``divergence``: detected divergence LR over 2 / curvature, for gradient descent on quadratics of many curvatures,
noises, dimensions and sweep lengths; ``shown`` is the same ratio for the LR at which the loss is visibly back at its
start. ``bounds``: for several rules, how often the suggested interval holds the best peak LR, and how wide it is. The
best peak is `tune`'s on the demo space (gpt, 8 full runs of 600 updates, 1e-3 to 1e-1) for each seed, or that of a grid
(2/3 of an octave apart, WSD with half its updates in the cooldown) for the other situations. What lies in FOLDER
already is not trained again; all of it takes about an hour on one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from autosched.curves.range_test import RangeTest, Sweep, analyse
from autosched.engine.assembly import run_study
from autosched.engine.execute import SegmentRunner
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.engine.range_test import run_sweep
from autosched.ledger.events import StudyCreated
from autosched.ledger.store import Ledger
from autosched.report.canvas import png
from autosched.report.range_test_plot import range_test_plot
from autosched.schedules.registry import build
from autosched.space import load_space, space_to_json
from autosched.space.trainer_spec import TrainerSpec
from autosched.trainer import Diverged
from workers.registry import make_trainer

TINY = {"layers": 1, "width": 32, "context": 32, "batch": 8, "heads": 2, "eval_batches": 16}
CURVATURES = (2.1, 3.3, 11.0, 47.0, 310.0, 2100.0)
"""Whose inverses no sweep meets exactly: there a quadratic converges at once, and for good."""
NOISES = {"none": (0.0, 0.0, 0.0), "floor": (0.0, 0.0, 1.0), "some": (0.1, 0.02, 1.0), "strong": (0.3, 0.05, 2.0)}
"""Noise of the gradient and of the loss, and the loss's floor; the loss starts 0.5 above the floor."""
LENGTHS = (100, 200, 400, 1000)
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A trainer and a horizon whose best peak a grid finds."""

    name: str
    use: str
    horizon: int
    low: float
    high: float
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


SITUATIONS = (
    Situation(name="gpt-100", use="gpt", horizon=100, low=3e-3, high=0.3, seeds=(0, 1)),
    Situation(name="gpt-600", use="gpt", horizon=600, low=3e-3, high=0.1),
    Situation(name="gpt-small", use="gpt", horizon=300, low=3e-3, high=0.3, options={"width": 32, "batch": 8}),
    Situation(
        name="gpt-wide",
        use="gpt",
        horizon=300,
        low=1e-3,
        high=0.3,
        options={"layers": 1, "width": 128, "clip": 0},
    ),
    Situation(name="tiny-200", use="gpt", horizon=200, low=2e-3, high=0.2, options=TINY),
    Situation(name="tiny-800", use="gpt", horizon=800, low=2e-3, high=0.2, options=TINY),
    Situation(name="tiny-3200", use="gpt", horizon=3200, low=2e-3, high=0.2, options=TINY),
    Situation(name="vision-100", use="vision", horizon=100, low=1e-3, high=0.3, seeds=(0, 1, 2)),
    Situation(name="vision-400", use="vision", horizon=400, low=1e-3, high=0.3, seeds=(0, 1, 2)),
    Situation(name="vision-1600", use="vision", horizon=1600, low=5e-4, high=0.1),
    Situation(
        name="vision-sgd", use="vision", horizon=400, low=1e-3, high=3.0, options={"optimizer": "sgd"}, seeds=(0, 1, 2)
    ),
)


def risen(found: RangeTest, share: float) -> float:
    """LR at which the smoothed loss, past its lowest, has lost this share of its fall; the sweep's end if never."""
    lowest = int(np.argmin(found.smoothed))
    above = found.smoothed[lowest:] > found.lowest_loss + share * (found.start_loss - found.lowest_loss)
    return float(found.smoothed_lrs[lowest + int(np.argmax(above))] if above.any() else found.lrs[-1])


def fallen(found: RangeTest, share: float) -> float:
    """LR at which the smoothed loss has made this share of its fall."""
    level = found.start_loss - share * (found.start_loss - found.lowest_loss)
    return float(found.smoothed_lrs[int(np.argmax(found.smoothed <= level))])


def lowest_lr(found: RangeTest) -> float:
    """LR of the lowest smoothed loss."""
    return float(found.smoothed_lrs[int(np.argmin(found.smoothed))])


def diverges(found: RangeTest) -> float:
    """The divergence LR, the sweep's end when it saw none."""
    return float(found.lrs[-1]) if found.divergence_lr is None else found.divergence_lr


def around_centre(found: RangeTest, reach: float) -> Bounds:
    """A factor on both sides of the valley's centre, the divergence LR at most."""
    centre = (found.valley_low * found.valley_high) ** 0.5
    return centre / reach, min(centre * reach, diverges(found))


RULES: Mapping[str, Callable[[RangeTest], Bounds]] = {
    "steepest / 10 to divergence / 2": lambda f: (f.steepest_lr / 10, diverges(f) / 2),
    "steepest to divergence / 4": lambda f: (f.steepest_lr, diverges(f) / 4),
    "half fallen to a quarter lost": lambda f: (fallen(f, 0.5), risen(f, 0.25)),
    "lowest / 10 to lowest": lambda f: (lowest_lr(f) / 10, lowest_lr(f)),
    "the valley": lambda f: (f.valley_low, f.valley_high),
    "centre x 3": lambda f: around_centre(f, 3.0),
    "centre x 10 (used)": lambda f: (f.low, f.high),
}


def descend(curvatures: np.ndarray, lrs: np.ndarray, noise: tuple[float, float, float], seed: int) -> np.ndarray:
    """Losses of gradient descent on a quadratic, seen before each update."""
    generator, (gradient, loss, floor) = np.random.default_rng(seed), noise
    place, losses = 1.0 / np.sqrt(curvatures * curvatures.size), np.empty(lrs.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, lr in enumerate(lrs):
            losses[index] = 0.5 * curvatures @ place**2 + floor + loss * generator.standard_normal()
            slope = curvatures * place + gradient * np.sqrt(curvatures) * generator.standard_normal(place.size)
            place = place - lr * slope
    return losses


def divergence_ratios(noise: str) -> dict[str, float]:
    """Detected over true divergence LR: the extremes, and the share within a factor of 1.5."""
    found, shown = [], []
    for curvature, steps, directions, seed in itertools.product(CURVATURES, LENGTHS, (1, 10), range(5)):
        curvatures = curvature * np.geomspace(1.0, 0.01, directions) if directions > 1 else np.array([curvature])
        lrs = Sweep(steps=steps).schedule().lrs
        losses = descend(curvatures, lrs, NOISES[noise], seed)
        read = analyse(lrs, losses)
        diverged = read.divergence_lr if isinstance(read, RangeTest) else None
        found.append(np.nan if diverged is None else diverged * curvature / 2)
        past = np.flatnonzero((losses > losses[0]) & (lrs > 1 / curvature))
        shown.append(lrs[past[0]] * curvature / 2 if past.size else np.nan)
    ratios = np.array(found)
    return {
        "sweeps": ratios.size,
        "within_1.5": float(np.mean((ratios > 1 / 1.5) & (ratios < 1.5))),
        "least": float(np.nanmin(ratios)),
        "median": float(np.nanmedian(ratios)),
        "most": float(np.nanmax(ratios)),
        "shown_median": float(np.nanmedian(shown)),
        "shown_most": float(np.nanmax(shown)),
    }


def sweep_of(folder: Path, trainer: TrainerSpec, seed: int) -> RangeTest:
    """The default range test of a trainer."""
    found = run_sweep(SegmentRunner(make_trainer), trainer, seed=seed, sweep=Sweep(), save_uri=f"{folder}/swept")
    if not isinstance(found, RangeTest):
        raise SystemExit(found.reason)
    return found


def tuned_peak(folder: Path, seed: int) -> float:
    """The peak LR that `tune` finds on the demo space with this seed."""
    file = folder / f"tuned-{seed}.json"
    if not file.exists():
        changes = {
            "seed": seed,
            "budget": "{full_runs: 8, trials: 24}",
            "confirm.seeds": 0,
            "resources.workers": 1,
            "storage.ledger": f"sqlite:///{folder}/tuned-{seed}.db",
            "storage.checkpoints": f"{folder}/checkpoints",
        }
        space = load_space("search_spaces/wsd.yaml", [f"{name}={value}" for name, value in changes.items()])
        ledger = Ledger(space.storage.ledger)
        ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
        journal = Journal(ledger, space.study)
        run_study(space, ledger, journal, LocalBackend(make_trainer))
        best = journal.state.best_trial()
        assert best is not None
        file.write_text(json.dumps({"params": dict(best.params), "loss": best.value}))
    return float(json.loads(file.read_text())["params"]["peak_lr"])


def grid_peak(folder: Path, situation: Situation, seed: int) -> float:
    """The peak LR with the lowest final loss on a grid."""
    file = folder / f"grid-{situation.name}-{seed}.json"
    if not file.exists():
        count = round(1.5 * np.log2(situation.high / situation.low)) + 1
        losses = {}
        for peak in np.geomspace(situation.low, situation.high, count).tolist():
            losses[f"{peak:.3g}"] = final_loss(situation, seed, peak)
        file.write_text(json.dumps(losses))
    ends = {float(peak): loss for peak, loss in json.loads(file.read_text()).items() if loss is not None}
    return min(ends, key=lambda peak: ends[peak])


def final_loss(situation: Situation, seed: int, peak: float) -> float | None:
    """Validation loss at the horizon; None when the run diverged."""
    warmup = max(1, situation.horizon // 20)
    params = {"peak_lr": peak, "warmup_steps": warmup, "cooldown_fraction": 0.5, "final_lr_ratio": 0.0}
    trainer = make_trainer(situation.use, situation.options, seed, situation.horizon)
    trainer.start()
    try:
        trainer.train(build("wsd", params, steps=situation.horizon).lrs)
    except Diverged:
        return None
    return trainer.evaluate()


def quadratic_cases() -> list[tuple[str, RangeTest, float]]:
    """Quadratics with their best constant LR (no noise) or best WSD peak (noise), by a fine grid."""
    cases = []
    for curvature, noise in itertools.product((3.0, 50.0, 2000.0), ("none", "some")):
        curvatures = curvature * np.geomspace(1.0, 0.01, 10)
        read = analyse(Sweep().schedule().lrs, descend(curvatures, Sweep().schedule().lrs, NOISES[noise], 0))
        assert isinstance(read, RangeTest)
        ends = {}
        for peak in np.geomspace(0.05 / curvature, 2.2 / curvature, 60).tolist():
            fraction = 0.5 if noise == "some" else 1e-9
            params = {"peak_lr": peak, "warmup_steps": 0, "cooldown_fraction": fraction, "final_lr_ratio": 0.0}
            lrs = build("wsd", params, steps=400).lrs
            ends[peak] = float(np.mean([descend(curvatures, lrs, NOISES[noise], seed)[-1] for seed in range(10)]))
        cases.append((f"quadratic-{noise}", read, min(ends, key=lambda peak: ends[peak])))
    return cases


def all_cases(folder: Path, seeds: int) -> list[tuple[str, RangeTest, float]]:
    """(situation, range test, best peak LR) of everything."""
    gpt = TrainerSpec(use="gpt")
    cases = [("gpt, tune", sweep_of(folder, gpt, seed), tuned_peak(folder, seed)) for seed in range(seeds)]
    for situation in SITUATIONS:
        trainer = TrainerSpec(use=situation.use, options=situation.options)
        cases += [
            (situation.name, sweep_of(folder, trainer, seed), grid_peak(folder, situation, seed))
            for seed in situation.seeds
        ]
    return [*cases, *quadratic_cases()]


def scores(cases: list[tuple[str, RangeTest, float]], rule: Callable[[RangeTest], Bounds]) -> dict[str, Any]:
    """By situation: how often the interval holds the best peak, and its median width in decades."""
    result: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _, _ in cases):
        own = [(rule(found), best) for case, found, best in cases if case == name]
        held = sum(low <= best <= high for (low, high), best in own)
        width = float(np.median([np.log10(high / low) for (low, high), _ in own]))
        result[name] = {"held": held, "of": len(own), "decades": round(width, 2)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder for what was trained")
    parser.add_argument("--seeds", type=int, default=10, help="seeds of the demo to tune")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--plot", type=Path, help="draw the range test of the first seed")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    divergence = {noise: divergence_ratios(noise) for noise in NOISES}
    for noise, row in divergence.items():
        print(f"divergence, noise {noise:7}", "  ".join(f"{name} {value:.3g}" for name, value in row.items()))
    cases = all_cases(arguments.runs, arguments.seeds)
    bounds = {name: scores(cases, rule) for name, rule in RULES.items()}
    for name, by_situation in bounds.items():
        held, of = (sum(row[key] for row in by_situation.values()) for key in ("held", "of"))
        print(f"\n{name}: {held} of {of}")
        print("  " + "  ".join(f"{case} {r['held']}/{r['of']} ({r['decades']})" for case, r in by_situation.items()))
    listed = [
        {"situation": name, "best_peak_lr": best, "low": f.low, "high": f.high, "divergence": f.divergence_lr}
        for name, f, best in cases
    ]
    for case in listed:
        figures = (f"{key} {value:.3g}" for key, value in case.items() if isinstance(value, float))
        print(f"{case['situation']:16}", "  ".join(figures))
    if arguments.plot:
        figure = range_test_plot(cases[0][1], title="LR range test of the demo's GPT")
        arguments.plot.write_bytes(b"" if figure is None else png(figure))
    if arguments.json:
        arguments.json.write_text(json.dumps({"divergence": divergence, "bounds": bounds, "cases": listed}, indent=1))


if __name__ == "__main__":
    main()
