"""A study whose trials all fail in the same way at once has a fault that no further trial cures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from autosched.ledger.state import StudyState, Transition

EQUAL_FAILURES = 3
"""Trials in a row; each tried `resources.retries` times more, so the error came back in nine attempts by default."""
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d+")
"""Addresses, process ids and counts, by which equal failures differ."""


def failing_alike(state: StudyState) -> str | None:
    """Why the study should stop: the trials that ended last all failed alike at their first segment; else None."""
    last = [state.trials[entry.trial] for entry in islice(_ends(state), EQUAL_FAILURES)]
    if len(last) < EQUAL_FAILURES or any(trial.status != "failed" or trial.step > 0 for trial in last):
        return None
    if len({_VARYING.sub("#", trial.reason) for trial in last}) > 1:
        return None
    return f"{EQUAL_FAILURES} trials in a row failed alike at their first segment: {last[0].reason}"


def _ends(state: StudyState) -> Iterator[Transition]:
    """Ends of trials, the last first, but for those that the study's own end stopped."""
    return (entry for entry in reversed(state.log) if entry.kind == "ended" and entry.status != "stopped")
