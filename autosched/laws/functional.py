"""Functional scaling law in intrinsic time, with the peak LR as a variable (after Li et al. 2025, arXiv:2509.19189).

    z(i)   = lrs[i] / peak,  u = peak / reference_lr
    tau(t) = sum over i < t of u**time_peak_power * z(i)**time_power / reference_steps    intrinsic time
    L(t)   = floor + scale * (tau(t) + start)**-exponent + noise * u**noise_peak_power * N(t)
    N(t)   = sum over i < t of z(i)**noise_power * (G(tau(t) - tau(i)) - G(tau(t) - tau(i + 1)))
    G(x)   = 1 - (1 + speed * x)**-saturation

N is the convolution of the LR with the power-law forgetting kernel G': a high LR makes noise, which is forgotten as
intrinsic time goes on. So a higher peak is faster and noisier, and the best peak lies between (the U shape). Warmup
is part of the path. At an LR of exactly 0 intrinsic time stands still and nothing explodes.

`start` is 0 in the paper, and a run's first loss without end. Losses that stay near their first value for a while and
then fall by large factors (classification, regression) have a first value, ``floor + scale * start**-exponent``
(:mod:`autosched.laws.start_up`).

The paper has one LR power in tau and one in the noise. They are split here in two, one for the LR inside a run and
one for the peak between runs, because one power fits real runs of several peaks badly
(see ``docs/records/laws-held-out.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autosched.curves.curve import Curve
from autosched.laws.drops import DEFAULT_INTERVALS, straight_knots, sum_by_row
from autosched.laws.law import Asked, LawFamily, ParametricLaw
from autosched.laws.priors import FUNCTIONAL_CENTRE, FUNCTIONAL_SD, UNITS_PER_HORIZON
from autosched.laws.robust import Prior
from autosched.schedules.outline import Outline
from autosched.schedules.schedule import LEAST_PEAK_LR, FloatArray, Schedule

_GAUSS = (0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3))
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What a law's numbers are stated in, so that priors hold for any trainer and horizon.

    Attributes:
        lr: the reference peak LR.
        steps: updates per unit of intrinsic time at the reference peak.
    """

    lr: float
    steps: float

    @classmethod
    def of(cls, schedules: Sequence[Schedule]) -> Units:
        """Geometric means over runs: of the peak LR, and of 1/25 of the horizon."""
        peaks = np.array([schedule.log_peak_lr for schedule in schedules])
        horizons = np.log([schedule.steps / UNITS_PER_HORIZON for schedule in schedules])
        return cls(lr=float(np.exp(peaks.mean())), steps=float(np.exp(horizons.mean())))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrinsicPath:
    """Some steps of some schedules, cut into straight pieces; independent of the law's parameters.

    A pair couples an asked step (row) with the start of a piece at or before it; the rows' own last, partial pieces
    are kept apart.

    Attributes:
        log_peak: of each row's schedule, shape (q,).
        length, log_z: of every piece of every schedule, updates (m,), and log(LR / peak) at its Gauss points (2, m)
            and middle (m,) as the third row.
        begins: first piece of each schedule, shape (s,).
        part_piece, part_length, part_log_z: each row's last piece, the updates of it that were done, and log(LR / peak)
            at Gauss points and middle of that part, (q,), (q,), (3, q).
        pair_row, pair_piece: shape (n,), rows increasing; the row's own last piece is not among them.
    """

    log_peak: FloatArray
    length: FloatArray
    log_z: FloatArray
    begins: NDArray[np.intp]
    part_piece: NDArray[np.intp]
    part_length: FloatArray
    part_log_z: FloatArray
    pair_row: NDArray[np.intp]
    pair_piece: NDArray[np.intp]


