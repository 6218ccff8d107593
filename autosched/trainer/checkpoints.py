"""Checkpoint files of torch models: what a trainer needs to go on, and for which configuration it is.

The file is a torch archive (a ZIP of tensors and plain values) that holds::

    {"format": "autosched.checkpoint", "version": 1, "configuration": <canonical JSON>, "digest": <its SHA-256>,
     "state": {...}}
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from autosched.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "autosched.checkpoint"
VERSION = 1
WEIGHTS = ("model", "state_dict")
"""Under which names training programs keep the model's weights."""
_MISSING = object()


def write_checkpoint(file: BinaryIO, state: Mapping[str, Any], *, configuration: Mapping[str, Any]) -> None:
    """Write `state` for later use with the same configuration.

    Args:
        file: opened for binary writing; need not be seekable.
        state: tensors, numbers, texts and dicts of them.
        configuration: JSON data; all that a run must have in common with this one to go on from here.
    """
    import torch  # here, so that options can be read and names checked without it

    text = _canonical(configuration)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "configuration": text,
        "digest": _digest(text),
        "state": dict(state),
    }
    torch.save(document, file)


def read_checkpoint(file: BinaryIO, *, configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Read what :func:`write_checkpoint` wrote; tensors come back in main memory.

    Safe on a file from a stranger: torch's ``weights_only`` reader builds tensors and plain values, and runs no code.

    Args:
        file: opened for binary reading, seekable.
        configuration: of the run that wants to go on.

    Raises:
        CheckpointError: no checkpoint, damaged, of another format version, or of another configuration.
    """
    document = _read_archive(file)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError("the file is no checkpoint of autosched: it has another format.")
    if document.get("version") != VERSION:
        raise CheckpointError(f"checkpoint version must be {VERSION}, but got {document.get('version')!r:.40}.")
    text, state = document.get("configuration"), document.get("state")
    if not isinstance(text, str) or document.get("digest") != _digest(text) or not isinstance(state, dict):
        raise CheckpointError("the checkpoint is damaged: its head does not match its digest.")
    if text != _canonical(configuration):
        raise CheckpointError(f"the checkpoint is of another configuration: {_difference(text, configuration)}.")
    return state


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The model's weights in a file of any training program: tensors by name, in main memory.

    The file is a checkpoint of autosched (its other state is not read), or what ``torch.save`` made of a state dict, or
    of a mapping that has one under ``model`` or ``state_dict``. Safe on a file from a stranger, see
    :func:`read_checkpoint`.

    Raises:
        CheckpointError: it cannot be read, is damaged, or has no weights.
    """
    try:
        with Path(path).open("rb") as file:
            found = _read_archive(file)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if isinstance(found, Mapping) and found.get("format") == FORMAT:
        found = found.get("state")
    for name in WEIGHTS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if isinstance(found, Mapping) and found and all(hasattr(value, "shape") for value in found.values()):
        return {str(name): value for name, value in found.items()}
    raise CheckpointError(
        f"{path} has no weights: no mapping of names to tensors, nor one under {' or '.join(WEIGHTS)}."
    )


def _read_archive(file: BinaryIO) -> object:
    """The archive's content, every byte of it checked.

    torch reads a tensor with a flipped bit without a word, so the ZIP checksums are verified first.
    """
    import torch

    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise CheckpointError(f"the checkpoint is damaged: {broken} does not match its checksum.")
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged archive makes the readers raise almost anything
        raise CheckpointError(f"the checkpoint is damaged or no checkpoint at all ({type(error).__name__}).") from error


def _canonical(configuration: Mapping[str, Any]) -> str:
    return json.dumps(dict(configuration), sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _difference(theirs: str, ours: Mapping[str, Any]) -> str:
    """The first entry in which two configurations differ, for a person."""
    try:
        there, here = dict(json.loads(theirs)), json.loads(_canonical(ours))
    except (TypeError, ValueError):
        return "its configuration cannot be read"
    for name in sorted({*there, *here}):
        if there.get(name, _MISSING) != here.get(name, _MISSING):
            return f"{name!s:.40} is {there.get(name)!r:.80} there, but {here.get(name)!r:.80} here"
    return "its configuration is written in another way"
