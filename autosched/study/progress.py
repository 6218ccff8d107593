"""What a person sees while a study runs: a bar on a terminal, a table in a notebook, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from io import TextIOWrapper
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autosched.ledger.events import Stamped
from autosched.ledger.state import StudyState
from autosched.printed import printable, tell
from autosched.report.news import news
from autosched.report.standing import html_table, nearest_limit, standing
from autosched.space.records import Space

TOLD_SHARES = 10
"""Plain lines say how the study stands whenever so many parts of its budget more are used."""
RECENT = 8
"""Lines of news that stay in a notebook, and with which `autosched watch` begins."""
WIDEST = 80
"""Columns of the bar on a wider terminal."""
PERCENT = " 100%"
LABEL = 10
"""Columns of the names of facts."""
REDRAWN_SECONDS = 0.5
"""Between two pictures of how a study stands, so that drawing costs a study nothing."""


class Progress(Protocol):
    """What a running study tells of itself."""

    def note(self, line: str) -> None:
        """Tell a line."""

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event; the state has it already."""

    def close(self) -> None:
        """Put away what was opened; may be called twice."""


class NoProgress:
    """Tells nothing."""

    def note(self, line: str) -> None:
        """Nothing is told."""

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Nothing is told."""

    def close(self) -> None:
        """Nothing to put away."""


class PlainProgress:
    """A line per piece of news and per tenth of the budget, on a stream that may be a file or a pipe nobody reads."""

    def __init__(self, stream: TextIO, space: Space, state: StudyState) -> None:
        self._stream, self._space = stream, space
        self._told = _parts(space, state)
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
        line = news(self._space, state, stamped)
        if line is not None:
            self.note(line)
        parts = _parts(self._space, state)
        if parts > self._told:
            self._told = parts
            self.note(standing(state, self._space).line())

    def close(self) -> None:
        """Nothing to put away."""


class BarProgress:
    """One bar whose end is the budget's, how the study stands below it, and the news above."""

    def __init__(self, console: Console, space: Space, state: StudyState) -> None:
        self._console, self._space = console, space
        self._stands, self._at = standing(state, space), time.monotonic()
        self._recent: deque[str] = deque(maxlen=RECENT)
        if isinstance(console.file, TextIOWrapper):
            console.file.reconfigure(errors="replace")  # of what its encoding lacks, as `tell` does
        self._width, self._live = console.width, self._begun()
        self._lock, self._closed = threading.RLock(), threading.Event()
        threading.Thread(target=self._redraw, daemon=True).start()

    def note(self, line: str) -> None:
        """One line of news above the bar."""
        with self._lock:
            self._recent.append(line)
            self._print(line)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event and move the bar."""
        line = news(self._space, state, stamped)
        if line is not None:
            self.note(line)
        self._stands, self._at = standing(state, self._space), time.monotonic()

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._closed.set()
        with self._lock:
            self._live.stop()

    def _begun(self) -> Live:
        live = Live(console=self._console, get_renderable=self._picture, auto_refresh=False, transient=True)
        live.start()
        return live

    def _print(self, line: str) -> None:
        self._console.print(printable(line), highlight=False, markup=False)

    def _redraw(self) -> None:
        """Let the clock go on; a terminal that has become wider or narrower has broken the lines, and is begun anew."""
        while not self._closed.wait(REDRAWN_SECONDS):
            with self._lock:
                if self._closed.is_set():
                    return
                if self._console.width == self._width:
                    self._live.refresh()
                    continue
                self._width = self._console.width
                self._live.stop()
                self._console.clear()
                for line in self._recent:
                    self._print(line)
                self._live = self._begun()

    def _picture(self) -> Group:
        """The bar and what is known: drawn by two threads, so it reads what was worked out, and never the study."""
        stands, since = self._stands, time.monotonic() - self._at
        bar = Table.grid(padding=(0, 1))
        width = min(self._console.width, WIDEST) - len(PERCENT)
        bar.add_row(ProgressBar(total=1.0, completed=stands.share, width=width), f"{stands.share:4.0%}")
        facts = Table.grid(padding=(0, 1), expand=True)
        facts.add_column(width=LABEL, style="dim")
        facts.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, text in stands.rows(since):
            facts.add_row(name, Text(printable(text)))
        return Group(bar, facts)


class NotebookProgress:
    """How a study stands in one output of a notebook, which is redrawn and kept with the notebook."""

    def __init__(self, space: Space, state: StudyState) -> None:
        from IPython.display import display

        self._space, self._stands = space, standing(state, space)
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._drawn = time.monotonic()
        self._output = display(self, display_id=True)  # type: ignore[no-untyped-call]

    def note(self, line: str) -> None:
        """One of the lines below the table."""
        self._recent.append(printable(line))

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        """Tell of an event."""
        line = news(self._space, state, stamped)
        if line is not None:
            self.note(line)
        self._stands = standing(state, self._space)
        if time.monotonic() - self._drawn > REDRAWN_SECONDS:
            self._draw()

    def close(self) -> None:
        """The last picture stays."""
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._output.update(self)

    def __repr__(self) -> str:
        return self._stands.line()

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._stands.share:.3f}" max="1"></progress> '
        return bar + html_table([*self._stands.rows(), *(("", line) for line in self._recent)])


def make_progress(space: Space, state: StudyState, stream: TextIO) -> Progress:
    """A bar when the stream is a terminal that can be drawn on, a table in a notebook; else lines, as for CI."""
    console = Console(file=stream)
    if stream.isatty() and not console.is_dumb_terminal and not os.environ.get("CI"):
        return BarProgress(console, space, state)
    if stream is sys.stdout and Console().is_jupyter:
        return NotebookProgress(space, state)
    return PlainProgress(stream, space, state)


def _parts(space: Space, state: StudyState) -> int:
    """How many tenths of the budget are used."""
    return int(TOLD_SHARES * nearest_limit(state, space).share)
