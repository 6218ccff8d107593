"""What transfer rules are worth on recorded runs, and how long they take.

    python benchmarks/transfer.py [--json FILE] [--plot PNG]

``cooldown``: from the Llama runs at cooldown 0.1 the best peak LR at longer cooldowns, a row per horizon and cooldown.
``horizon``: from the runs at 15,000 updates the best peak LR at 25,000 and 35,000. ``estimate`` is the least of the
parabola through the best tried peak and its neighbours (``+``: an edge, nothing brackets it), ``loss`` what the tried
peak next to the prediction has above the least one, nats, on the full validation set. ``ladder``: the power fitted to
the best peaks at 15,000 and 25,000 updates, as ``tune --ladder`` fits it, asked for 35,000: its interval, and the best
peak there. At the end the seconds for the
bound, its best base LR and a refined schedule of a million updates, and for an extension to 20,000.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from autosched.curves.recorded_runs import RecordedRun, read_runs
from autosched.laws.convex_bound import convex_bound, optimal_base_lr
from autosched.laws.refinement import refined_shape
from autosched.report import canvas
from autosched.schedules.registry import build
from autosched.testing.published_curves import published_curves
from autosched.transfer import Change, Setting, Transfer, best_peak, extend_wsd, get_rule
from autosched.transfer.ladder import Rung, check_ladder, fit_ladder

COOLDOWNS = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
HORIZONS = (15_000, 25_000, 35_000)
Runs = Mapping[tuple[int, float], Mapping[float, RecordedRun]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One prediction; LRs, and losses in nats."""

    rule: str
    horizon: int
    cooldown: float
    factor: float
    log_sd: float
    predicted: float
    estimate: float
    bracketed: bool
    tried: float
    best_tried: float
    grid_steps_off: int
    loss: float
    loss_if_kept: float

    @property
    def log_error(self) -> float:
        return math.log(self.predicted / self.estimate)


def recorded_runs() -> Runs:
    """Runs with a linear cooldown by (horizon, cooldown) and peak LR."""
    groups: dict[tuple[int, float], dict[float, RecordedRun]] = defaultdict(dict)
    for run in read_runs(published_curves(), "llama124m"):
        params = run.schedule.params
        if run.schedule.family == "wsd" and params["cooldown_shape"] == "linear" and run.full_val_loss is not None:
            groups[run.horizon, float(params["cooldown_fraction"])][float(params["peak_lr"])] = run
    return groups


