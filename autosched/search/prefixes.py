"""How much of a schedule a study has trained already, by the content addresses of its segments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from autosched.ledger.records import segment_preamble
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import FloatArray
from autosched.space.trainer_spec import TrainerSpec


def cut_points(steps: int, *, every: int) -> tuple[int, ...]:
    """Multiples of `every`, and the end.

    A grid that does not depend on the schedule: schedules with equal first LRs then have equal first segments, whole
    ones, and what one of them saw in a segment is all that another needs to know of it.

    Args:
        steps: the horizon.
        every: updates between checkpoints.
    """
    return (*range(every, steps, every), steps)


def segment_ids(
    trainer: TrainerSpec, *, seed: int, eval_every: int, lrs: FloatArray, cuts: Sequence[int]
) -> dict[int, str]:
    """Identity at every cut, in one pass over the LRs; equal to :func:`autosched.ledger.records.segment_id` at each."""
    digest = hashlib.sha256(segment_preamble(trainer, seed=seed, eval_every=eval_every))
    ids, done = {}, 0
    for cut in cuts:
        digest.update(np.ascontiguousarray(lrs[done:cut], dtype="<f8").tobytes())
        ids[cut], done = digest.copy().hexdigest()[:40], cut
    return ids


def scheduled_steps(ids: Mapping[int, str], state: StudyState) -> int:
    """The longest prefix that some trial of the study has trained or ordered, in updates.

    Args:
        ids: a schedule's identity at every cut, in order.
    """
    reached = 0
    for cut, identity in ids.items():
        if identity not in state.scheduled:
            break
        reached = cut
    return reached
