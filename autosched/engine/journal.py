"""The one place where a study changes: commit to the ledger first, then to the state, then tell who listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autosched.ledger.events import Event, Stamped
from autosched.ledger.fold import apply, fold
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger

Listener = Callable[[StudyState, Stamped], None]


class Journal:
    """The events of one study, with its state kept up to date.

    Args:
        listeners: called after every committed event (the tracker's mirror, progress lines); they must not block.
    """

    def __init__(self, ledger: Ledger, study: str, listeners: Sequence[Listener] = ()) -> None:
        self._ledger, self._listeners = ledger, list(listeners)
        self.past: tuple[Stamped, ...] = tuple(ledger.read(study))
        self.state: StudyState = fold(study, self.past)

    def listen(self, listener: Listener) -> None:
        """Have one more called from now on."""
        self._listeners.append(listener)

    def commit(self, *events: Event) -> None:
        """Write events in one transaction; nothing has happened until this returns."""
        for stamped in self._ledger.append(self.state.name, self.state.events, events):
            apply(self.state, stamped)
            for listener in self._listeners:
                listener(self.state, stamped)