def losses_of(runs: Runs, key: tuple[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Peaks in order and the full validation losses at them."""
    peaks = np.array(sorted(runs[key]))
    return peaks, np.array([runs[key][peak].full_val_loss for peak in peaks])


def row(rule: str, runs: Runs, old: tuple[int, float], new: tuple[int, float]) -> Row:
    """The rule's prediction for `new` from the runs at `old`."""
    schedules = [next(iter(runs[key].values())).schedule for key in (old, new)]
    said = get_rule(rule).apply(Change(old=Setting(schedule=schedules[0]), new=Setting(schedule=schedules[1])))
    assert isinstance(said, Transfer)
    seen, found = best_peak(*losses_of(runs, old)), best_peak(*losses_of(runs, new))
    peaks, losses = losses_of(runs, new)
    tried, kept = (int(np.argmin(np.abs(np.log(peaks / peak)))) for peak in (seen.peak_lr * said.factor, seen.peak_lr))
    return Row(
        rule=rule,
        horizon=new[0],
        cooldown=new[1],
        factor=said.factor,
        log_sd=said.log_sd,
        predicted=seen.peak_lr * said.factor,
        estimate=found.peak_lr,
        bracketed=found.bracketed,
        tried=float(peaks[tried]),
        best_tried=float(peaks[np.argmin(losses)]),
        grid_steps_off=tried - int(np.argmin(losses)),
        loss=float(losses[tried] - losses.min()),
        loss_if_kept=float(losses[kept] - losses.min()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """What a ladder's two lower rungs say of the third; LRs, and losses in nats."""

    cooldown: float
    exponent: float
    exponent_sd: float
    predicted: float
    low: float
    high: float
    estimate: float
    bracketed: bool
    held: bool
    best_tried: float
    best_tried_held: bool
    loss: float


def climb(runs: Runs, cooldown: float) -> Climb:
    """A ladder of the horizons at one cooldown, checked at the longest."""
    found = {horizon: best_peak(*losses_of(runs, (horizon, cooldown))) for horizon in HORIZONS}
    rungs = [Rung(study=f"{t}", size=t, log_peak=best.log_lr, log_sd=best.log_sd) for t, best in found.items()]
    below, check = fit_ladder(rungs[:-1], "horizon"), check_ladder(fit_ladder(rungs, "horizon"))
    assert check is not None
    peaks, losses = losses_of(runs, (HORIZONS[-1], cooldown))
    tried, best = int(np.argmin(np.abs(np.log(peaks / check.predicted)))), int(np.argmin(losses))
    return Climb(
        cooldown=cooldown,
        exponent=below.exponent,
        exponent_sd=below.exponent_sd,
        predicted=check.predicted,
        low=check.low,
        high=check.high,
        estimate=check.found,
        bracketed=found[HORIZONS[-1]].bracketed,
        held=bool(check.held),
        best_tried=float(peaks[best]),
        best_tried_held=bool(check.low <= peaks[best] <= check.high),
        loss=float(losses[tried] - losses[best]),
    )


def timings() -> dict[str, float]:
    """Seconds, the least of three."""
    lrs = build("linear", {"peak_lr": 1.0}, steps=1_000_000).lrs
    norms = np.exp(0.3 * np.random.default_rng(0).standard_normal(1_000_000))
    short = build("wsd", {"peak_lr": 0.01}, steps=5_000)
    tasks: dict[str, Callable[[], object]] = {
        "bound of 1,000,000 updates": lambda: convex_bound(lrs),
        "best base LR of 1,000,000 updates": lambda: optimal_base_lr(lrs),
        "refined schedule of 1,000,000 updates": lambda: refined_shape(norms),
        "extension from 5,000 to 20,000 updates": lambda: extend_wsd(short, 20_000),
    }
    return {name: min(_seconds(task) for _ in range(3)) for name, task in tasks.items()}


def _seconds(task: Callable[[], object]) -> float:
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def picture(rows: list[Row]) -> bytes:
    """Predicted against estimated best peaks over the cooldown, one panel per horizon."""
    figure = canvas.new_figure(9.6, 3.2)
    for axes, horizon in zip(figure.subplots(1, 3, sharey=True), HORIZONS, strict=True):
        mine = [r for r in rows if r.horizon == horizon]
        canvas.dress(axes, x="cooldown, share of the run", y="best peak LR", title=f"{horizon:,} updates")
        x, low = [r.cooldown for r in mine], [r.predicted * math.exp(-1.645 * r.log_sd) for r in mine]
        high = [r.predicted * math.exp(1.645 * r.log_sd) for r in mine]
        axes.fill_between(x, low, high, color=canvas.BLUE, alpha=0.15, lw=0, label="90% of the rule")
        axes.plot(x, [r.predicted for r in mine], color=canvas.BLUE, lw=1.8, label="from cooldown 0.1")
        for bracketed, marker, label in ((True, "o", "runs"), (False, "^", "runs, highest peak tried")):
            shown = [r for r in mine if r.bracketed == bracketed]
            points = ([r.cooldown for r in shown], [r.estimate for r in shown])
            axes.plot(*points, marker, color=canvas.VERMILION, label=label)
        axes.set_ylim(0, 4e-3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    return canvas.png(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    runs = recorded_runs()
    cooldown = [row("convex-shape", runs, (t, 0.1), (t, c)) for t in HORIZONS for c in COOLDOWNS]
    horizon = [
        row(rule, runs, (HORIZONS[0], c), (t, c))
        for rule in ("token-horizon", "convex-bound")
        for c in COOLDOWNS
        for t in HORIZONS[1:]
    ]
    ladder = [climb(runs, c) for c in COOLDOWNS]
    seconds = timings()
    for title, rows in (("cooldown", [r for r in cooldown if r.cooldown > 0.1]), ("horizon", horizon)):
        print(f"{title}: rule, horizon, cooldown, factor, predicted, estimate, tried, best tried, loss, loss if kept")
        for r in rows:
            estimate = f"{r.estimate:.2e}{' ' if r.bracketed else '+'}"
            print(
                f"  {r.rule:<13} {r.horizon:>6} {r.cooldown:.1f} {r.factor:6.3f} {r.predicted:.2e} {estimate} "
                f"{r.tried:g} {r.best_tried:g} {r.loss:.4f} {r.loss_if_kept:.4f}"
            )
        for rule in sorted({r.rule for r in rows}):
            mine = [r for r in rows if r.rule == rule]
            errors = [r.log_error for r in mine if r.bracketed]
            print(
                f"  {rule}: mean loss {np.mean([r.loss for r in mine]):.4f} nats, if kept "
                f"{np.mean([r.loss_if_kept for r in mine]):.4f}; rms log error where bracketed "
                f"{np.sqrt(np.mean(np.square(errors))):.3f} ({len(errors)} of {len(mine)})"
            )
    print("ladder: cooldown, exponent, predicted, 90% interval, estimate, held, best tried, held, loss")
    for c in ladder:
        print(
            f"  {c.cooldown:.1f} {c.exponent:.2f} {c.predicted:.2e} {c.low:.2e} to {c.high:.2e} "
            f"{c.estimate:.2e}{' ' if c.bracketed else '+'} {c.held} {c.best_tried:g} {c.best_tried_held} {c.loss:.4f}"
        )
    for name, value in seconds.items():
        print(f"{name}: {1e3 * value:.1f} ms")
    if options.json is not None:
        told = {"cooldown": [asdict(r) for r in cooldown], "horizon": [asdict(r) for r in horizon]}
        told |= {"ladder": [asdict(c) for c in ladder], "seconds": seconds}
        options.json.write_text(json.dumps(told, indent=2))
    if options.plot is not None:
        options.plot.write_bytes(picture(cooldown))


if __name__ == "__main__":
    main()
