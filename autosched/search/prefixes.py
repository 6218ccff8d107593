"""How much of a schedule a study has trained already, by the content addresses of its segments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from autosched.ledger.state import StudyState
from autosched.schedules.schedule import FloatArray


def cut_points(steps: int, *, every: int) -> tuple[int, ...]:
    """Multiples of `every`, and the end.

    A grid that does not depend on the schedule: schedules with equal first LRs then have equal first segments, whole
    ones, and what one of them saw in a segment is all that another needs to know of it.

    Args:
        steps: the horizon.
        every: updates between checkpoints.
    """
    return (*range(every, steps, every), steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixPlan:
    """Segment identities of a schedule, as :func:`autosched.ledger.records.segment_id` makes them, at every cut.

    Attributes:
        cuts: updates after which a checkpoint is written; the last is the horizon.
        ids: identity at each cut.
    """

    cuts: tuple[int, ...]
    ids: tuple[str, ...]

    @classmethod
    def of(cls, preamble: bytes, lrs: FloatArray, *, every: int) -> PrefixPlan:
        """One pass over the LRs; `preamble` is what identifies a run besides them."""
        digest = hashlib.sha256(preamble)
        cuts = cut_points(lrs.size, every=every)
        ids, done = [], 0
        for cut in cuts:
            digest.update(np.ascontiguousarray(lrs[done:cut], dtype="<f8").tobytes())
            ids.append(digest.copy().hexdigest()[:40])
            done = cut
        return cls(cuts=cuts, ids=tuple(ids))

    def scheduled(self, state: StudyState) -> int:
        """The longest prefix that some trial of the study has trained or ordered, in updates."""
        reached = 0
        for cut, identity in zip(self.cuts, self.ids, strict=True):
            if identity not in state.scheduled:
                break
            reached = cut
        return reached

    def missing(self, state: StudyState) -> int:
        """Updates of the schedule that nobody has trained or ordered."""
        return self.cuts[-1] - self.scheduled(state)
