"""How a study stands while it runs: how much of its budget is used, what is the best so far, and who runs."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from autosched.ledger.state import StudyState, TrialState
from autosched.report.confirmation import confirmation
from autosched.report.summary import STATUSES, confirmation_document, winner
from autosched.report.text import clock_text, forecast_text, gain_text, parameters_text, plural, role_text, running_line
from autosched.search.budget import Use, uses
from autosched.space.records import Fixed, Space

MOST_RUNNING = 4
"""Running trials that are named; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a study stands, in words that do not change when the study goes on.

    Attributes:
        share: of the budget that is used, from 0 to 1; of the limit that is nearest where there are several.
        used: the same in the limit's unit, e.g. ``3.2 of 6 full runs``.
        seconds: wall-clock seconds that drivers were at work.
        left: seconds until the budget is used up at the mean pace so far; None before anything is used.
        facts: by name what else there is to say: the ``best`` so far, its ``gain`` on fresh seeds with an interval, the
            forecast of the most ``promising`` running trial with its interval, how many ``trials`` of which fate.
        running: the trials that run, each in a line.
    """

    share: float
    used: str
    seconds: float
    left: float | None
    facts: tuple[tuple[str, str], ...]
    running: tuple[str, ...]

    def pace(self, since: float = 0.0) -> str:
        """What of the budget is used, and the times, in a line, so many seconds later."""
        left = "" if self.left is None else f", about {clock_text(max(self.left - since, 0.0))} left"
        return f"{self.used}, {clock_text(self.seconds + since)}{left}"

    def rows(self, since: float = 0.0) -> list[tuple[str, str]]:
        """All of it, by name, so many seconds later."""
        return [("budget", self.pace(since)), *self.facts, *(("running", line) for line in self.running)]

    def line(self) -> str:
        """All but what runs, in a line."""
        facts = (f"{name} {text}" for name, text in self.facts)
        return "; ".join([f"{self.share:.0%} of the budget: {self.pace()}", *facts])


def html_table(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and texts as a table of HTML, for notebooks."""
    cells = ((html.escape(name), html.escape(text)) for name, text in rows)
    return f"<table>{''.join(f'<tr><th>{name}</th><td>{text}</td></tr>' for name, text in cells)}</table>"


def nearest_limit(state: StudyState, space: Space, *, since: float = 0.0) -> Use:
    """What is used of the limit of the budget that is nearest; `since` as for :func:`standing`."""
    return max(uses(space, state, seconds=state.seconds + since), key=lambda use: use.share)


def standing(state: StudyState, space: Space, *, since: float = 0.0) -> Standing:
    """How a study stands.

    Args:
        since: seconds that a driver has been at work after the study's last event.
    """
    seconds = state.seconds + since
    nearest = nearest_limit(state, space, since=since)
    share = nearest.share
    facts = {
        "best": _best(state, space),
        "gain": _gain(state),
        "promising": _promise(state, space),
        "trials": _counts(state),
    }
    return Standing(
        share=share,
        used=f"{nearest.used:.3g} of {nearest.limit:.4g} {nearest.unit}",
        seconds=seconds,
        left=seconds * (1 - share) / share if share > 0 and state.finished is None else None,
        facts=tuple((name, text) for name, text in facts.items() if text),
        running=tuple(_running(state)),
    )


def chosen_text(space: Space, trial: TrialState) -> str:
    """What was chosen for a trial: all but what the space fixes; its peak LR where its family is not searched."""
    names = {family.family: family.parameters for family in space.schedule}
    if trial.family not in names:
        return parameters_text({"peak_lr": trial.schedule.peak_lr, **trial.hyperparameters})
    domains = {**names[trial.family], **space.hyperparameters}
    fixed = {name: domain.domain.value for name, domain in domains.items() if isinstance(domain.domain, Fixed)}
    shown = {name: value for name, value in trial.params.items() if name not in fixed or fixed[name] != value}
    several = f"{trial.family} " if len(names) > 1 else ""
    return f"{several}{parameters_text(shown)}"


def _best(state: StudyState, space: Space) -> str:
    """The winner so far and its loss."""
    best = winner(state)
    return "" if best is None else f"{best.value:.4f}, trial {best.number}: {chosen_text(space, best)}"


def _gain(state: StudyState) -> str:
    """What the winner gains over the default on the fresh seeds so far, with the interval."""
    confirmed = confirmation(state)
    if confirmed is None or confirmed.winner == confirmed.default:
        return ""
    gain = gain_text(confirmation_document(confirmed))
    return "" if gain is None else f"{gain} over the default"


def _promise(state: StudyState, space: Space) -> str:
    """The running trial of which the lowest loss is expected now, if it is below the best."""
    expected, best = state.forecasts, state.best_trial()
    searched = (number for number in expected if state.trials[number].role != "confirm")
    number = min(searched, key=lambda one: expected[one].mean, default=None)
    if number is None or (best is not None and best.value is not None and expected[number].mean >= best.value):
        return ""
    return f"forecast {forecast_text(expected[number])}, trial {number}: {chosen_text(space, state.trials[number])}"


def _running(state: StudyState) -> list[str]:
    """The trials that run, each in a line."""
    running = [state.trials[number] for number in sorted(state.active)]
    more = [f"and {len(running) - MOST_RUNNING} more"] if len(running) > MOST_RUNNING else []
    return [*(running_line(state, trial) for trial in running[:MOST_RUNNING]), *more]


def _counts(state: StudyState) -> str:
    """How many trials of each fate, short runs that did what they were for by their role; and how often one went on."""
    fates = [(status, role, count) for (status, role), count in state.fates.items() if count]
    short = Counter({role: count for status, role, count in fates if status == "reached"})
    others = Counter[str]()
    for status, _, count in fates:
        others[status] += count
    parts = [f"{plural(count, role_text(role))} done" for role, count in short.items()]
    parts += [f"{others[status]} {status}" for status in STATUSES if status != "reached" and others[status]]
    return ", ".join(parts) + (f"; resumed {plural(state.resumed, 'time')}" if state.resumed else "")
