"""The document of a study that goes on, as JSON text: what its events have not changed is not written again."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

from autosched.report.document import Record, head, most_drawn, trial_records
from autosched.report.moments import Story, columns
from autosched.space.records import Space


class DocumentText:
    """The same as :mod:`autosched.report.document` makes at once, of a story that is read on and on.

    Args:
        story: which its reader lets go on; it is looked at when something is asked for.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._most = 0
        self._trials: list[str] = []
        self._ends: list[int] = []
        self._stretches: list[str] = []

    def since(self, event: int, space: Space, summary: Mapping[str, Any]) -> str:
        """What is new from an event on, and may be some of what was before it; of event 0 the whole.

        Args:
            event: number of the first event that the reader has not seen.
        """
        self._go_on()
        state, moments = self._story.state, self._story.moments
        first = bisect_left(moments, event, key=itemgetter("event"))
        parts = {
            "events": str(state.events),
            "head": written(head(state, space, summary)),
            "trials": _listed([self._trials[number] for number in _told_of(moments[first:])]),
            "moments": _listed(self._stretches[bisect_right(self._ends, first) :]),
        }
        return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"

    def _go_on(self) -> None:
        """Write what the story has told since it was looked at before."""
        state, moments = self._story.state, self._story.moments
        new = moments[self._ends[-1] if self._ends else 0 :]
        if new:
            self._stretches.append(written(columns(new)))
            self._ends.append(len(moments))
        touched, most = _told_of(new), most_drawn(len(state.trials))
        if most != self._most:
            self._most, touched = most, list(range(len(state.trials)))
        self._trials += [""] * (len(state.trials) - len(self._trials))
        for record in trial_records(state, touched):
            self._trials[record["trial"]] = written(record)


def written(document: Any) -> str:
    """Plain data as JSON text, as short as it can be."""
    try:
        return to_json(document, inf_nan_mode="null").decode()
    except ValueError:  # with half a surrogate pair, which only the slower writer lets pass
        return json.dumps(document, allow_nan=False, separators=(",", ":"))


def _told_of(moments: list[Record]) -> list[int]:
    return sorted({moment["trial"] for moment in moments if "trial" in moment})


def _listed(texts: list[str]) -> str:
    return f"[{','.join(texts)}]"
