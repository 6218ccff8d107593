"""What `AutoLRS.state_dict` returns: tensors, numbers, texts, lists and dicts, which ``weights_only=True`` reads.

::

    {"format": "autosched.autolrs", "version": 1, "settings": <JSON>, "machine": <JSON>, "work": <JSON>,
     "updates": ..., "steps": [...], "losses": [...], "failure": "", "ratios": [...],
     "common": {<snapshot>: ...}, "ranks": [{<snapshot>: ...}, ...]}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from autosched.errors import UsageError
from autosched.integrations.autolrs_progress import Progress
from autosched.integrations.autolrs_ranks import Ranks
from autosched.integrations.autolrs_snapshot import Snapshot
from autosched.randomness import key
from autosched.search.autolrs import Settings, State
from autosched.search.autolrs.records import work_of

FORMAT, VERSION = "autosched.autolrs", 1


def machine_entries(settings: Settings, state: State, now: Progress) -> dict[str, Any]:
    """Where the search stands."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "settings": json.dumps(settings.plain()),
        "machine": json.dumps(state.plain()),
        "work": "" if now.work is None else json.dumps(dataclasses.asdict(now.work)),
        "updates": now.updates,
        "steps": list(now.steps),
        "losses": list(now.losses),
    }


def with_snapshots(entries: dict[str, Any], ranks: Ranks, snapshots: Mapping[str, Snapshot]) -> dict[str, Any]:
    """All entries; each rank's own parts of the snapshots are collected from all ranks."""
    own = ranks.gathered({name: snapshot["own"] for name, snapshot in snapshots.items()})
    return {**entries, "common": {name: snapshot["common"] for name, snapshot in snapshots.items()}, "ranks": own}


def check_saved(saved: Mapping[str, Any], settings: Settings, ranks: Ranks, parts: Collection[str]) -> None:
    """That a run with these settings, ranks and parts can go on from what was saved.

    Raises:
        UsageError: it cannot.
    """
    if saved.get("format") != FORMAT or saved.get("version") != VERSION:
        raise UsageError(f"this is no state of AutoLRS of version {VERSION}: pass what AutoLRS.state_dict returned.")
    there, here = json.loads(saved["settings"]), settings.plain()
    different = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    if different:
        name = different[0]
        raise UsageError(
            f"the state is of other settings: {name} is {there.get(name)} there, but {here.get(name)} here."
        )
    for missing in sorted(set(parts) ^ set(saved["common"]["present"])):
        raise UsageError(
            f"the state has {'nothing' if missing in parts else 'something'} of {missing}, unlike this run."
        )
    if len(saved["ranks"]) != ranks.count:
        raise UsageError(f"the state is of {len(saved['ranks'])} ranks, but there are {ranks.count} now.")
    if len(set(ranks.gathered(key(saved["machine"], saved["work"], saved["updates"])))) > 1:
        raise UsageError("ranks were given states of different moments: all need the one that one rank saved.")


def read_progress(saved: Mapping[str, Any], settings: Settings) -> tuple[State, Progress]:
    """Where the search stood."""
    work = work_of(json.loads(saved["work"])) if saved["work"] else None
    now = Progress.of(settings, work)
    now.updates, now.steps, now.losses = saved["updates"], list(saved["steps"]), list(saved["losses"])
    return State.of(json.loads(saved["machine"])), now
