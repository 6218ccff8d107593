"""Figures of a study; each function returns None when there is nothing to draw yet.

Losses are in nats, LRs per update, steps are optimizer updates. Confirming runs repeat a schedule that is drawn
already and appear only where the winner meets the default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from autosched.ledger.state import StudyState
from autosched.report import canvas
from autosched.report.confirmation import default_trial, winner
from autosched.report.cost import study_cost, trial_costs
from autosched.report.curves import drawn, merged_of, points_of, thinned
from autosched.report.parameter_plot import parameter_plot
from autosched.report.schedule_plot import LR, STEPS, scale_lr_axis, schedule_plot
from autosched.report.terminal_plot import terminal_plot
from autosched.schedules.schedule import FloatArray
from autosched.space.records import Space

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

__all__ = [
    "costs",
    "forecasts",
    "loss_curves",
    "lr_curves",
    "parameter_plot",
    "schedule_plot",
    "terminal_plot",
    "winner_and_default",
]
LOSS = "validation loss (nats)"


def lr_curves(state: StudyState, space: Space) -> Figure | None:
    """LR of every schedule tried: coloured by final loss, the winner bold, what was not finished faint."""
    trials = drawn(state)
    if not trials:
        return None
    figure = canvas.new_figure(7.2, 3.9)
    axes = canvas.dress(figure.add_subplot(), x=STEPS, y=LR)
    curves = {trial.number: thinned(trial.schedule) for trial in trials}
    scale_lr_axis(axes, [lrs for _, lrs in curves.values()])
    axes.set_xlim(0, space.horizon_steps)
    _draw_trials(figure, axes, state, curves)
    return figure


def loss_curves(state: StudyState, space: Space) -> Figure | None:
    """Loss of every trial against updates, in the colours of :func:`lr_curves`; a cross where a run diverged.

    Dotted beneath it what the mean of its last weights has, near what a cooldown would give.
    """
    trials = [trial for trial in drawn(state) if trial.points]
    if not trials:
        return None
    figure = canvas.new_figure(7.2, 3.9)
    axes = canvas.dress(figure.add_subplot(), x=STEPS, y=LOSS)
    curves = {trial.number: points_of(trial) for trial in trials}
    merged = [found for found in map(merged_of, trials) if found[0].size]
    low, high = _loss_window(list(curves.values()), space.horizon_steps)
    axes.set_ylim(min([low, *(float(losses.min()) for _, losses in merged)]), high)
    axes.set_xlim(0, space.horizon_steps)
    _draw_trials(figure, axes, state, curves)
    for number, found in enumerate(merged):
        label = "_" if number else "mean of the last weights"
        axes.plot(*found, ":", marker=".", color=canvas.MUTED, lw=0.8, ms=2.5, zorder=1, label=label)
    ends = [(trial, curves[trial.number]) for trial in trials if trial.status != "running" and trial.value is None]
    for marker, label, diverged in (("x", "diverged", True), ("o", "ended early", False)):
        at = [(x[-1], min(y[-1], high)) for trial, (x, y) in ends if (trial.status == "diverged") is diverged]
        if at:
            axes.plot(*zip(*at, strict=True), marker, color=canvas.MUTED, ms=4, label=label, clip_on=False)
    canvas.legend_below(axes)  # again, with the markers
    return figure


def forecasts(state: StudyState, space: Space) -> Figure | None:
    """Forecasts of complete trials against what was seen: value against value, and error against what was known."""
    made = [
        (trial.value, step / space.horizon_steps, decision.forecast)
        for trial in state.searched
        for step, decision in trial.decisions
        if trial.value is not None and decision.forecast is not None
    ]
    if not made:
        return None
    seen, known = np.array([value for value, _, _ in made]), np.array([share for _, share, _ in made])
    mean = np.array([forecast.mean for _, _, forecast in made])
    low = np.array([forecast.low for _, _, forecast in made])
    high = np.array([forecast.high for _, _, forecast in made])
    figure = canvas.new_figure(7.8, 3.7)
    left, right = figure.subplots(1, 2)
    inside = int(np.sum((low <= seen) & (seen <= high)))
    canvas.dress(left, x="seen final loss (nats)", y="forecast final loss (nats)", title="Forecast against seen")
    canvas.dress(right, x="share of the run known", y="forecast − seen (nats)", title="Error as the run goes on")
    ends = float(min(seen.min(), mean.min())), float(max(seen.max(), mean.max()))
    pad = 0.06 * (ends[1] - ends[0]) + 1e-3
    left.plot([ends[0] - pad, ends[1] + pad], [ends[0] - pad, ends[1] + pad], color=canvas.MUTED, lw=1, zorder=1)
    right.axhline(0, color=canvas.MUTED, lw=1, zorder=1)
    spread = known + _beside_each_other(known)
    for axes, x, shift in ((left, seen, np.zeros_like(seen)), (right, spread, seen)):
        axes.errorbar(
            x, mean - shift, yerr=(mean - low, high - mean), fmt="none", ecolor=canvas.MUTED, elinewidth=0.8, alpha=0.5
        )
    dots = left.scatter(seen, mean, c=known, cmap=canvas.LOSSES, vmin=0, vmax=1, s=22, lw=0.4, ec="white", zorder=3)
    right.scatter(spread, mean - seen, c=known, cmap=canvas.LOSSES, vmin=0, vmax=1, s=22, lw=0.4, ec="white", zorder=3)
    right.set_xlim(0, 1)
    bar = figure.colorbar(dots, ax=right, pad=0.02, aspect=28)
    bar.set_label("share of the run known", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    left.text(
        0.03,
        0.97,
        f"{inside} of {len(made)} inside the 90% interval\nmean |error| {np.mean(np.abs(mean - seen)):.3f} nats",
        transform=left.transAxes,
        va="top",
        fontsize=8,
    )
    return figure


def winner_and_default(state: StudyState, space: Space) -> Figure | None:
    """The winner against the user's own schedule: LR above, loss below; fresh seeds thin."""
    pairs = [
        (trial, name, colour)
        for trial, name, colour in (
            (default_trial(state), "default", canvas.DEFAULT),
            (winner(state), "winner", canvas.WINNER),
        )
        if trial is not None
    ]
    if not pairs:
        return None
    if len(pairs) == 2 and pairs[0][0] is pairs[1][0]:
        pairs = [(pairs[0][0], "default, which also wins", canvas.WINNER)]
    figure = canvas.new_figure(7.2, 5.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    canvas.dress(above, x="", y=LR)
    canvas.dress(below, x=STEPS, y=LOSS)
    losses = []
    for trial, name, colour in pairs:
        above.plot(*thinned(trial.schedule), color=colour, lw=2, label=f"{name} (trial {trial.number})")
        for run in [trial, *(other for other in state.trials if other.of == trial.number)]:
            curve = points_of(run)
            losses.append(curve)
            main = run is trial
            below.plot(*curve, color=colour, lw=2 if main else 0.8, alpha=1 if main else 0.55)
    above.set_ylim(bottom=0)
    above.set_xlim(0, space.horizon_steps)
    below.set_ylim(*_loss_window([curve for curve in losses if curve[0].size], space.horizon_steps))
    fresh = any(trial.role == "confirm" for trial in state.trials)
    if fresh:
        below.plot([], [], color=canvas.MUTED, lw=0.8, label="same schedules, fresh seeds")
    _legend_on_top(figure, above, below)
    return figure


def costs(state: StudyState, space: Space) -> Figure | None:
    """What each trial cost, in full runs: computed, taken from a shared prefix, and not done.

    Updates trained again after a lost checkpoint belong to no trial's horizon and stand in the legend only.
    """
    shares = trial_costs(state)
    if not shares:
        return None
    parts = _cost_parts(state, space)
    again = study_cost(state, horizon=space.horizon_steps).retrained / space.horizon_steps
    figure = canvas.new_figure(7.2, 4.3)
    top, bottom = figure.subplots(2, 1, height_ratios=(1, 4))
    canvas.dress(top, x="full runs, all trials", y="")
    canvas.dress(bottom, x="trial", y="full runs")
    start, base = 0.0, np.zeros(len(shares))
    numbers = np.arange(len(shares))
    width = 0.8 if len(shares) <= 80 else 1.0
    for name, (colour, values) in parts.items():
        total = float(values.sum())
        if not total:
            continue
        label = f"{name} {total:.1f}" + (f" (and {again:.1f} again)" if name == "trained" and again else "")
        top.barh(0, total, left=start, color=colour, height=0.6, label=label, ec="white", lw=0.8)
        bottom.bar(numbers, values, bottom=base, color=colour, width=width)
        start, base = start + total, base + values
    top.set_yticks([])
    top.spines["left"].set_visible(False)
    top.grid(False)
    top.set_xlim(0, sum(cost.planned for cost in shares) / space.horizon_steps)
    bottom.set_xlim(-0.6, len(shares) - 0.4)
    bottom.set_ylim(0, 1.09)
    bottom.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    bottom.grid(False, axis="x")
    _mark_trials(bottom, state)
    _legend_on_top(figure, top)
    return figure


def _beside_each_other(places: FloatArray) -> FloatArray:
    """Small shifts that keep equal places apart: shape of `places`, within +-0.03."""
    shifts = np.zeros_like(places)
    for place in np.unique(places):
        same = np.flatnonzero(places == place)
        shifts[same] = 0.06 * ((np.arange(same.size) + 0.5) / same.size - 0.5)
    return shifts


def _draw_trials(
    figure: Figure, axes: Axes, state: StudyState, curves: Mapping[int, tuple[FloatArray, FloatArray]]
) -> None:
    """One line per trial, in order of importance; complete ones coloured by their final loss."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    best, default = winner(state), default_trial(state)
    trials = [state.trials[number] for number in curves]
    values = [trial.value for trial in trials if trial.value is not None]
    norm, clipped = _loss_norm(values)
    for trial in trials:
        if trial.value is None:
            axes.plot(*curves[trial.number], color=canvas.MUTED, lw=0.8, alpha=0.45, zorder=2)
    for trial in sorted(trials, key=lambda trial: -(trial.value or 0.0)):
        if trial.value is not None:
            axes.plot(*curves[trial.number], color=colormaps[canvas.LOSSES](norm(trial.value)), lw=1.2, zorder=3)
    if any(trial.value is None for trial in trials):
        axes.plot([], [], color=canvas.MUTED, lw=0.8, label="not finished")
    if default is not None and default.number in curves:
        axes.plot(*curves[default.number], color=canvas.DEFAULT, lw=1.6, ls=(0, (4, 2)), zorder=4, label="default")
    if best is not None and best is not default and best.number in curves:
        axes.plot(*curves[best.number], color=canvas.WINNER, lw=2.6, zorder=5, label=f"winner (trial {best.number})")
    if values:
        bar = figure.colorbar(
            ScalarMappable(norm, canvas.LOSSES), ax=axes, pad=0.015, aspect=28, extend="max" if clipped else "neither"
        )
        bar.set_label("final validation loss (nats)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    canvas.legend_below(axes)


def _loss_norm(values: list[float]) -> tuple[Normalize, bool]:
    """Colours for final losses; the worst fifth shares one colour when it would squeeze the rest."""
    from matplotlib.colors import Normalize

    if not values:
        return Normalize(0, 1), False
    low, high, usual = min(values), max(values), float(np.quantile(values, 0.8))
    clipped = high - low > 3 * (usual - low) > 0
    return Normalize(low, max(usual if clipped else high, low + 1e-6)), clipped


def _loss_window(curves: list[tuple[FloatArray, FloatArray]], horizon: int) -> tuple[float, float]:
    """A range of losses that shows the ends of the runs; what happens before a tenth of the horizon may leave it."""
    low = min((float(losses.min()) for _, losses in curves if losses.size), default=0.0)
    late = [losses[steps >= 0.1 * horizon] for steps, losses in curves]
    tops = [float(losses[0]) for losses in late if losses.size]
    high = float(np.median(tops)) if tops else low + 1.0
    pad = 0.05 * max(high - low, 1e-3)
    return low - pad, high + pad


def _legend_on_top(figure: Figure, *axes: Axes) -> None:
    found = [pair for one in axes for pair in zip(*one.get_legend_handles_labels(), strict=True)]
    handles, labels = zip(*found, strict=True) if found else ((), ())
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)


def _cost_parts(state: StudyState, space: Space) -> dict[str, tuple[str, FloatArray]]:
    """Name of a part -> (colour, full runs by trial)."""
    shares = trial_costs(state)

    def runs(values: Iterator[int]) -> FloatArray:
        return np.fromiter(values, dtype=np.float64, count=len(shares)) / space.horizon_steps

    rest = {
        "saved by pruning": ("#f3c98b", {"pruned"}),
        "saved by divergence": ("#e7b5cf", {"diverged"}),
        "left open (paused, failed, stopped, running)": (canvas.GRID, {"paused", "failed", "stopped", "running"}),
    }
    return {
        "trained": (canvas.BLUE, runs(cost.trained for cost in shares)),
        "reused": (canvas.SKY, runs(cost.reused for cost in shares)),
        **{
            name: (colour, runs(cost.rest if cost.status in statuses else 0 for cost in shares))
            for name, (colour, statuses) in rest.items()
        },
    }


def _mark_trials(axes: Axes, state: StudyState) -> None:
    """A star above the winner; a bracket of text under the confirming runs."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    best = winner(state)
    if best is not None:
        axes.plot([best.number], [1.045], marker="*", color=canvas.WINNER, ms=9, ls="", clip_on=False)
    confirming = [trial.number for trial in state.trials if trial.role == "confirm"]
    if confirming:
        axes.axvline(confirming[0] - 0.5, color=canvas.INK, lw=0.8, ls=":")
        axes.text(confirming[0] - 0.4, 1.025, "fresh seeds", fontsize=7.5, color=canvas.INK, va="bottom")
