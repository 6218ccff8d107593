"""`watch`: a study that runs elsewhere, followed by its ledger alone."""

from __future__ import annotations

import sys
import time
from collections import deque

from autosched.cli.options import LedgerOption, StudyArgument, show
from autosched.errors import StudyError
from autosched.interruption import terminable
from autosched.ledger.fold import apply
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.report.news import news
from autosched.report.text import final_lines
from autosched.study.progress import RECENT, Progress, make_progress
from autosched.study.results import Study
from autosched.study.run import space_of
from autosched.study.start import ledger_url

POLL_SECONDS = 1.0


def watch(study: StudyArgument, ledger: LedgerOption = None) -> int:
    """Follow a study that another process runs, from its ledger, until it ends.

    Example: autosched watch wsd-demo
    """
    store = Ledger(ledger_url(ledger), create=False)
    space = space_of(store.state(study))
    state, recent = StudyState(study), deque[str](maxlen=RECENT)
    for stamped in store.read(study):
        apply(state, stamped)
        recent.extend(line for line in [news(space, state, stamped)] if line is not None)
    progress = make_progress(space, state, sys.stdout)
    try:
        with terminable():
            for line in recent:
                progress.note(line)
            _follow(store, state, progress)
    except KeyboardInterrupt:
        return 130
    finally:
        progress.close()
        store.close()
    show(False, None, final_lines(Study(study, ledger=ledger).summary))
    return 0


def _follow(store: Ledger, state: StudyState, progress: Progress) -> None:
    """Tell of events as they come, until the study is finished.

    Raises:
        StudyError: nobody runs it any more.
    """
    while state.finished is None:
        held = store.lease(state.name).is_held()  # looked at before the events: who finishes writes the last, then goes
        for stamped in store.read(state.name, state.events):
            apply(state, stamped)
            progress.seen(state, stamped)
        if not held and state.finished is None:
            raise StudyError(f"nobody runs the study {state.name!r}: `autosched resume {state.name}` goes on with it.")
        time.sleep(POLL_SECONDS)
