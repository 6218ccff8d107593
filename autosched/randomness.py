"""Random numbers keyed by what they are for, so that a resumed study draws what an uninterrupted one would."""

from __future__ import annotations

import hashlib

import numpy as np


def key(*parts: int | str) -> int:
    """A 63-bit integer that depends on every part and on nothing else.

    Example:
        >>> key(0, 7, "holdout") == key(0, 7, "holdout"), key(0, 7, "holdout") == key(0, 8, "holdout")
        (True, False)
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: int | str) -> np.random.Generator:
    """A numpy generator seeded by :func:`key`."""
    return np.random.default_rng(key(*parts))


def uniform(*parts: int | str) -> float:
    """One draw in [0, 1) that belongs to these parts."""
    return float(generator(*parts).random())
