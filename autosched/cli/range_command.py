"""`range-test`: where training diverges, and between which LRs to look for the peak."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from autosched.cli.options import JsonOption, kept_for_json, show, tell_shipped, write_file
from autosched.curves.range_test import RangeTest, RangeTestFailure, Sweep
from autosched.engine.execute import SegmentRunner
from autosched.engine.range_test import run_sweep
from autosched.engine.threads import same_sums, with_threads
from autosched.errors import WorkError
from autosched.report.canvas import png
from autosched.report.range_test_plot import range_test_plot
from autosched.space.trainer_file import SweepTask, load_sweep_task
from workers.registry import check_trainer, make_trainer

READINGS = ("low", "high", "divergence_lr", "steepest_lr", "valley_low", "valley_high", "start_loss", "lowest_loss")


def range_test(
    file: Annotated[
        Path, typer.Argument(help="A space file, or one with trainer (and seed) only.", metavar="SPACE|TRAINER")
    ],
    low: Annotated[float | None, typer.Option("--low", help="LR of the first update; default 1e-6.")] = None,
    high: Annotated[float | None, typer.Option("--high", help="LR of the last update; default 10.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Updates; default 200.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the model; default: the file's.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Override one value of the file.", metavar="KEY=VALUE")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Draw the test.", metavar="PNG")] = None,
    as_json: JsonOption = False,
) -> int:
    """Train once while the LR rises exponentially; suggest bounds for the peak LR.

    Example: autosched range-test search_spaces/wsd.yaml --out range.png
    """
    tell_shipped(file)
    with kept_for_json(as_json):
        task = load_sweep_task(file, override or [], lambda spec: check_trainer(spec.use, spec.options))
    task = _with_options(task, low=low, high=high, steps=steps, seed=seed)
    with tempfile.TemporaryDirectory(prefix="autosched-") as folder, kept_for_json(as_json), same_sums(task.cpus):
        runner = SegmentRunner(with_threads(make_trainer, task.cpus))
        found = run_sweep(runner, task.trainer, seed=task.seed, sweep=task.sweep, save_uri=f"{folder}/swept")
    figure = range_test_plot(found, title=f"LR range test of {task.trainer.use}, seed {task.seed}")
    if out is not None and figure is not None:
        write_file(out, png(figure))
    written = str(out) if out is not None and figure is not None else None
    show(as_json, range_document(task, found, written), range_lines(found, written))
    if isinstance(found, RangeTestFailure):
        raise WorkError(f"the range test found no bounds: {found.reason}")
    return 0


def range_document(task: SweepTask, found: RangeTest | RangeTestFailure, plot: str | None) -> dict[str, Any]:
    """A range test as JSON data; numbers that were not found are None."""
    curve = {"lrs": found.lrs.tolist(), "losses": found.losses.tolist()}
    readings: dict[str, Any] = {name: getattr(found, name, None) for name in READINGS}
    if isinstance(found, RangeTest):
        curve |= {"smoothed_lrs": found.smoothed_lrs.tolist(), "smoothed": found.smoothed.tolist()}
    return {
        "trainer": {"use": task.trainer.use, "with": dict(task.trainer.options)},
        "seed": task.seed,
        "sweep": asdict(task.sweep),
        "updates": len(found.lrs),
        **readings,
        "reason": found.no_divergence if isinstance(found, RangeTest) else found.reason,
        "plot": plot,
        "curve": curve,
    }


def range_lines(found: RangeTest | RangeTestFailure, plot: str | None) -> list[str]:
    """A range test for a person."""
    drawn = [] if plot is None else [f"plot        {plot}"]
    if isinstance(found, RangeTestFailure):
        return drawn
    edge = "not seen: " + found.no_divergence if found.divergence_lr is None else f"{found.divergence_lr:.3g}"
    return [
        f"peak_lr     {{low: {found.low:.2e}, high: {found.high:.2e}, scale: log}}",
        f"divergence  {edge}",
        f"valley      {found.valley_low:.2e} to {found.valley_high:.2e}, lowest smoothed loss {found.lowest_loss:.4f} "
        f"from {found.start_loss:.4f}",
        f"steepest    {found.steepest_lr:.2e}",
        f"updates     {len(found.lrs)}",
        *drawn,
    ]


def _with_options(
    task: SweepTask, *, low: float | None, high: float | None, steps: int | None, seed: int | None
) -> SweepTask:
    """The task with what the command line says; the file's own sweep says the rest."""
    given = task.sweep
    sweep = Sweep(
        low=given.low if low is None else low,
        high=given.high if high is None else high,
        steps=given.steps if steps is None else steps,
    )
    return replace(task, sweep=sweep, seed=task.seed if seed is None else seed)
