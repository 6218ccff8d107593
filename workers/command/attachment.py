"""What a command's scripts are told through ``autosched.attach()``, and where they answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autosched.attached import ATTACHMENT
from autosched.ledger.records import Segment


@dataclass(frozen=True, slots=True)
class Told:
    """The environment that leads to it, and the file of reports, one JSON document a line."""

    environment: Mapping[str, str]
    reports: Path


def has_asked(reports: Path) -> bool:
    """Whether a script has asked for an LR."""
    with suppress(OSError), reports.open() as file:
        return any('"asked"' in line for line in file)
    return False


def write(folder: Path, segment: Segment, *, stop: int, values: Mapping[str, str]) -> Told:
    """Write down what there is to tell.

    Args:
        folder: for the files.
        stop: the update at which the command ends.
        values: of a command's fields.
    """
    reports = folder / "reports.jsonl"
    document = {
        "lrs": segment.known_purpose.schedule.lrs.tolist(),
        "start": segment.start,
        "stop": stop,
        "horizon": segment.horizon,
        "eval_every": segment.eval_every,
        "seed": segment.seed,
        "checkpoint_in": values["checkpoint_in"],
        "checkpoint_out": values["checkpoint_out"],
        "out": values["out"],
        "reports": str(reports),
    }
    path = folder / "attachment.json"
    path.write_text(json.dumps(document))
    return Told({ATTACHMENT: str(path)}, reports)
