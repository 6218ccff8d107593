"""Scalars of TensorBoard's event files, from any place on, while they are written, too."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autosched.errors import CurveError

EVENTS = "tfevents"
"""What the names of event files have in them."""
NO_EVENTS = "is no event file of TensorBoard, or is damaged."
MOST_RECORD_BYTES = 1 << 26
"""Of an event: one scalar has under a hundred bytes; pictures are larger, and skipped."""


class Event(NamedTuple):
    """The scalars that one record has: its step, their values by tag, and where the next record begins."""

    step: int
    values: Mapping[str, float]
    end: int


def read_events(file: Path, start: int = 0) -> Iterator[Event]:
    """Records with scalars from a place on; a record is: length, checksum, event, checksum (TFRecord).

    A file that is still written, or whose writer was killed, ends in a part of a record, which is left out.

    Raises:
        CurveError: not readable, or no event file.
    """
    from google.protobuf.message import DecodeError
    from tensorboardX.proto.event_pb2 import Event as Message

    for record, end in _records(file, start):
        try:
            message = Message.FromString(record)
        except DecodeError:
            raise CurveError(NO_EVENTS, file=file) from None
        values = {value.tag: number for value in message.summary.value if (number := _scalar(value)) is not None}
        if values:
            yield Event(int(message.step), values, end)


def _records(file: Path, start: int) -> Iterator[tuple[bytes, int]]:
    """Whole records, and where each ends."""
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            while len(head := stream.read(12)) == 12:
                (length,) = struct.unpack("<Q", head[:8])
                if length > MOST_RECORD_BYTES:
                    raise CurveError(NO_EVENTS, file=file)
                record = stream.read(length + 4)
                if len(record) == length + 4:
                    yield record[:length], stream.tell()
    except OSError as error:
        raise CurveError(f"cannot be read: {error.strerror}.", file=file) from None


def _scalar(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.tensor.tensor_shape.dim:
        return None
    if value.tensor.float_val:
        return float(value.tensor.float_val[0])
    content = value.tensor.tensor_content
    return float(struct.unpack("<f", content)[0]) if len(content) == 4 else None
