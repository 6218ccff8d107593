"""The schedules that Hugging Face's ``Trainer`` has itself (``transformers/optimization.py``, 5.23).

With t the number of the update, T = max_steps, W = warmup_steps and ``u = (t - W) / (T - W)``, LR over learning_rate::

    t < W                        t / W, whatever follows but for the two last
    constant_with_warmup         1
    linear                       1 - u
    cosine                       (1 + cos(2 pi num_cycles u)) / 2               num_cycles = 1/2
    cosine_with_min_lr           r + (1 - r) * cosine                           r = min_lr_rate
    cosine_with_restarts         (1 + cos(pi * (num_cycles u mod 1))) / 2
    polynomial                   e + (1 - e) * (1 - u)**power                   e = lr_end / learning_rate
    inverse_sqrt                 1 / sqrt((t + s - W) / s)                      s = timescale
    warmup_stable_decay          r + (1 - r) * g, r = min_lr_ratio              also in the warmup, where g = t / W
        at the decay's update j of n = num_decay_steps: linear 1 - j/n, cosine (1 + cos(pi j/n)) / 2, 1-sqrt
    cosine_warmup_with_min_lr    w + (1 - w) * t / (W - 1) in the warmup, w = warmup_lr_rate;
                                 then r + (1 - r) * cosine at u = (t - W + 1) / (T - W)

``t / W`` starts at an LR of 0; this package calls it ``warmup_shape: ramp``. Of its other linear warmup,
``(t + 1) / W``, only a few schedules are among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from autosched.schedules.exports.closest import Closest, Landmarks, closest, floor_ratio, landmarks, short
from autosched.schedules.schedule import FloatArray, Schedule

WSD_TYPES = ("linear", "cosine", "1-sqrt")
POWERS = (0.05, 20.0)
"""Range in which a polynomial's power is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerArguments:
    """The ``TrainingArguments`` of the LR; the names are theirs."""

    learning_rate: float
    lr_scheduler_type: str
    warmup_steps: int
    max_steps: int
    lr_scheduler_kwargs: Mapping[str, float | int | str] = field(default_factory=dict)

    def lrs(self) -> FloatArray:
        """LR of every update as ``Trainer`` computes it, shape (max_steps,)."""
        t = np.arange(self.max_steps, dtype=np.float64)
        return np.asarray(self.learning_rate * _FACTORS[self.lr_scheduler_type](t, self))

    def settings(self) -> dict[str, Any]:
        """The arguments by name."""
        every = {item.name: getattr(self, item.name) for item in fields(self)}
        return every | {"lr_scheduler_kwargs": dict(self.lr_scheduler_kwargs)}


def trainer_arguments(schedule: Schedule) -> Closest[TrainerArguments] | None:
    """The native arguments whose LRs are the schedule's to float32, or the nearest ones; None if all LRs are 0.

    Example:
        >>> from autosched.schedules.registry import build
        >>> found = trainer_arguments(build("cosine", {"peak_lr": 0.1, "final_lr_ratio": 0.1}, steps=100))
        >>> found.equal, found.arguments.lr_scheduler_type, found.arguments.lr_scheduler_kwargs
        (True, 'cosine_with_min_lr', {'min_lr_rate': 0.1})
    """
    if schedule.peak_lr == 0:
        return None
    return closest(schedule, _candidates(schedule), TrainerArguments.lrs)