def intrinsic_path(
    schedules: Sequence[tuple[Schedule, FloatArray]], *, intervals: int = DEFAULT_INTERVALS
) -> IntrinsicPath:
    """Cut schedules into pieces and couple them with the steps (updates done) asked of each."""
    parts = [_one_path(schedule, np.asarray(steps, dtype=np.float64), intervals) for schedule, steps in schedules]
    if len(parts) == 1:
        return parts[0]
    pieces = np.cumsum([0] + [part.length.size for part in parts[:-1]]).astype(np.intp)
    rows = np.cumsum([0] + [part.log_peak.size for part in parts[:-1]]).astype(np.intp)
    return IntrinsicPath(
        log_peak=np.concatenate([p.log_peak for p in parts]),
        length=np.concatenate([p.length for p in parts]),
        log_z=np.concatenate([p.log_z for p in parts], axis=1),
        begins=pieces,
        part_piece=np.concatenate([p.part_piece + n for p, n in zip(parts, pieces, strict=True)]),
        part_length=np.concatenate([p.part_length for p in parts]),
        part_log_z=np.concatenate([p.part_log_z for p in parts], axis=1),
        pair_row=np.concatenate([p.pair_row + n for p, n in zip(parts, rows, strict=True)]),
        pair_piece=np.concatenate([p.pair_piece + n for p, n in zip(parts, pieces, strict=True)]),
    )


def _one_path(schedule: Schedule, steps: FloatArray, intervals: int) -> IntrinsicPath:
    outline = schedule.outline
    edges, length, pieces = outline.once(f"{intervals} pieces", lambda: _pieces(outline, intervals))
    begin = edges[:-1]
    last = np.clip(np.searchsorted(edges, steps, side="left") - 1, 0, length.size - 1)
    done = steps - begin[last]
    row, piece = np.nonzero(np.arange(length.size)[None, :] < last[:, None])
    return IntrinsicPath(
        log_peak=np.full(steps.size, np.log(max(schedule.peak_lr, LEAST_PEAK_LR))),
        length=length,
        log_z=pieces,
        begins=np.zeros(1, dtype=np.intp),
        part_piece=last.astype(np.intp),
        part_length=done,
        part_log_z=_log_z(outline, begin[last], done),
        pair_row=row,
        pair_piece=piece,
    )


