"""Fitted laws as JSON files.

::

    {"format": "autosched.law", "version": 1, "package": "0.1.0", "kind": "auto",
     "curves": [{"name": ..., "schedule": SHA-256, "points": SHA-256, "count": 170, "last_step": 24000}, ...],
     "law": {"record": "AutoLaw", ...}, "fingerprint": SHA-256 of all the rest}

The numbers read back to the same bits (:mod:`autosched.laws.plain`). The curves' fingerprints say what a law was fitted
to, and let a longer log of the same run be recognised.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict

from autosched.curves.curve import Curve
from autosched.errors import LawFileError
from autosched.json_documents import JsonFault, read_json
from autosched.laws.auto import AutoLaw
from autosched.laws.optimum import AnyLaw
from autosched.laws.plain import from_plain, to_plain
from autosched.laws.registry import LAWS
from autosched.laws.single import SingleLaw
from autosched.text_files import read_document

FORMAT = "autosched.law"
FORMAT_VERSION = 1


class CurvePrint(BaseModel):
    """What identifies a curve.

    Attributes:
        name: where it came from.
        schedule: fingerprint of its planned schedule.
        points: SHA-256 (hex) of its steps and losses.
        count: number of points.
        last_step: updates done at the last one; 0 for a curve without points.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    schedule: str
    points: str
    count: int
    last_step: int

    @classmethod
    def of(cls, curve: Curve) -> CurvePrint:
        """The fingerprint of a curve."""
        last = int(curve.steps[-1]) if curve.steps.size else 0
        points = _points(curve, curve.steps.size)
        return cls(
            name=curve.name, schedule=curve.schedule.fingerprint, points=points, count=curve.steps.size, last_step=last
        )

    def continues_in(self, curve: Curve) -> bool:
        """Whether `curve` is the same run, logged as far or farther."""
        longer = curve.steps.size >= self.count > 0
        return longer and curve.schedule.fingerprint == self.schedule and _points(curve, self.count) == self.points


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SavedLaw:
    """A law, the curves it was fitted to, and the version of the package that fitted it."""

    law: AnyLaw
    curves: tuple[CurvePrint, ...]
    package: str

    @classmethod
    def of(cls, law: AnyLaw, curves: Sequence[Curve]) -> SavedLaw:
        """A law of this package, just fitted; `curves` in the order of the fit."""
        prints = tuple(CurvePrint.of(curve) for curve in curves)
        return cls(law=law, curves=prints, package=importlib.metadata.version("autosched"))

    def run_of(self, curve: Curve) -> int | None:
        """Number of the fitted curve that is this run; None for a run that was not fitted."""
        return next((i for i, fitted in enumerate(self.curves) if fitted.continues_in(curve)), None)

    def to_json(self) -> str:
        """One JSON document; see the module."""
        document = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "package": self.package,
            "kind": self.law.name,
            "curves": [curve.model_dump() for curve in self.curves],
            "law": to_plain(self.law),
        }
        return json.dumps({**document, "fingerprint": _fingerprint(document)}, allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str, *, file: str | Path | None = None) -> SavedLaw:
        """Read what :meth:`to_json` wrote.

        Args:
            file: where the text came from, for the error.

        Raises:
            LawFileError: no law file, another version, edited or damaged.
        """
        document = _document(text, file)
        try:
            law = from_plain(document.law)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
            law = None
        if not _is_law(law):
            here = importlib.metadata.version("autosched")
            raise LawFileError(
                f"a law of autosched {document.package} that autosched {here} does not know: fit it again.", file=file
            )
        return cls(law=law, curves=tuple(document.curves), package=document.package)


def read_law(path: Path) -> SavedLaw:
    """Read a law file.

    Raises:
        LawFileError: it cannot be read, is no law file, of another version, edited or damaged; the line names it.
    """
    return SavedLaw.from_json(read_document(path, "a law file", LawFileError), file=path)


def _is_law(value: object) -> TypeGuard[AnyLaw]:
    return isinstance(value, (AutoLaw, SingleLaw, *LAWS.values()))


class LawDocument(BaseModel):
    """What :meth:`SavedLaw.to_json` writes, but for format and version."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    package: str
    kind: str
    curves: list[CurvePrint]
    law: dict[str, Any]
    fingerprint: str


def _document(text: str, file: str | Path | None) -> LawDocument:
    """The file's document, its format, version and fingerprint being right."""
    try:
        document = read_json(text, LawDocument, form=FORMAT, version=FORMAT_VERSION)
    except JsonFault as fault:
        raise LawFileError(f"not a law file: {fault.message}.", file=file, line=fault.line) from None
    sealed = {"format": FORMAT, "version": FORMAT_VERSION, **document.model_dump(exclude={"fingerprint"})}
    if document.fingerprint != _fingerprint(sealed):
        raise LawFileError('the law does not match "fingerprint": the file was edited or damaged.', file=file)
    return document


def _fingerprint(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _points(curve: Curve, count: int) -> str:
    data = curve.steps[:count].astype("<f8").tobytes() + curve.losses[:count].astype("<f8").tobytes()
    return hashlib.sha256(data).hexdigest()
