"""How a run should end: a decay, a mean of its weights, or neither, at a horizon, at half and at twice of it.

    OMP_NUM_THREADS=1 python benchmarks/ends.py --out FOLDER [--seeds 5 5 2] [--json] [--picture FILE]

The demo's GPT. Three runs that know no horizon, each trained once per seed and looked at after 600, 1,200 and 2,400
updates: a constant LR after a warmup of 30 updates, ``1 / sqrt(t)`` after it (both AdamW), and Schedule-Free AdamW at a
constant LR. What can be had from them at a horizon H without having planned for it::

    neither        the last weights
    decay          a linear cooldown to zero over the last share of H, branched off the constant run
    mean           the uniform mean of the weights after the last share of H, as the trainer's running sums have it
    EMA            an exponential mean with a half-life of a share of H, of the weights after every fifth update
    Schedule-Free  its own average

The share and the peak LR of each row are the best at 600 updates on seed 0, the peak LR among powers of two times
0.01, as far as the best is not at the end of what was tried; the last weights are those of the run that the decay, or
the mean, is taken from. Losses are those of fresh seeds, of 32,768 validation tokens. What lies in FOLDER already is
not trained again, so it may be interrupted at any time; 20 minutes of one core.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_command import ended

from autosched.report import canvas
from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray
from autosched.trainer import Diverged
from workers.registry import make_trainer
from workers.weight_averages import windows_at

MODEL: Mapping[str, Any] = {"layers": 2, "width": 64, "heads": 4, "context": 64, "batch": 16, "data": "stdlib"}
SMALL = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 4}
HORIZONS = (600, 1200, 2400)
COOLED, MEANS, HALF_LIVES = (0.2, 0.4), (0.1, 0.2, 0.4), (0.025, 0.05, 0.1, 0.2)
"""Shares of the horizon."""
FIRST_PEAK, EVERY = 0.01, 5
TUNED_ON = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run that knows no horizon.

    Attributes:
        family, params: its schedule's, besides peak LR and warmup.
        options: of the trainer.
        averaged: whether means of its weights are looked at.
        cooled: whether cooldowns are branched off it.
    """

    family: str
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    averaged: bool = True
    cooled: bool = False

    def lrs(self, peak: float, steps: int) -> FloatArray:
        """The LR of the first `steps` updates."""
        return build(self.family, {**_WARMUP, "peak_lr": peak, **self.params}, steps=steps).lrs


