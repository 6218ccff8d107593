"""Curves made from published laws, with the names and the file layout of the recorded ones.

The GPT groups follow the Multi-Power Law with its authors' parameters (`PUBLISHED` of `autosched.laws.multi_power`).
The Llama group follows a functional law whose parameters are those of a fit to the recorded Llama runs, rounded. Each
curve has noise of its own, keyed by its name.
"""

from __future__ import annotations

import csv
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from autosched.curves.curve import Curve
from autosched.curves.runs_table import RUNS_FILE, row_schedule
from autosched.laws.functional import FunctionalLaw
from autosched.laws.multi_power import PUBLISHED
from autosched.randomness import generator

NOISE = 0.0005  # relative, of one logged loss, about as in the recorded runs
FULL_SET = 0.036  # nats by which the full validation set's loss lies above the logged one
LLAMA = FunctionalLaw(
    floor=2.66,
    scale=0.223,
    exponent=0.438,
    noise=0.261,
    noise_power=0.493,
    noise_peak_power=0.468,
    time_power=0.765,
    time_peak_power=0.652,
    speed=200.0,
    saturation=2.77,
    reference_lr=1e-3,
    reference_steps=25_000.0,
)
LAWS = {"gpt25m": PUBLISHED["25M"], "gpt100m": PUBLISHED["100M"], "llama124m": LLAMA}
COLUMNS = ("schedule", "peak_lr", "warmup_steps", "horizon", "cooldown_fraction", "decay_shape", "final_lr_ratio")
PEAKS, HORIZONS, COOLDOWNS = (1e-4, 5e-4, 1e-3, 2e-3), (15_000, 25_000, 35_000), (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)

Row = dict[str, str | None]


def _row(kind: str, peak: float, warmup: int, steps: int, cooldown: float, shape: str, final: float) -> Row:  # noqa: PLR0917
    return dict(zip(COLUMNS, map(str, (kind, peak, warmup, steps, cooldown, shape, final)), strict=True))


def _gpt() -> dict[str, Row]:
    rows = {f"constant_{steps}": _row("constant", 3e-4, 2160, steps, 0, "", 1.0) for steps in (24_000, 72_000)}
    rows |= {f"cosine_{steps}": _row("cosine", 3e-4, 2160, steps, 0, "cosine", 0.1) for steps in (24_000, 72_000)}
    for name, shape in (("wsd", "exponential"), ("wsdld", "linear")):
        rows[f"{name}_20000_24000"] = _row("wsd", 3e-4, 2160, 24_000, 1 / 6, shape, 0.1)
    rows |= {f"wsdcon_{lr}": _row("two_stage", 3e-4, 2160, 16_000, 0.5, "step", lr / 30) for lr in (3, 9, 18)}
    return rows


def _llama() -> dict[str, Row]:
    decays = [(cooldown, "linear", steps) for cooldown, steps in product(COOLDOWNS, HORIZONS)] + [(0.2, "sqrt", 25_000)]
    rows = {
        f"wsd_lr{peak:g}_T{steps}_cd{cooldown}_{shape}": _row("wsd", peak, 300, steps, cooldown, shape, 0.0)
        for (cooldown, shape, steps), peak in product(decays, PEAKS)
        if peak > 1e-4 or steps == 25_000
    }
    for peak, final in product(PEAKS, (0.1, 0.0)):
        rows[f"cos_lr{peak:g}_T25000_final{final:g}"] = _row("cosine", peak, 300, 25_000, 0, "cosine", final)
    return rows


ROWS = {"gpt25m": _gpt(), "gpt100m": _gpt(), "llama124m": _llama()}


@cache
def made_curve(name: str) -> Curve:
    """One of them, e.g. ``gpt25m/cosine_24000``."""
    group, _, run = name.partition("/")
    schedule = row_schedule(ROWS[group][run], Path(RUNS_FILE), 1)
    first, every = (200, 200) if group == "llama124m" else (2_176, 128)
    steps = np.arange(first, schedule.steps, every, dtype=np.float64)
    noise = NOISE * generator(0, name).standard_normal(steps.size)
    losses = LAWS[group].predict_at(schedule, steps) * np.exp(noise)
    return Curve(schedule=schedule, steps=steps, losses=losses, name=f"{name}.csv")


def made_group(group: str) -> tuple[Curve, ...]:
    """All curves of ``gpt25m``, ``gpt100m`` or ``llama124m``, by name."""
    return tuple(made_curve(f"{group}/{run}") for run in sorted(ROWS[group]))


def write_made_curves(folder: Path) -> Path:
    """All of them as files with their ``runs.csv``, as the recorded ones lie; gives the folder back."""
    with (folder / RUNS_FILE).open("w", newline="") as stream:
        table = csv.DictWriter(stream, ["file", "group", *COLUMNS, "full_val_loss"])
        table.writeheader()
        for group, rows in ROWS.items():
            (folder / group).mkdir()
            for run, row in rows.items():
                curve = made_curve(f"{group}/{run}")
                _write(folder / curve.name, curve)
                end = LAWS[group].predict(curve.schedule)[-1] + FULL_SET if group == "llama124m" else ""
                table.writerow({"file": curve.name, "group": group, **row, "full_val_loss": end})
    return folder


def _write(file: Path, curve: Curve) -> None:
    lrs = curve.schedule.lrs[curve.steps.astype(int) - 1]
    lines = [
        f"{step:.0f},{lr!r},{loss:.6f}" for step, lr, loss in zip(curve.steps, lrs.tolist(), curve.losses, strict=True)
    ]
    file.write_text("\n".join(["step,lr,loss", *lines]) + "\n")
