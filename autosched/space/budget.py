"""The ``budget`` of a space file: limits of the search, and what one more run must be worth."""

from __future__ import annotations

from autosched.space.document import shown
from autosched.space.records import Budget, StopWhen
from autosched.space.section import MAX_COUNT, Section


def read_budget(top: Section, horizon: int | None, controller: str) -> Budget:
    """At least one limit; `full_runs` becomes updates, and the smaller of it and `steps` counts."""
    if not top.has("budget"):
        return Budget(trials=20)
    section = top.section("budget")
    trials, steps = section.integer("trials", at_least=1), section.integer("steps", at_least=1)
    full_runs = section.number("full_runs", above_zero=True)
    if full_runs is not None and horizon is not None:
        runs = max(1, round(min(full_runs * horizon, 2.0 * MAX_COUNT)))
        if runs > MAX_COUNT:
            message = f"must be at most 10**12 updates, that is {MAX_COUNT // horizon} runs of horizon_steps"
            section.fault("full_runs", f"{message}, but got {shown(full_runs)}.", related=["horizon_steps"])
        steps = runs if steps is None else min(steps, runs)
    minutes = section.number("minutes", above_zero=True)
    seconds = section.number("worker_seconds", above_zero=True)
    worth = _stop_when(section, controller)
    section.close()
    if isinstance(top.raw("budget"), dict) and not section.data.keys() - {"stop_when"}:
        top.fault("budget", "must have at least one of trials, steps, full_runs, minutes, worker_seconds.")
    return Budget(trials=trials, steps=steps, minutes=minutes, worker_seconds=seconds, stop_when=worth)


def _stop_when(budget: Section, controller: str) -> StopWhen | None:
    """What one more run must be worth, which only a controller can say that forecasts losses."""
    if not budget.has("stop_when"):
        return None
    section = budget.section("stop_when", form="a mapping like {gain_below: 0.001}")
    gain = section.number("gain_below", above_zero=True)
    section.close()
    if controller != "law":
        budget.fault("stop_when", f"needs controller law, which forecasts what a run gains, but got {controller}.")
    elif isinstance(budget.raw("stop_when"), dict) and not section.has("gain_below"):
        budget.fault("stop_when", "must have gain_below, in nats.")
    return None if gain is None else StopWhen(gain_below=gain)