def _done(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    """``u``; 0 in the warmup."""
    warmup = arguments.warmup_steps
    return np.asarray(np.maximum(t - warmup, 0) / max(1, arguments.max_steps - warmup))


def _half_cosine(done: FloatArray) -> FloatArray:
    return 0.5 * (1 + np.cos(np.pi * done))


def _warmed(t: FloatArray, arguments: TrainerArguments, after: FloatArray) -> FloatArray:
    return np.where(t < arguments.warmup_steps, t / max(1, arguments.warmup_steps), after)


def _constant(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    return _warmed(t, arguments, np.ones_like(t))


def _linear(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    return _warmed(t, arguments, 1 - _done(t, arguments))


def _cosine(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    floor = float(arguments.lr_scheduler_kwargs.get("min_lr_rate", 0.0))
    return _warmed(t, arguments, floor + (1 - floor) * _half_cosine(_done(t, arguments)))


def _restarts(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    cycles = float(arguments.lr_scheduler_kwargs["num_cycles"])
    return _warmed(t, arguments, _half_cosine(cycles * _done(t, arguments) % 1))


def _polynomial(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    end = float(arguments.lr_scheduler_kwargs["lr_end"]) / arguments.learning_rate
    left = 1 - _done(t, arguments)
    return _warmed(t, arguments, end + (1 - end) * left ** float(arguments.lr_scheduler_kwargs["power"]))


def _inverse_sqrt(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    scale = float(arguments.lr_scheduler_kwargs["timescale"])
    return _warmed(t, arguments, 1 / np.sqrt((np.maximum(t - arguments.warmup_steps, 0) + scale) / scale))


def _stable_decay(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    options, warmup = arguments.lr_scheduler_kwargs, arguments.warmup_steps
    length = int(options["num_decay_steps"])
    start = warmup + int(options.get("num_stable_steps", arguments.max_steps - warmup - length))
    done = np.clip((t - start) / max(1, length), 0, 1)
    shape = {"linear": 1 - done, "cosine": _half_cosine(done), "1-sqrt": 1 - np.sqrt(done)}[str(options["decay_type"])]
    shape = np.where(t < warmup, t / max(1, warmup), shape)
    floor = float(options["min_lr_ratio"])
    return np.where(t >= start + length, floor, floor + (1 - floor) * shape)


def _cosine_from(t: FloatArray, arguments: TrainerArguments) -> FloatArray:
    warmup, options = arguments.warmup_steps, arguments.lr_scheduler_kwargs
    begin, floor = float(options["warmup_lr_rate"]), float(options["min_lr_rate"])
    done = np.maximum(t - warmup + 1, 0) / max(1, arguments.max_steps - warmup)
    after = floor + (1 - floor) * _half_cosine(done)
    return np.where(t < warmup, begin + (1 - begin) * t / max(1, warmup - 1), after)


_FACTORS: Mapping[str, Callable[[FloatArray, TrainerArguments], FloatArray]] = {
    "constant": _constant,
    "constant_with_warmup": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_min_lr": _cosine,
    "cosine_with_restarts": _restarts,
    "polynomial": _polynomial,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": _stable_decay,
    "cosine_warmup_with_min_lr": _cosine_from,
}


def _candidates(schedule: Schedule) -> Iterator[TrainerArguments]:
    """What the schedule could be, the simplest first; with W where the peak is reached, and one update later."""
    marks, ratios = landmarks(schedule), schedule.lrs / schedule.peak_lr
    warmups = [marks.first] if ratios[0] in (0, 1) else [marks.first, marks.first + 1]
    for warmup in warmups:
        for name, options in _options(ratios, marks, warmup):
            yield TrainerArguments(
                learning_rate=marks.peak,
                lr_scheduler_type=name,
                warmup_steps=warmup,
                max_steps=marks.steps,
                lr_scheduler_kwargs=options,
            )


def _options(
    ratios: FloatArray, marks: Landmarks, warmup: int
) -> Iterator[tuple[str, Mapping[str, float | int | str]]]:
    """Types and their own arguments for one `warmup`."""
    last, length = float(ratios[-1]), marks.steps - warmup
    yield ("constant_with_warmup" if warmup else "constant"), {}
    if length > 1:
        end = np.array([1 - 1 / length])
        yield "linear", {}
        yield "cosine", {}
        yield "cosine_with_min_lr", {"min_lr_rate": floor_ratio(last, float(_half_cosine(end)[0]))}
        if last > 0:
            scale = (length - 1) / (last**-2 - 1) if last < 1 else np.inf
            yield from (("inverse_sqrt", {"timescale": value}) for value in _whole(scale) if value > 0)
        yield from (("polynomial", options) for options in _polynomials(ratios, marks, warmup))
        jumps = int(np.count_nonzero(np.diff(ratios[warmup:]) > 0))
        if jumps:
            yield "cosine_with_restarts", {"num_cycles": jumps + 1}
    yield from (("warmup_stable_decay", options) for options in _stable_decays(ratios, marks, warmup))
    if marks.first > 0:
        begin = short(float(ratios[0]))
        yield "cosine_warmup_with_min_lr", {"warmup_lr_rate": begin, "min_lr_rate": short(last)}


def _stable_decays(ratios: FloatArray, marks: Landmarks, warmup: int) -> Iterator[dict[str, float | int | str]]:
    for end, kind in itertools.product(dict.fromkeys((marks.steps, marks.tail)), WSD_TYPES):
        length = max(end - marks.last, 0)
        stable = end - length - warmup
        if stable < 0:
            continue
        if marks.last == marks.steps - 1:  # no decay: the ratio shapes the warmup alone
            length, stable, floor = 0, marks.steps - warmup, short(float(ratios[0])) if warmup else 0.0
        elif end < marks.steps:
            floor = short(float(ratios[-1]))
        elif length > 1:
            done = 1 - 1 / length
            shape = {"linear": 1 - done, "cosine": 0.5 * (1 + np.cos(np.pi * done)), "1-sqrt": 1 - np.sqrt(done)}[kind]
            floor = floor_ratio(float(ratios[-1]), float(shape))
        else:
            continue
        stable_steps = {} if warmup + stable + length == marks.steps else {"num_stable_steps": stable}
        yield {"num_decay_steps": length, **stable_steps, "decay_type": kind, "min_lr_ratio": floor}


def _polynomials(ratios: FloatArray, marks: Landmarks, warmup: int) -> Iterator[dict[str, float | int | str]]:
    """The power and the final LR of a polynomial, from its LRs at one and at three quarters of the decay."""
    from scipy.optimize import brentq

    length = marks.steps - warmup
    updates = (length // 4, 3 * length // 4)
    (high, low) = (float(ratios[warmup + update]) for update in updates)
    near, far = (1 - update / length for update in updates)
    if not (length >= 4 and 1 > high > low):
        return

    def final(power: float) -> float:
        return float((low - far**power) / (1 - far**power))

    def miss(power: float) -> float:
        return float(final(power) + (1 - final(power)) * near**power - high)

    if miss(POWERS[0]) * miss(POWERS[1]) <= 0:
        power = short(float(brentq(miss, *POWERS, xtol=1e-15, rtol=1e-14)))
        end = final(power) if final(power) > 1e-9 else 0.0  # brentq leaves a final LR of 0 inexact
        if end < 1:
            yield {"power": power, "lr_end": short(marks.peak * end)}


def _whole(scale: float) -> tuple[float, ...]:
    """The time scale, as a whole number where it is one."""
    if not np.isfinite(scale):
        return ()
    nearest = round(scale)
    return (nearest,) if abs(scale - nearest) < 1e-6 * nearest else (short(scale),)
