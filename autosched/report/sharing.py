"""What checkpoints would have saved a study whose command has none: beginnings that its trials have in common."""

from __future__ import annotations

import hashlib

from autosched.ledger.records import cut_points
from autosched.ledger.state import StudyState
from autosched.space.records import Space


def shared_beginnings(state: StudyState, space: Space) -> int:
    """Updates that a trial had in common with an earlier one of its seed, in whole segments, and trained again."""
    cuts = cut_points(space.horizon_steps, every=space.checkpoint_every)
    seen: set[bytes] = set()
    shared = 0
    for trial in state.trials:
        beside = trial.schedule.hyperparameters
        beginning = f"{trial.seed} {dict(beside)}" if beside else str(trial.seed)
        digest, done = hashlib.sha256(beginning.encode()), 0
        for cut in cuts:
            if cut > trial.step:
                break
            trial.schedule.add_to(digest, done, cut)
            if digest.digest() in seen:
                shared += cut - done
            seen.add(digest.digest())
            done = cut
    return shared


def sharing_note(state: StudyState, space: Space) -> str | None:
    """A sentence for the study's end; None when there is nothing to say."""
    shared = 0 if space.trainer.resumes else shared_beginnings(state, space)
    if not shared:
        return None
    return (
        f"trials with equal beginnings trained {shared / space.horizon_steps:.1f} full runs more than once: "
        "share them by {checkpoint_in} and {checkpoint_out} in the command."
    )