def _pieces(outline: Outline, intervals: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of a whole schedule: where its pieces begin and the last one ends, their lengths, and ``log_z`` of the path."""
    edges = np.unique(np.append(straight_knots(outline, intervals), outline.steps)).astype(np.float64)
    edges[0] = 0.0
    length = np.diff(edges)
    return edges, length, _log_z(outline, edges[:-1], length)


def _log_z(outline: Outline, start: FloatArray, span: FloatArray) -> FloatArray:
    """log(LR / peak) at the Gauss points and the middle of spans of updates, shape (3, n)."""
    middles = np.stack([start + share * span for share in (*_GAUSS, 0.5)]) - 0.5  # update i happens at time i + 1/2
    return np.log(np.maximum(outline.read(middles) / max(outline.peak_lr, LEAST_PEAK_LR), _TINY))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionalLaw(ParametricLaw):
    """The functional scaling law; every field > 0.

    Attributes:
        floor: loss without noise after infinite intrinsic time, nats.
        scale, exponent: the power law of intrinsic time.
        noise: loss that a constant LR at the reference peak adds in the end, nats.
        noise_power, noise_peak_power: how noise grows with the LR inside a run, and with the peak between runs.
        time_power, time_peak_power: the same for the speed of intrinsic time.
        speed, saturation: the forgetting kernel.
        start: intrinsic time that counts as gone before the first update, >= 0; fitted by
            :class:`autosched.laws.start_up.StartUpFamily`.
        reference_lr, reference_steps: units in which the others are stated; not fitted.
    """

    name: ClassVar[str] = "functional"
    fields: ClassVar[tuple[str, ...]] = (
        "floor",
        "scale",
        "exponent",
        "noise",
        "noise_power",
        "noise_peak_power",
        "time_power",
        "time_peak_power",
        "speed",
        "saturation",
    )
    knows_peak_lr: ClassVar[bool] = True

    floor: float
    scale: float
    exponent: float
    noise: float
    noise_power: float
    noise_peak_power: float
    time_power: float
    time_peak_power: float
    speed: float
    saturation: float
    start: float = 0.0
    reference_lr: float = 1e-3
    reference_steps: float = 1000.0

    def __post_init__(self) -> None:
        ParametricLaw.__post_init__(self)
        for unit in ("reference_lr", "reference_steps"):
            if not (0 < getattr(self, unit) < np.inf):
                raise ValueError(f"{unit} must be finite and > 0, but got {getattr(self, unit)!r}.")
        if not (0 <= self.start < np.inf):
            raise ValueError(f"start must be finite and >= 0, but got {self.start!r}.")

    def predict_at(self, schedule: Schedule, steps: FloatArray) -> FloatArray:
        """Mean loss after each of `steps` updates, shape of `steps`, nats."""
        path = intrinsic_path([(schedule, steps)])
        logs = np.append(self.logs(), np.log(self.start)) if self.start else self.logs()
        return functional_losses(path, logs, self.units, slopes=False)[0]

    @property
    def units(self) -> Units:
        """The reference LR and steps."""
        return Units(lr=self.reference_lr, steps=self.reference_steps)


def functional_losses(
    path: IntrinsicPath, logs: FloatArray, units: Units, *, slopes: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Losses at the asked steps, shape (q,), and their derivatives by the log-parameters, shape (q, p).

    Args:
        logs: of the ten fields, and of `start` where it is not 0, shape (p,).
        slopes: whether derivatives are wanted; without, they have shape (q, 0).
    """
    floor, scale, exponent, noise, noise_power, noise_peak_power, time_power, time_peak_power, speed, saturation = (
        np.exp(logs[:10])
    )
    start = float(np.exp(logs[10:]).sum())
    log_u = path.log_peak - np.log(units.lr)
    pace = np.exp(time_peak_power * log_u) / units.steps
    begin, by_power, done, done_by_power = _intrinsic_time(path, time_power)
    now, now_by_power = begin[path.part_piece] + done, by_power[path.part_piece] + done_by_power
    size, size_by_power = _jumps(path, noise_power)

    row = np.concatenate([path.pair_row, np.arange(log_u.size)])
    since = np.concatenate([now[path.pair_row] - begin[path.pair_piece], done])
    since_by_power = np.concatenate([now_by_power[path.pair_row] - by_power[path.pair_piece], done_by_power])

    def total(values: FloatArray) -> FloatArray:
        return sum_by_row(row, values, log_u.size)

    rate = speed * pace[row]
    x = rate * since
    log_rest = np.log1p(x)
    rest = np.exp(-saturation * log_rest)
    level = noise * np.exp(noise_peak_power * log_u)
    added = level * total(size * (1 - rest))
    tau = now * pace
    log_time = np.log(tau + start)
    power = scale * np.exp(-exponent * log_time)
    if not slopes:
        return floor + power + added, np.empty((log_u.size, 0))
    slope = saturation * rest / (1 + x) * size
    by_log_speed = level * total(slope * x)
    fall = exponent * power * tau / (tau + start)
    jacobian = np.column_stack(
        [
            np.full(log_u.shape, floor),
            power,
            -exponent * log_time * power,
            added,
            noise_power * level * total(size_by_power * (1 - rest)),
            noise_peak_power * log_u * added,
            time_power * (level * total(slope * rate * since_by_power) - fall * now_by_power / now),
            time_peak_power * log_u * (by_log_speed - fall),
            by_log_speed,
            level * saturation * total(size * rest * log_rest),
            *([-exponent * power * start / (tau + start)] if start else []),
        ]
    )
    return floor + power + added, jacobian


def _intrinsic_time(path: IntrinsicPath, power: float) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Sum of z**power at the begin of every piece and over each row's part, each with its derivative by power."""
    ends, ends_by_power = _piece_time(path.length, path.log_z, power)
    done, done_by_power = _piece_time(path.part_length, path.part_log_z, power)
    return _running(path, ends), _running(path, ends_by_power), done, done_by_power


def _piece_time(length: FloatArray, log_z: FloatArray, power: float) -> tuple[FloatArray, FloatArray]:
    values = np.exp(power * log_z[:2])
    return 0.5 * length * values.sum(axis=0), 0.5 * length * (values * log_z[:2]).sum(axis=0)


def _running(path: IntrinsicPath, amounts: FloatArray) -> FloatArray:
    """Sum of the amounts before each piece, from the begin of its schedule."""
    before = np.cumsum(amounts) - amounts
    pieces = np.diff(np.append(path.begins, amounts.size))
    return before - np.repeat(before[path.begins], pieces)


def _jumps(path: IntrinsicPath, power: float) -> tuple[FloatArray, FloatArray]:
    """Change of z**power at the begin of each pair's piece, then of each row's part; and derivatives by power."""
    middle, part = path.log_z[2], path.part_log_z[2]
    value, by_power = np.exp(power * middle), np.exp(power * middle) * middle
    before, before_by_power = np.append(0.0, value[:-1]), np.append(0.0, by_power[:-1])
    before[path.begins] = before_by_power[path.begins] = 0.0
    here, here_by_power = np.exp(power * part), np.exp(power * part) * part
    last = path.part_piece
    size = np.concatenate([(value - before)[path.pair_piece], here - before[last]])
    size_by_power = np.concatenate(
        [(by_power - before_by_power)[path.pair_piece], here_by_power - before_by_power[last]]
    )
    return size, size_by_power


_TIED = {"noise_peak_power": "noise_power", "time_peak_power": "time_power"}
_FREE = tuple(field for field in FunctionalLaw.fields if field not in _TIED)
_SPREAD: FloatArray = np.eye(len(_FREE))[[_FREE.index(_TIED.get(field, field)) for field in FunctionalLaw.fields]]
"""From the eight logs of the tied law to the ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionalFamily(LawFamily[IntrinsicPath]):
    """How the functional law is fitted.

    Attributes:
        units: see :meth:`Units.of`.
        intervals: pieces into which a schedule that changes all the time is cut.
        tied: one LR power in time and one in noise, ``noise_peak_power = noise_power`` and ``time_peak_power =
            time_power``, as in the paper: for runs whose LR is chosen stage by stage. There the peak is an accident of
            one stage, and were it to change, so would the intrinsic time of all that lies before.
    """

    law_type: ClassVar[type[ParametricLaw]] = FunctionalLaw
    linear: ClassVar[tuple[int, ...]] = (0, 1, 3)

    units: Units
    intervals: int = DEFAULT_INTERVALS
    tied: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the parameters; of the tied law those inside a run."""
        return tuple(field for field in FunctionalLaw.fields if not self.tied or field not in _TIED)

    @property
    def sees(self) -> str:
        """Pieces."""
        return f"{self.intervals} pieces"

    def prepare(self, asked: Asked) -> IntrinsicPath:
        """The schedules cut into pieces."""
        return intrinsic_path(asked, intervals=self.intervals)

    def losses(self, prepared: IntrinsicPath, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the ten logs (n, 10), or the eight of the tied law (n, 8)."""
        losses, jacobian = functional_losses(prepared, self._ten(x), self.units)
        return losses, jacobian @ _SPREAD if self.tied else jacobian

    def means(self, prepared: IntrinsicPath, x: FloatArray) -> FloatArray:
        """Losses (n,) alone, without paying for derivatives."""
        return functional_losses(prepared, self._ten(x), self.units, slopes=False)[0]

    def prior(self, curves: Sequence[Curve]) -> Prior:
        """Centred where byte models and 124M-parameter models agree; amounts of loss scale with the least loss seen."""
        centre = np.log(FUNCTIONAL_CENTRE)
        centre[list(self.linear)] += np.log(min(float(curve.losses.min()) for curve in curves))
        kept = [row for row, field in enumerate(FunctionalLaw.fields) if field in self.fields]
        return Prior(mean=centre[kept], sd=np.array(FUNCTIONAL_SD)[kept])

    def law(self, x: FloatArray) -> FunctionalLaw:
        """The law behind its logs."""
        units = {"reference_lr": self.units.lr, "reference_steps": self.units.steps}
        return FunctionalLaw.from_logs(self._ten(x), **units)

    def _ten(self, x: FloatArray) -> FloatArray:
        return _SPREAD @ x if self.tied else x
