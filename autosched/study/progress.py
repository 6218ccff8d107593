"""What a person sees while a study runs: bars on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import dataclasses
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import Protocol, TextIO

from rich import progress as bars
from rich.console import Console

from autosched.engine.confirm import confirmations
from autosched.ledger.events import RangeTested, SegmentFailed, Stamped, TrialEnded, TrialJudged
from autosched.ledger.lawless import lawless_decisions
from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState, TrialState
from autosched.printed import printable, tell
from autosched.report.lr_section import range_test_text
from autosched.report.text import outcome_line
from autosched.search.budget import trials_left
from autosched.space.records import Space


def ended_line(state: StudyState, trial: TrialState, seconds: float) -> str:
    """One line for a trial that ended, e.g. ``[  41s] trial 7 pruned at 240 of 600: …``."""
    params = ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial.params.items()
        if not isinstance(value, list)
    )
    mark = " *best so far*" if state.best == trial.number and trial.status == "complete" else ""
    return f"[{seconds:5.0f}s] {outcome_line(trial)}{mark}  [{trial.family}: {params}]"


class Progress(Protocol):
    """What a running study tells of itself."""

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event; the state has it already."""

    def close(self) -> None:
        """Put away what was opened; may be called twice."""


class NoProgress:
    """Tells nothing."""

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Nothing is told."""

    def close(self) -> None:
        """Nothing to put away."""


class PlainProgress:
    """A line per ended trial and per failure, on a stream that may be a file, or a pipe that nobody reads any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._started = stream, time.monotonic()
        self._heard = True

    def note(self, line: str) -> None:
        """One line of news; a stream that takes no more of them must not end a study."""
        if not self._heard:
            return
        try:
            why = "" if tell(line, self._stream) else "nobody reads it"
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            self._heard = False
            with suppress(OSError):
                tell(f"autosched: progress is not told any more, {why}; the study goes on.", sys.stderr)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event."""
        line = _news(state, stamped, time.monotonic() - self._started)
        if line is not None:
            self.note(line)

    def close(self) -> None:
        """Nothing to put away."""


class BarProgress:
    """Two bars, search and confirmation, with a line per ended trial above them."""

    def __init__(self, console: Console, space: Space) -> None:
        self._space, self._started = space, time.monotonic()
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[news]}"),
            bars.TimeElapsedColumn(),
            console=console,
        )
        self._updates: bars.TaskID = self._bars.add_task("updates", total=None, news="")
        self._bars.start()

    def note(self, line: str) -> None:
        """One line of news above the bars."""
        self._bars.console.print(printable(line), highlight=False, markup=False)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event and move the bars."""
        line = _news(state, stamped, time.monotonic() - self._started)
        if line is not None:
            self.note(line)
        best = state.best_trial()
        value = "" if best is None or best.value is None else f"best {best.value:.4f} (trial {best.number})"
        news = f"{len(state.active)} running, {len(state.trials)} proposed; {value}"
        self._bars.update(self._updates, completed=_covered(state), total=_expected(self._space, state), news=news)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bars.stop()


def make_progress(space: Space, stream: TextIO) -> Progress:
    """Bars when the stream is a terminal, or a notebook that has the widgets for them; else lines."""
    if stream.isatty():
        return BarProgress(Console(file=stream), space)
    notebook = Console()
    if stream is sys.stdout and notebook.is_jupyter and find_spec("ipywidgets") is not None:
        return BarProgress(notebook, space)
    return PlainProgress(stream)


def _news(state: StudyState, stamped: Stamped, seconds: float) -> str | None:
    event = stamped.event
    if isinstance(event, TrialEnded):
        return ended_line(state, state.trials[event.trial], seconds)
    if isinstance(event, TrialJudged) and event.decision.reason.startswith(LAWLESS) and lawless_decisions(state) == 1:
        return f"[{seconds:5.0f}s] {LAWLESS} so far: TPE proposes and Hyperband stops, until one does"
    if isinstance(event, RangeTested):
        return f"[{seconds:5.0f}s] range test: {range_test_text(dataclasses.asdict(event))}"
    if isinstance(event, SegmentFailed):
        kind = event.failure.kind.replace("_", " ")
        return f"[{seconds:5.0f}s] segment failed (attempt {event.attempt}), {kind}: {event.failure.reason}"
    return None


def _covered(state: StudyState) -> int:
    return sum(trial.step for trial in state.trials)


def _expected(space: Space, state: StudyState) -> int:
    """Updates if the budget is used up: what was reached, what runs, what may still be proposed."""
    open_steps = sum(state.trials[number].until - state.trials[number].step for number in state.active)
    proposals = trials_left(space, state)
    trials = None if proposals is None else proposals * space.horizon_steps
    steps = None if space.search_steps is None else max(space.search_steps - state.steps_scheduled - open_steps, 0)
    future = min((limit for limit in (trials, steps) if limit is not None), default=0)
    runs = len(confirmations(space, state)) or space.confirming_steps // space.horizon_steps
    confirming = max(runs - state.proposed["confirm"], 0) * space.horizon_steps
    return _covered(state) + open_steps + future + confirming