_WARMUP = {"warmup_steps": 30}
RUNS: Mapping[str, Run] = {
    "constant": Run(family="constant", cooled=True),
    "inverse_sqrt": Run(family="inverse_sqrt", params={"timescale_steps": 30}),
    "schedulefree": Run(family="constant", options={"optimizer": "schedulefree"}, averaged=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to end.

    Attributes:
        run: of `RUNS`.
        ends: losses of a run that it chooses from.
        beside: the row whose peak LR it has; None for one of its own.
    """

    run: str
    ends: Sequence[str] = ("last",)
    beside: str | None = None


_MEANS, _EMAS = [f"mean {share:g}" for share in MEANS], [f"EMA {share:g}" for share in HALF_LIVES]
ROWS: Mapping[str, Row] = {
    "neither: constant LR": Row(run="constant", beside="decay: cooldown to zero"),
    "decay: cooldown to zero": Row(run="constant", ends=[f"cooled {share:g}" for share in COOLED]),
    "merge: uniform mean": Row(run="constant", ends=_MEANS),
    "merge: EMA": Row(run="constant", ends=_EMAS),
    "neither: 1/sqrt(t)": Row(run="inverse_sqrt", beside="1/sqrt(t), uniform mean"),
    "1/sqrt(t), uniform mean": Row(run="inverse_sqrt", ends=_MEANS),
    "1/sqrt(t), EMA": Row(run="inverse_sqrt", ends=_EMAS),
    "Schedule-Free": Row(run="schedulefree"),
}
Ends = Mapping[str, float]
"""Losses at one horizon by the way to end, nats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What is trained, in files.

    Attributes:
        folder: of the files.
        horizons: in increasing order, each below twice of what cooldowns leave of the next.
        options: of the trainer.
        cooled: shares of the horizon that cooldowns take.
    """

    folder: Path
    horizons: Sequence[int]
    options: Mapping[str, Any]
    cooled: Sequence[float] = COOLED

    def ends(self, name: str, peak: float, *, seed: int, horizon: int) -> Ends | None:
        """The losses of a run at a horizon; None where it diverged. Goes on from the horizon before."""
        kept = self._file(name, peak, seed, horizon, "json")
        if not kept.exists():
            earlier = [one for one in self.horizons if one < horizon]
            if earlier and self.ends(name, peak, seed=seed, horizon=earlier[-1]) is None:
                return None
            found = self._measured(name, peak, seed, horizon, earlier[-1] if earlier else 0)
            print(f"{name}, peak {peak:g}, seed {seed}, {horizon} updates: {found}", file=sys.stderr)
            kept.write_text(json.dumps(found))
        found = json.loads(kept.read_text())
        return found or None

    def _file(self, name: str, peak: float, seed: int, horizon: int, kind: str) -> Path:
        return self.folder / f"{name}-{peak:g}-{seed}-{horizon}.{kind}"

    def _measured(self, name: str, peak: float, seed: int, horizon: int, start: int) -> dict[str, float]:
        run = RUNS[name]
        going = Going(run=run, options=self.options, seed=seed, horizons=self.horizons)
        try:
            if start:
                going.read(self._file(name, peak, seed, start, "pt"))
            found = going.to(horizon, peak, cooled=self.cooled if run.cooled else ())
        except Diverged:
            return {}
        going.write(self._file(name, peak, seed, horizon, "pt"))
        return found


class Going:
    """A run under way, with exponential means of its weights."""

    def __init__(self, *, run: Run, options: Mapping[str, Any], seed: int, horizons: Sequence[int]) -> None:
        averages = {"average_windows": list(MEANS)} if run.averaged else {}
        self.run, self._given = run, ({**options, **run.options, **averages}, seed, horizons[-1])
        self._half_lives = sorted({round(share * horizon) for share in HALF_LIVES for horizon in horizons})
        self.trainer, self.emas = self._new(), dict[int, dict[str, torch.Tensor]]()

    def _new(self) -> Any:
        trainer: Any = make_trainer("gpt", *self._given)
        trainer.start()
        return trainer

    def read(self, file: Path) -> None:
        """Go on from a file that `write` made."""
        kept = torch.load(file, weights_only=True)
        self.emas = kept["emas"]
        self.trainer.load(io.BytesIO(kept["checkpoint"].numpy().tobytes()))

    def write(self, file: Path) -> None:
        """All that it takes to go on."""
        checkpoint = torch.frombuffer(bytearray(self.saved().getvalue()), dtype=torch.uint8)
        torch.save({"emas": self.emas, "checkpoint": checkpoint}, file)

    def saved(self) -> io.BytesIO:
        """The trainer's checkpoint."""
        file = io.BytesIO()
        self.trainer.save(file)
        file.seek(0)
        return file

    def to(self, horizon: int, peak: float, *, cooled: Sequence[float]) -> dict[str, float]:
        """Train up to a horizon, and give the losses of all ways to end there, cooldowns of these shares among them."""
        lrs, branches = self.run.lrs(peak, horizon), dict[float, io.BytesIO]()
        begins = {horizon - round(share * horizon): share for share in cooled}
        while self.trainer.step < horizon:
            at = self.trainer.step
            self.trainer.train(lrs[at : at + EVERY])
            if self.run.averaged:
                self._observe()
            if self.trainer.step in begins:
                branches[begins[self.trainer.step]] = self.saved()
        found = {"last": self.trainer.evaluate()}
        for share, file in branches.items():
            found[f"cooled {share:g}"] = self._cooled(file, peak, share, horizon)
        return found | (self._averaged(horizon) if self.run.averaged else {})

    def _observe(self) -> None:
        """Take the weights into the exponential means."""
        weights = torch.load(self.saved(), weights_only=True)["state"]["model"]
        for updates in self._half_lives:
            mean = self.emas.setdefault(updates, {name: weight.clone() for name, weight in weights.items()})
            for name, weight in weights.items():
                mean[name].lerp_(weight, 1 - 0.5 ** (EVERY / updates))

    def _cooled(self, file: io.BytesIO, peak: float, share: float, horizon: int) -> float:
        branch = self._new()
        branch.load(file)
        params = {**_WARMUP, "peak_lr": peak, "cooldown_fraction": share}
        branch.train(build("wsd", params, steps=horizon).lrs[branch.step :])
        return float(branch.evaluate())

    def _averaged(self, horizon: int) -> dict[str, float]:
        """Losses of the means of the weights."""
        merged, found = self.trainer.evaluate_merged(), {}
        for share in MEANS:
            window = min(windows_at(horizon, MEANS), key=lambda one, share=share: abs(math.log(one / share / horizon)))
            found[f"mean {share:g}"] = merged[window]
        document = torch.load(self.saved(), weights_only=True)
        reader = self._new()
        for share in HALF_LIVES:
            document["state"]["model"] = self.emas[round(share * horizon)]
            file = io.BytesIO()
            torch.save(document, file)
            file.seek(0)
            reader.load(file)
            found[f"EMA {share:g}"] = reader.evaluate()
        return found


@dataclass(frozen=True, slots=True)
class Chosen:
    """The peak LR and the end of a row."""

    peak: float
    end: str


def chosen(trained: Trained) -> dict[str, Chosen]:
    """Of every row, what is best at the first horizon."""
    found: dict[str, Chosen] = {}
    for name in RUNS:
        own = {label: row for label, row in ROWS.items() if row.run == name and row.beside is None}
        found |= _tuned(trained, name, own)
    return found | {
        label: Chosen(found[row.beside].peak, "last") for label, row in ROWS.items() if row.beside is not None
    }


def _tuned(trained: Trained, run: str, rows: Mapping[str, Row]) -> dict[str, Chosen]:
    """Try peak LRs, a factor of 2 apart, until no row's best is the lowest or the highest of them."""
    tried: dict[int, Ends] = {}
    wanted = {-1, 0, 1}
    while wanted:
        for place in sorted(wanted):
            ends = trained.ends(run, FIRST_PEAK * 2.0**place, seed=TUNED_ON, horizon=trained.horizons[0])
            tried[place] = ends or {}
        best = {label: _best(tried, row.ends) for label, row in rows.items()}
        wanted = {place + step for place, _ in best.values() for step in (-1, 1)} - tried.keys()
    return {label: Chosen(FIRST_PEAK * 2.0**place, end) for label, (place, end) in best.items()}


def _best(tried: Mapping[int, Ends], ends: Sequence[str]) -> tuple[int, str]:
    losses = {(place, end): found[end] for place, found in tried.items() for end in ends if end in found}
    return min(losses, key=lambda one: losses[one])


def table(trained: Trained, seeds: Mapping[int, Sequence[int]]) -> list[dict[str, Any]]:
    """A row per way to end, on the seeds of each horizon."""
    rows, choices = [], chosen(trained)
    cooled = [float(one.end.split()[1]) for one in choices.values() if one.end.startswith("cooled")]
    trained = replace(trained, cooled=cooled)
    for label, choice in choices.items():
        cells: dict[str, Any] = {}
        for horizon, own in seeds.items():
            found = [trained.ends(ROWS[label].run, choice.peak, seed=seed, horizon=horizon) for seed in own]
            losses = [None if ends is None else ends[choice.end] for ends in found]
            cells[str(horizon)] = {"losses": losses, "mean": None if None in losses else float(np.mean(losses))}
        rows.append({"row": label, "peak_lr": choice.peak, "end": choice.end, "at": cells})
    order = list(ROWS)
    return [_against(row, rows) for row in sorted(rows, key=lambda row: order.index(row["row"]))]


def _against(row: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row with how much more it is, seed by seed, than the decay."""
    decay = next(one for one in rows if one["row"].startswith("decay"))
    for horizon, cell in row["at"].items():
        other = decay["at"][horizon]["losses"]
        if None not in (*cell["losses"], *other):
            more = np.subtract(cell["losses"], other)
            error = float(more.std(ddof=1) / math.sqrt(more.size)) if more.size > 1 else None
            cell |= {"over_decay": float(more.mean()), "standard_error": error}
    return row


def picture(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG: by how much each way to end is above the decay, at each horizon, with standard errors."""
    figure = canvas.new_figure(8.0, 4.4)
    axes = canvas.dress(figure.add_subplot(), x="updates", y="loss over that of the cooldown (nats)")
    shown = [row for row in rows if not row["row"].startswith("neither")]
    for index, row in enumerate(shown):
        cells = {int(horizon): cell for horizon, cell in row["at"].items() if "over_decay" in cell}
        axes.errorbar(
            [horizon * 1.01 ** (index - len(shown) / 2) for horizon in cells],
            [cell["over_decay"] for cell in cells.values()],
            yerr=[cell["standard_error"] or 0.0 for cell in cells.values()],
            color=canvas.CYCLE[index], marker="o", ms=4, lw=1.5, capsize=2.5, label=row["row"],
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks([int(horizon) for horizon in rows[0]["at"]], labels=list(rows[0]["at"]))
    axes.minorticks_off()
    canvas.legend_below(axes, columns=3)
    return canvas.png(figure)


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The table for a person."""
    found = []
    for row in rows:
        cells = [
            f"{horizon}: {cell['mean']:.4f} ({cell.get('over_decay', math.nan):+.4f})"
            for horizon, cell in row["at"].items()
            if cell["mean"] is not None
        ]
        found.append(f"{row['row']:26} peak {row['peak_lr']:<7g} {row['end']:12} {'  '.join(cells)}")
    return found


def benchmark(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    given.out.mkdir(parents=True, exist_ok=True)
    options = {**MODEL, **(SMALL if given.quick else {}), "eval_batches": 4 if given.quick else 32}
    horizons = (50, 100) if given.quick else HORIZONS
    trained = Trained(folder=given.out, horizons=horizons, options=options)
    counts = zip(horizons, given.seeds, strict=False)
    seeds = {one: range(TUNED_ON + 1, TUNED_ON + 1 + count) for one, count in counts if count}
    rows = table(trained, seeds)
    if given.picture:
        given.picture.write_bytes(picture(rows))
    document = {"horizons": horizons, "seeds": {str(one): list(own) for one, own in seeds.items()}, "rows": rows}
    return document, lines(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of what was trained")
    parser.add_argument(
        "--seeds", type=int, nargs=len(HORIZONS), default=[5, 5, 2], help="fresh seeds of each horizon; 0 leaves it out"
    )
    parser.add_argument("--picture", type=Path, help="also draw the table into this PNG")
    parser.add_argument("--quick", action="store_true", help="a small model and 100 updates, to try it out")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    given = parser.parse_args(arguments)
    return ended(lambda: benchmark(given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
