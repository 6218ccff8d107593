"""Digests in the rows of a ledger, so that a row that was changed after it was written is found, and which one.

A payload of JSON ends with a member ``digest``: the SHA-256 of the row and, for an event, of the digest before it. So
the first event that does not fit is the one that was changed, and an event cannot be taken out or put in. It tells
accidents and edits; it does not keep out somebody who writes new digests.
"""

from __future__ import annotations

import hashlib

_BEFORE, _AFTER = ',"digest":"', '"}'
_HEXADECIMAL = 64


def digest_of(*parts: object) -> str:
    """SHA-256 of parts in their order, in hexadecimal digits."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def sealed(payload: str, digest: str) -> str:
    """The payload, a JSON object with members, with the digest as its last one."""
    return f"{payload[:-1]}{_BEFORE}{digest}{_AFTER}"


def unsealed(text: str) -> tuple[str, str | None]:
    """The payload as it was before :func:`sealed`, and its digest; None when it has none (an earlier version's row)."""
    at = len(text) - len(_AFTER) - _HEXADECIMAL
    head = at - len(_BEFORE)
    if head < 0 or text[head:at] != _BEFORE or not text.endswith(_AFTER):
        return text, None
    return f"{text[:head]}}}", text[at : -len(_AFTER)]


class ChangedError(Exception):
    """A row is not the one that was written; the text, to follow its name, says when it may be an earlier one."""


class Chain:
    """The digests of a study's events, one after another.

    Args:
        after: digest of the event before the first; ``""`` when there is none, None when it is not known.
    """

    def __init__(self, after: str | None = "") -> None:
        self.digest = after
        self._any = bool(after)

    def add(self, number: int, time: float, kind: str, payload: str) -> str:
        """The payload of the next event, sealed."""
        self.digest = digest_of(self.digest, number, time, kind, payload)
        return sealed(payload, self.digest)

    def check(self, number: int, time: float, kind: str, text: str) -> str:
        """The payload of the next event.

        Events of earlier versions have no digest; the first one that has vouches for them, too.

        Raises:
            ChangedError: it, or one without a digest before it, was changed.
        """
        payload, digest = unsealed(text)
        expected = None if self.digest is None else digest_of(self.digest, number, time, kind, payload)
        if (digest is None and self._any) or (None not in (digest, expected) and digest != expected):
            raise ChangedError("" if self._any or number == 0 else " or an earlier one")
        self.digest, self._any = digest or expected, self._any or digest is not None
        return payload
