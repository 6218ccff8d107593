"""Merged weights against true cooldowns: what the mean of a constant run's last weights says about a cooldown as long.

    OMP_NUM_THREADS=1 python benchmarks/merged.py --out FOLDER [--runs gpt-adamw,vision-sgd] [--seeds 3] [--quick]

For each trainer, optimizer, seed and peak LR one run of 1,200 updates, constant after a warmup of 5%, and from it one
cooldown for each window: branched off where the window begins, with the LRs that the mean is said to be like
(autosched/schedules/merged.py). `curve` has the constant run's losses, and the merged ones of all windows where a study
measures them: ``[step, loss, {window: loss}]``. `merged` is the loss of the mean at the end of the constant run,
`cooled` that at the end of the cooldown, nats on the same validation data; windows are those that the trainers' running
sums offer next to 5%, 10%, 20%, 40% and 60%. One seed of one pair is about 14,000 updates. What lies in FOLDER already
is not trained again, so it may be interrupted at any time.

`forecasts` says what the default forecaster makes of all constant runs of a pair and seed: its errors (log loss) at the
ends of the cooldowns of a tenth of the run and longer, by which of the last merged losses it hears.

`costs` says what the default averages cost on the trainers' defaults, in processor time: the sums of every update and
the merged losses that a study measures at `eval_every` 2% of the horizon, over training and evaluating without them.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_command import ended, whole

from autosched.curves.curve import Curve
from autosched.laws.forecast import Query
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.merged_losses import as_cooled
from autosched.ledger.records import Segment
from autosched.schedules.merged import merged_schedule
from autosched.schedules.registry import build
from autosched.space.trainer_spec import TrainerSpec
from autosched.study.run import versions
from autosched.trainer import Diverged, MergingTrainer
from workers.registry import make_trainer
from workers.weight_averages import SHARES, WeightAverages, windows_at

WINDOWS = (0.05, 0.1, 0.2, 0.4, 0.6)
SHORTEST, NINETY = 0.08, 1.6449
"""Share of the run from which on a cooldown counts as one of a tenth; standard deviations of a 90% interval."""
HEARD = {"none": 0.0, "to a tenth": 0.12, "all": 1.0}
"""Longest windows that a forecaster hears, as shares of the run."""
EVALUATIONS = 50
"""Of a run whose costs are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A trainer with an optimizer, and the peak LRs to try, a factor of 2 apart, the best about the middle."""

    use: str
    lowest: float
    options: Mapping[str, Any] = field(default_factory=dict)
    peaks: int = 5

    @property
    def peak_lrs(self) -> list[float]:
        return [self.lowest * 2.0**place for place in range(self.peaks)]


SGD = {"optimizer": "sgd", "weight_decay": 0.0}
PAIRS: Mapping[str, Pair] = {
    "gpt-adamw": Pair(use="gpt", lowest=0.003, options={"eval_batches": 64}),
    "small_gpt-adamw": Pair(
        use="gpt",
        lowest=0.006,
        options={"layers": 2, "width": 32, "heads": 2, "context": 32, "batch": 8, "eval_batches": 16},
    ),
    "gpt-sgd": Pair(use="gpt", lowest=0.05, options={**SGD, "eval_batches": 64}),
    "vision-adamw": Pair(use="vision", lowest=0.001),
    "vision-sgd": Pair(use="vision", lowest=0.01, options=SGD),
}
SMALL = {
    "gpt": {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 4, "eval_batches": 4},
    "vision": {"width": 4},
}


def measured(pair: Pair, peak: float, *, seed: int, horizon: int, quick: bool) -> dict[str, Any]:
    """The losses of one peak LR; None where a run diverged."""
    options = {**pair.options, **(SMALL[pair.use] if quick else {}), "average_windows": list(WINDOWS)}
    trainer = make_trainer(pair.use, options, seed, horizon)
    constant = build("constant", {"peak_lr": peak, "warmup_steps": max(1, horizon // 20)}, steps=horizon)
    windows = windows_at(horizon, WINDOWS)
    begins = {horizon - window: window for window in windows}
    segment, branches, seen = _segment(pair.use, horizon), {}, []
    trainer.start()
    assert isinstance(trainer, MergingTrainer)
    try:
        for stop in sorted({*begins, *range(segment.eval_every, horizon, segment.eval_every), horizon}):
            trainer.train(constant.lrs[trainer.step : stop])
            if segment.is_evaluated(stop):
                seen.append([stop, trainer.evaluate(), trainer.evaluate_merged() if segment.is_merged(stop) else {}])
            if stop in begins:
                branches[begins[stop]] = io.BytesIO()
                trainer.save(branches[begins[stop]])
    except Diverged as error:
        return {"peak_lr": peak, "diverged": error.step}
    _, ends, merged = seen[-1]
    cooled = {}
    for window, file in branches.items():
        file.seek(0)
        trainer.load(file)
        trainer.train(merged_schedule(constant, step=horizon, window=window).lrs[horizon - window :])
        cooled[window] = trainer.evaluate()
    rows = [{"window": window, "cooled": cooled[window], "merged": merged[window]} for window in windows]
    return {"peak_lr": peak, "constant": ends, "windows": rows, "curve": seen}


def forecasts(rows: Sequence[Mapping[str, Any]], horizon: int) -> list[dict[str, Any]]:
    """What the forecaster says of one seed's cooldowns from its constant runs alone, by the merged losses it hears.

    Nothing where no law describes the runs.
    """
    asked, ends = [], []
    runs: dict[str, list[Curve]] = {heard: [] for heard in HEARD}
    for row in rows:
        schedule = build("constant", {"peak_lr": row["peak_lr"], "warmup_steps": max(1, horizon // 20)}, steps=horizon)
        steps, losses, merged = zip(*row["curve"], strict=True)
        run = Curve(schedule=schedule, steps=np.array(steps, dtype=np.float64), losses=np.array(losses))
        for heard, longest in HEARD.items():
            last = {int(window): loss for window, loss in merged[-1].items() if int(window) <= longest * horizon}
            cooled = [as_cooled(run, step=horizon, window=window, loss=loss) for window, loss in last.items()]
            runs[heard].append(replace(run, merged=tuple(one for one in cooled if one is not None)))
        for cell in row["windows"]:
            if cell["window"] >= SHORTEST * horizon:
                asked.append(merged_schedule(schedule, step=horizon, window=cell["window"]))
                ends.append(cell["cooled"])
    lines = []
    for heard, curves in runs.items():
        law = fit_forecaster(curves) if curves else None
        if isinstance(law, Forecaster):
            found = law.forecast(Query.ends(asked))
            errors = found.log_mean - np.log(ends)
            held = np.abs(errors) <= NINETY * found.sd
            lines.append(
                {"heard": heard, "ends": len(ends), "mean_error": float(np.abs(errors).mean()),
                 "bias": float(errors.mean()), "sd": float(found.sd.mean()), "coverage90": float(held.mean())}
            )  # fmt: skip
    return lines


def costs(use: str, *, horizon: int, updates: int) -> dict[str, float]:
    """What averages cost on a trainer's defaults: processor seconds of an update without them, of adding up the weights
    after it, of an evaluation and of all merged losses of a moment; bytes of checkpoints with and without."""
    lrs = build("constant", {"peak_lr": 0.01, "warmup_steps": 5}, steps=updates).lrs
    trainers = {place: make_trainer(use, {"averages": place}, 0, updates) for place in ("none", "device")}
    files = {place: io.BytesIO() for place in trainers}
    for place, trainer in trainers.items():
        trainer.start()
        seconds = processor_seconds(partial(trainer.train, lrs)) / updates
        trainer.save(files[place])
        if place == "none":
            update = seconds
    merging = trainers["device"]
    assert isinstance(merging, MergingTrainer)
    weights = list(torch.load(io.BytesIO(files["none"].getvalue()), weights_only=True)["state"]["model"].values())
    averages = WeightAverages(weights, shares=SHARES, host=False)
    sums = [processor_seconds(averages.observe) for _ in range(horizon)]
    return {
        "update": update,
        "sums": float(np.mean(sums)),
        "evaluate": float(np.median([processor_seconds(merging.evaluate) for _ in range(9)])),
        "merged": float(np.median([processor_seconds(merging.evaluate_merged) for _ in range(9)])),
        "checkpoint_without": len(files["none"].getvalue()),
        "checkpoint_with": len(files["device"].getvalue()),
    }


def processor_seconds(act: Callable[[], object]) -> float:
    """What `act` took of the processor, which other programs do not change."""
    began = time.process_time()
    act()
    return time.process_time() - began


def time_share(cost: Mapping[str, float], *, horizon: int) -> float:
    """Time for sums and merged losses over that of training and evaluating without, at `EVALUATIONS` evaluations."""
    segment = _segment("gpt", horizon)
    moments = sum(segment.is_merged(step) for step in range(1, horizon + 1))
    without = horizon * cost["update"] + EVALUATIONS * cost["evaluate"]
    return (horizon * cost["sums"] + moments * cost["merged"]) / without


def _segment(use: str, horizon: int) -> Segment:
    """A whole run as a study trains it, which knows when losses and merged losses are measured."""
    return Segment(
        id="", trainer=TrainerSpec(use=use), seed=0, start=0, stop=horizon, horizon=horizon,
        eval_every=max(1, horizon // EVALUATIONS), lrs=np.ones(horizon), report_from=0, save_uri="",
    )  # fmt: skip


def trained(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """The results of each pair, one per seed and peak; what is stored is read."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in given.runs}
    for seed in range(given.seeds):
        for name in given.runs:
            pair = PAIRS[name]
            for peak in pair.peak_lrs[:: 2 if given.quick else 1]:
                file = given.out / f"{name}-{given.horizon}-{seed}-{peak:g}.json"
                if not file.exists():
                    row = measured(pair, peak, seed=seed, horizon=given.horizon, quick=given.quick)
                    print(f"{name}, seed {seed}, peak {peak:g}: {row}", file=sys.stderr)
                    file.write_text(json.dumps({"seed": seed, **row}))
                found[name].append(json.loads(file.read_text()))
    return found


