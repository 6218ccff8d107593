"""Where a study was searched without a law, because none described its curves."""

from __future__ import annotations

from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState


def lawless_note(state: StudyState) -> str | None:
    """That no law described the curves for some of the study, and what was done instead; None where one always did."""
    if not state.lawless:
        return None
    where = f"at {state.lawless} of {state.decided} decisions"
    return f"{LAWLESS} {where}: there TPE proposed, and Hyperband stopped trials"
