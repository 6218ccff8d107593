"""Training data that needs no download: token corpora for `gpt`, images for `vision`.

name     meaning                                    shape             dtype
tokens   a split of a corpus                        (n,)              uint8 or uint16
windows  consecutive tokens cut out of a split      (batch, length)   int64
images   handwritten digits, scaled to [-1, 1]      (n, 1, 8, 8)      float32
labels   the digits                                 (n,)              int64
"""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from autosched.errors import UsageError
from autosched.randomness import generator

BYTES = 256
STDLIB = "stdlib"
"""The corpus that every Python has."""
HEADERS = "headers"
"""The corpus that every torch has: another language, for a run that goes on from a model of the first."""
PARTS = ("train.bin", "val.bin")
"""Files of a folder of tokens."""
GPT2_VOCABULARY = 50304  # nanoGPT's .bin files hold GPT-2 tokens; 50257, rounded up to a multiple of 64 as it does
TEXT_BYTES = 4_000_000
VALIDATION_SHARE = 0.1
_SAMPLED_BLOCKS, _BLOCK_BYTES = 64, 1 << 16

Tokens = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Corpus:
    """Tokens to learn from and tokens to be judged by; the split is the same for every seed.

    Attributes:
        name: what a person calls it, for error texts.
        vocabulary: tokens are below this.
        fingerprint: the same for the same data, wherever it lies.
    """

    name: str
    train: Tokens
    validation: Tokens
    vocabulary: int
    fingerprint: str

    def training_windows(self, *, seed: int, step: int, batch: int, length: int) -> NDArray[np.int64]:
        """The windows of update `step`: a function of (seed, step) alone, so no data position needs to be stored."""
        starts = generator(seed, "batch", step).integers(0, self.train.size - length + 1, size=batch)
        return self._windows(self.train, starts, length)

    def validation_windows(self, *, count: int, length: int) -> NDArray[np.int64]:
        """`count` windows spread evenly over the validation tokens."""
        starts = np.linspace(0, self.validation.size - length, num=count).astype(np.int64)
        return self._windows(self.validation, starts, length)

    def _windows(self, tokens: Tokens, starts: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        windows = tokens[starts[:, None] + np.arange(length)].astype(np.int64)
        if int(windows.max()) >= self.vocabulary:  # else torch fails with "index out of range", or corrupts a GPU
            raise UsageError(
                f"{self.name}: every token must be below the vocabulary of {self.vocabulary}, but one is "
                f"{windows.max()}; set vocabulary to the tokenizer's size."
            )
        return windows


def open_corpus(data: str, *, vocabulary: int | None, length: int) -> Corpus:
    """Open a corpus.

    Args:
        data: ``stdlib`` (the source of Python's own library), ``headers`` (the C++ headers that come with torch), a
            ``.bin`` file of uint16 tokens as nanoGPT writes it, a folder with ``train.bin`` and ``val.bin``, or any
            other file, whose bytes are the tokens. Of a single file, the last tenth is for validation. Files are mapped
            into memory, not read.
        vocabulary: tokens are below this; None means 256 for bytes and 50304 (GPT-2, padded) for ``.bin``.
        length: tokens in a window; each split must hold at least one.

    Raises:
        UsageError: nothing there, too few tokens, or no uint16 file.
    """
    path = Path(data)
    if data in TEXTS:
        name, content = data, TEXTS[data]()
        files, binary = [np.frombuffer(content, dtype=np.uint8)], False
    elif path.is_dir():
        name, files, binary = data, [_map(path / part, np.uint16) for part in PARTS], True
    else:
        binary = path.suffix == ".bin"
        name, files = data, [_map(path, np.uint16 if binary else np.uint8)]
    train, validation = files if len(files) == 2 else _split(files[0])
    for split, tokens in (("training", train), ("validation", validation)):
        if tokens.size < length:
            raise UsageError(f"{name}: needs at least {length} {split} tokens (context + 1), but has {tokens.size}.")
    return Corpus(
        name=name,
        train=train,
        validation=validation,
        vocabulary=vocabulary or (GPT2_VOCABULARY if binary else BYTES),
        fingerprint=_fingerprint(train, validation),
    )


def corpus_files(data: str) -> list[Path]:
    """The files that :func:`open_corpus` reads; none for texts that the versions of Python and torch tell."""
    if data in TEXTS:
        return []
    path = Path(data)
    return [path / part for part in PARTS] if path.is_dir() else [path]


@cache
def standard_library() -> bytes:
    """Four megabytes of Python: the top-level modules of the standard library, in an order that mixes their names.

    Every Python has these modules, while some distributions leave out the larger packages. Read once per process.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    # _sysconfigdata describes the machine that Python was built on; the rest depends on the Python version alone.
    modules = [path for path in folder.glob("*.py") if not path.name.startswith("_sysconfigdata")]
    return _joined(sorted(modules, key=lambda path: _mixed(path.name)), f"no Python source in {folder}")


@cache
def torch_headers() -> bytes:
    """Four megabytes of C++: the headers that come with torch, in an order that mixes their names."""
    (package,) = cast(ModuleSpec, find_spec("torch")).submodule_search_locations or ()
    folder = Path(package) / "include"
    headers = sorted(folder.rglob("*.h"), key=lambda path: _mixed(path.relative_to(folder).as_posix()))
    return _joined(headers, f"no C++ header in {folder}")


def _mixed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _joined(paths: Iterable[Path], fault: str) -> bytes:
    """The first four megabytes of files in a row."""
    content = bytearray()
    for path in paths:
        content += path.read_bytes()
        if len(content) >= TEXT_BYTES:
            break
    if not content:
        raise UsageError(f"data: {fault}; give a text file instead.")
    return bytes(content[:TEXT_BYTES])


TEXTS: Mapping[str, Callable[[], bytes]] = {STDLIB: standard_library, HEADERS: torch_headers}
"""Texts that need no file of one's own, by the name that `data` has for them."""


def _map(path: Path, dtype: type[np.uint8] | type[np.uint16]) -> Tokens:
    try:
        size = path.stat().st_size
        if path.is_file() and size and size % np.dtype(dtype).itemsize == 0:
            return np.memmap(path, dtype=dtype, mode="r")
    except OSError as error:
        allowed = '"stdlib", "headers", a text file, a .bin file, or a folder with train.bin and val.bin'
        raise UsageError(f"data must be {allowed}, but {path} cannot be read: {error.strerror}.") from None
    raise UsageError(f"data: {path} must be a file of {np.dtype(dtype)} tokens, but it has {size} bytes.")


def _split(tokens: Tokens) -> tuple[Tokens, Tokens]:
    cut = tokens.size - int(tokens.size * VALIDATION_SHARE)
    return tokens[:cut], tokens[cut:]


def _fingerprint(*splits: Tokens) -> str:
    """Digest of all sizes and of blocks spread evenly over each split: a terabyte takes no longer than 4 megabytes."""
    digest = hashlib.sha256()
    for tokens in splits:
        digest.update(f"{tokens.dtype}:{tokens.size}|".encode())
        block = _BLOCK_BYTES // tokens.itemsize
        for start in np.linspace(0, max(0, tokens.size - block), num=_SAMPLED_BLOCKS).astype(np.int64):
            digest.update(tokens[start : start + block].tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Digits:
    """Scikit-learn's 1797 handwritten digits; every fifth, in a fixed shuffled order, is for validation."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    validation_images: NDArray[np.float32]
    validation_labels: NDArray[np.int64]

    def training_examples(self, *, seed: int, step: int, batch: int) -> NDArray[np.int64]:
        """Which examples update `step` learns from: a function of (seed, step) alone, drawn with replacement."""
        return generator(seed, "batch", step).integers(0, self.labels.size, size=batch)


@cache
def digits() -> Digits:
    """The digits, from the installed scikit-learn; read once per process."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = generator("digits", "split").permutation(labels.size)
    pixels = (images[order].reshape(-1, 1, 8, 8) / 8.0 - 1.0).astype(np.float32)
    labels = labels[order].astype(np.int64)
    held_out = np.arange(labels.size) % 5 == 0
    return Digits(
        images=pixels[~held_out],
        labels=labels[~held_out],
        validation_images=pixels[held_out],
        validation_labels=labels[held_out],
    )