def cells(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean over seeds of each peak and window, and the standard deviation of ``merged - cooled`` between seeds."""
    by_place: dict[tuple[float, int], list[tuple[float, float, float]]] = {}
    for row in rows:
        for cell in row.get("windows", ()):
            found = by_place.setdefault((row["peak_lr"], cell["window"]), [])
            found.append((row["constant"], cell["cooled"], cell["merged"]))
    listed = []
    for (peak, window), losses in sorted(by_place.items()):
        constant, cooled, merged = np.mean(losses, axis=0).tolist()
        gaps = [m - c for _, c, m in losses]
        spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else None
        listed.append(
            {"peak_lr": peak, "window": window, "seeds": len(losses), "constant": constant, "cooled": cooled,
             "merged": merged, "gap": merged - cooled, "gap_sd": spread}
        )  # fmt: skip
    return listed


def rows_of(table: Sequence[Mapping[str, Any]], horizon: int) -> list[dict[str, str]]:
    """A table for a person: a row per peak LR, a column per window."""
    rows: dict[float, dict[str, str]] = {}
    for cell in table:
        row = rows.setdefault(
            cell["peak_lr"], {"peak LR": f"{cell['peak_lr']:g}", "constant, end": f"{cell['constant']:.3f}"}
        )
        row[f"{cell['window'] / horizon:.0%}: cooled / merged"] = f"{cell['cooled']:.3f} / {cell['merged']:.3f}"
    return list(rows.values())


def markdown(name: str, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The lines of a table."""
    head = list(rows[0])
    body = [f"| {' | '.join(row.get(key, '–') for key in head)} |" for row in rows]
    return [f"**{name}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *body, ""]


def benchmark(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    given.out.mkdir(parents=True, exist_ok=True)
    results = trained(given)
    tables = {name: cells(rows) for name, rows in results.items()}
    diverged = {name: [row for row in rows if "diverged" in row] for name, rows in results.items()}
    uses = dict.fromkeys(PAIRS[name].use for name in given.runs if given.costs)
    cost = {use: costs(use, horizon=given.horizon, updates=given.cost_updates) for use in uses}
    shares = {use: time_share(found, horizon=given.horizon) for use, found in cost.items()}
    rows = {name: rows_of(table, given.horizon) for name, table in tables.items()}
    lines = [line for name, found in rows.items() if found for line in markdown(name, found)]
    for use, found in cost.items():
        times = " ".join(f"{key} {found[key] * 1e3:.2f} ms" for key in ("update", "sums", "evaluate", "merged"))
        sizes = f"checkpoint {found['checkpoint_without']:,} -> {found['checkpoint_with']:,} bytes"
        lines.append(f"{use}: {times}; {shares[use]:.1%} more time; {sizes}")
    told = [
        {"run": name, "seed": seed, **line}
        for name, found in results.items()
        for seed in range(given.seeds)
        for line in forecasts([row for row in found if row["seed"] == seed and "curve" in row], given.horizon)
    ]
    lines += [
        f"{line['run']}, seed {line['seed']}: ends of {line['ends']} cooldowns, merged losses heard: {line['heard']}: "
        f"mean error {line['mean_error']:.4f}, bias {line['bias']:+.4f}, 90% intervals hold {line['coverage90']:.0%}"
        for line in told
    ]
    document = {
        "horizon": given.horizon, "seeds": given.seeds, "windows": WINDOWS, "default_windows": SHARES,
        "versions": versions(), "tables": tables, "rows": rows, "diverged": diverged, "forecasts": told,
        "costs": cost, "time_share": shares,
    }  # fmt: skip
    return document, lines


def pairs(text: str) -> list[str]:
    """Names of `PAIRS`, with commas between."""
    names = text.split(",")
    if unknown := [name for name in names if name not in PAIRS]:
        raise argparse.ArgumentTypeError(f"must be of {', '.join(PAIRS)}, but got {unknown[0]!r}.")
    return names


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what was trained")
    parser.add_argument("--runs", type=pairs, default=list(PAIRS), help=f"of {', '.join(PAIRS)}, with commas between")
    parser.add_argument("--seeds", type=whole, default=3, help="seeds of each pair")
    parser.add_argument("--horizon", type=whole, help="updates of a run; default: 1,200, or 100 where it is quick")
    parser.add_argument("--quick", action="store_true", help="small models, 100 updates and three peaks, to try it out")
    parser.add_argument("--no-costs", dest="costs", action="store_false", help="leave out what averages cost")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args(arguments)
    given.horizon = given.horizon or (100 if given.quick else 1200)
    given.cost_updates = 20 if given.quick else 300
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(arguments)
    return ended(lambda: benchmark(given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
