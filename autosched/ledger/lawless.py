"""Where a study was searched without a law, because none described its curves."""

from __future__ import annotations

from autosched.ledger.records import LAWLESS
from autosched.ledger.state import StudyState


def lawless_decisions(state: StudyState) -> int:
    """How many decisions were made in the law's place, because no law described the curves."""
    return sum(decision.reason.startswith(LAWLESS) for trial in state.trials for _, decision in trial.decisions)


def lawless_note(state: StudyState) -> str | None:
    """That no law described the curves for some of the study, and what was done instead; None where one always did."""
    count, whole = lawless_decisions(state), sum(len(trial.decisions) for trial in state.trials)
    if not count:
        return None
    return f"{LAWLESS} at {count} of {whole} decisions: there TPE proposed, and Hyperband stopped trials"
