"""Fitted laws as JSON files.

::

    {"format": "autosched.law", "version": 1, "package": "0.1.0", "kind": "auto",
     "curves": [{"name": ..., "schedule": SHA-256, "points": SHA-256, "count": 170, "last_step": 24000}, ...],
     "law": {"record": "Forecaster", ...}, "fingerprint": SHA-256 of all the rest}

The numbers read back to the same bits: floats as Python's shortest ``repr``, and nothing that can run code::

    Python                      JSON
    float that is not finite    {"float": "nan"}
    array                       {"array": "float64", "shape": [2, 3], "values": [0.5, "nan", ...]}
    tuple                       list
    record                      {"record": "FunctionalLaw", "floor": ...}; fields at their defaults are left out

Only the records listed at the bottom are read. A residual process is stored as its kernel and points; its matrices are
computed again. The curves' fingerprints say what a law was fitted to, and let a longer log of the same run be
recognised.

Files of autosched before its forecaster have other names for some records (``AutoLaw``, ``SingleLaw``,
``FunctionalForm``, …); they are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from pydantic import BaseModel, ConfigDict

from autosched.curves.curve import Curve
from autosched.errors import LawFileError, UsageError
from autosched.json_documents import JsonFault, read_json
from autosched.laws.annealing import AnnealingFamily
from autosched.laws.baselines import ExponentialFamily, PowerFamily
from autosched.laws.continual import ContinualFamily
from autosched.laws.convex_law import ConvexFamily
from autosched.laws.cooldown_prior import CooldownPrior
from autosched.laws.fit import LawFit, OutlyingRow
from autosched.laws.forecaster import Forecaster, forecast_ends
from autosched.laws.forecaster_fit import knowing_run
from autosched.laws.functional import FunctionalFamily, Units
from autosched.laws.law import LossLaw
from autosched.laws.multi_power import MultiPowerFamily
from autosched.laws.registry import LAWS
from autosched.laws.residual import ResidualKernel, ResidualProcess, RunPoints
from autosched.laws.start_up import StartUpFamily
from autosched.schedules.schedule import FloatArray, Schedule
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
        return curve.schedule.fingerprint == self.schedule and self.begins(curve)

    def begins(self, curve: Curve) -> bool:
        """Whether `curve` begins with the same losses at the same steps, whatever its planned schedule is."""
        return curve.steps.size >= self.count > 0 and _points(curve, self.count) == self.points


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SavedLaw:
    """A law, the curves it was fitted to, and the version of the package that fitted it."""

    law: LossLaw
    curves: tuple[CurvePrint, ...]
    package: str

    @classmethod
    def of(cls, law: LossLaw, curves: Sequence[Curve]) -> SavedLaw:
        """A law of this package, just fitted; `curves` in the order of the fit."""
        prints = tuple(CurvePrint.of(curve) for curve in curves)
        return cls(law=law, curves=prints, package=importlib.metadata.version("autosched"))

    def run_of(self, curve: Curve) -> int | None:
        """Number of the fitted curve that is this run; None for a run that was not fitted."""
        return next((i for i, fitted in enumerate(self.curves) if fitted.continues_in(curve)), None)

    def knowing(self, run: Curve) -> tuple[Forecaster, int]:
        """The law with a run that has begun among those it knows, and that run's number.

        Raises:
            CurveError: no loss after the warmup.
            UsageError: a law that knows no single runs.
        """
        if not isinstance(self.law, Forecaster) or self.law.process is None:
            raise UsageError(f"the {self.law.name} law knows no single runs; fit it with --law auto.")
        fitted = next((i for i, curve in enumerate(self.curves) if curve.begins(run)), None)
        return knowing_run(self.law, run, fitted=fitted)

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
            if _is_law(law):  # records are not checked field by field: what cannot be asked is no law
                with np.errstate(all="ignore"):
                    forecast_ends(law, [Schedule(np.full(2, 1e-3))])  # any
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
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


def _is_law(value: object) -> TypeGuard[LossLaw]:
    return isinstance(value, (Forecaster, *LAWS.values()))


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
        document = read_json(text, {FORMAT_VERSION: LawDocument}, form=FORMAT)
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


def to_plain(value: Any) -> Any:
    """Values that ``json.dumps(..., allow_nan=False)`` takes.

    Raises:
        TypeError: something that is no part of a law.
    """
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        case np.ndarray():
            values = [item if math.isfinite(item) else repr(item) for item in value.ravel().tolist()]
            return {"array": value.dtype.name, "shape": list(value.shape), "values": values}
        case list() | tuple():
            return [to_plain(item) for item in value]
        case _ if type(value).__name__ in RECORDS:
            return {"record": type(value).__name__, **_fields_of(value)}
        case _:
            raise TypeError(f"a {type(value).__name__} is no part of a law.")


def from_plain(value: Any) -> Any:
    """What :func:`to_plain` was given; lists come back as tuples, arrays read-write.

    Raises:
        KeyError, TypeError, ValueError: not the output of :func:`to_plain`, or of another version.
    """
    match value:
        case {"record": str(name), **fields}:
            return RECORDS[name](**{str(field): from_plain(item) for field, item in fields.items()})
        case {"array": "float64" | "int64" as dtype, "shape": list(shape), "values": list(values)}:
            numbers = [float(item) if isinstance(item, str) else item for item in values]
            return np.array(numbers, dtype=dtype).reshape(shape)
        case {"float": str(text)}:
            return float(text)
        case list():
            return tuple(from_plain(item) for item in value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            raise ValueError(f"{str(value)[:60]!r} is no part of a law.")


def _fields_of(record: Any) -> dict[str, Any]:
    if isinstance(record, ResidualProcess):
        return {name: to_plain(getattr(record, name)) for name in ("kernel", "points", "residuals")}
    values = {field.name: (getattr(record, field.name), field.default) for field in dataclasses.fields(record)}
    return {name: to_plain(value) for name, (value, default) in values.items() if not _same(value, default)}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


def _process(*, kernel: ResidualKernel, points: RunPoints, residuals: FloatArray) -> ResidualProcess:
    return ResidualProcess.of(points, residuals, kernel)


def _single(*, form: Any, fit: LawFit, loo: float, names: tuple[str, ...]) -> Forecaster:
    """A law alone, as it was stored before."""
    return Forecaster(
        name=form.name,
        families=(form,),
        fits=(fit,),
        weights=np.ones(1),
        loo=np.array([loo]),
        process=None,
        inflation=1.0,
        names=names,
    )


def _stacked(*, forms: Any, **fields: Any) -> Forecaster:
    """The default law, as it was stored before."""
    return Forecaster(families=forms, **fields)


_FAMILIES: tuple[type, ...] = (
    FunctionalFamily,
    StartUpFamily,
    MultiPowerFamily,
    AnnealingFamily,
    ConvexFamily,
    ExponentialFamily,
    PowerFamily,
    ContinualFamily,
)
RECORDS: Mapping[str, Callable[..., Any]] = {
    **{part.__name__: part for part in (*LAWS.values(), *_FAMILIES)},
    **{
        part.__name__: part
        for part in (Units, LawFit, OutlyingRow, CooldownPrior, Forecaster, ResidualKernel, RunPoints)
    },
    ResidualProcess.__name__: _process,
    "AutoLaw": _stacked,
    "SingleLaw": _single,
    **{family.__name__.replace("Family", "Form"): family for family in _FAMILIES},
}
