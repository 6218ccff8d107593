"""A `Schedule` for Megatron-LM and NeMo, which take arguments and no functions.

Both schedule with Megatron's ``OptimizerParamScheduler`` (``megatron/core/optimizer_param_scheduler.py``). With t the
number of the update, W = lr_warmup_iters, D = lr_decay_iters, n = lr_wsd_decay_iters::

    t <= W, W > 0         lr_warmup_init + (lr - lr_warmup_init) * t / W
    constant              lr
    t > D                 min_lr
    inverse-square-root   max(min_lr, lr * sqrt(W / t))
    linear, cosine        min_lr + (lr - min_lr) * g((t - W) / (D - W))
    WSD, t <= D - n       lr
    WSD, t > D - n        min_lr + (lr - min_lr) * g((t - D + n) / n)

    linear g(u) = 1 - u           minus_sqrt  g(u) = 1 - sqrt(u)
    cosine g(u) = (1 + cos(pi u)) / 2         exponential g(u) = 2 * 0.5**u - 1

Megatron counts in samples, t times the global batch size; with a constant batch size that cancels. A warmup of W
updates of this package, ``(t + 1) / W``, is a Megatron warmup of W - 1 iterations from ``lr_warmup_init = lr / W``, and
a decay that starts after it is a WSD decay over all the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from autosched.errors import ScheduleError
from autosched.schedules.exports.closest import Landmarks, closest, floor_ratio, landmarks, short
from autosched.schedules.schedule import FloatArray, Schedule

WSD_STYLES = ("linear", "cosine", "minus_sqrt", "exponential")
EXPRESSIBLE = "constant, linear, cosine, inverse-square-root and WSD (linear, cosine, minus_sqrt, exponential)"


@dataclass(frozen=True, slots=True, kw_only=True)
class MegatronArguments:
    """Megatron-LM's arguments of the LR; the names are its own, see the module's formulas."""

    train_iters: int
    lr: float
    min_lr: float
    lr_decay_style: str
    lr_decay_iters: int
    lr_warmup_iters: int
    lr_warmup_init: float
    lr_wsd_decay_iters: int | None = None
    lr_wsd_decay_style: str | None = None

    def lrs(self) -> FloatArray:
        """LR of every update as Megatron computes it, shape (train_iters,)."""
        t = np.arange(self.train_iters, dtype=np.float64)
        lrs = np.where(t > self.lr_decay_iters, self.min_lr, self._decayed(t))
        if self.lr_decay_style == "constant":
            lrs = np.full_like(t, self.lr)
        warmup = self.lr_warmup_iters
        if warmup > 0:
            rise = self.lr_warmup_init + (self.lr - self.lr_warmup_init) * t / warmup
            lrs = np.where(t <= warmup, rise, lrs)
        return lrs

    def _decayed(self, t: FloatArray) -> FloatArray:
        warmup, end = self.lr_warmup_iters, self.lr_decay_iters
        if self.lr_decay_style == "inverse-square-root":
            return np.maximum(self.min_lr, self.lr * np.sqrt(max(warmup, 1) / np.maximum(t, 1)))
        if self.lr_wsd_decay_iters is not None and self.lr_wsd_decay_style is not None:
            length = self.lr_wsd_decay_iters
            shape = _shape(self.lr_wsd_decay_style, np.clip((t - end + length) / length, 0, 1))
        elif self.lr_decay_style == "constant":
            return np.full_like(t, self.lr)
        else:
            shape = _shape(self.lr_decay_style, np.clip((t - warmup) / (end - warmup), 0, 1))
        return self.min_lr + shape * (self.lr - self.min_lr)

    def settings(self) -> dict[str, float | int | str]:
        """The arguments that are set, by name."""
        every = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in every.items() if value is not None}


def megatron_arguments(schedule: Schedule) -> MegatronArguments:
    """The arguments with which Megatron's LRs are the schedule's to float32.

    Raises:
        ScheduleError: none are; the text names the nearest and how far off it is.

    Example:
        >>> from autosched.schedules.registry import build
        >>> found = megatron_arguments(build("wsd", {"peak_lr": 0.1, "warmup_steps": 5}, steps=100))
        >>> found.lr_decay_style, found.lr_wsd_decay_iters, found.lr_warmup_iters, found.lr_warmup_init
        ('WSD', 20, 4, 0.02)
    """
    found = closest(schedule, _candidates(schedule), MegatronArguments.lrs) if schedule.peak_lr > 0 else None
    if found is None or not found.equal:
        nearest = (
            "" if found is None else f"; the nearest, {_name(found.arguments)}, is off by up to {found.share:.2g} "
        )
        where = "" if found is None else f"of the peak LR (update {found.step})"
        raise ScheduleError(f"Megatron-LM cannot express {schedule.describe()}: it has {EXPRESSIBLE}{nearest}{where}.")
    return found.arguments


def to_megatron_arguments(schedule: Schedule) -> str:
    """A bash array ``LR_ARGS`` to be used as ``pretrain_gpt.py "${LR_ARGS[@]}" ...``.

    Raises:
        ScheduleError: Megatron-LM cannot express the schedule.
    """
    flags = [f"  --{name.replace('_', '-')} {value}" for name, value in megatron_arguments(schedule).settings().items()]
    return "\n".join([*_head(schedule, 'pretrain_gpt.py "${LR_ARGS[@]}" ...'), "LR_ARGS=(", *flags, ")", ""])


def to_nemo_overrides(schedule: Schedule) -> str:
    """The same for NeMo (Megatron Bridge): a bash array of overrides, ``scheduler.lr_decay_style=WSD`` and so on.

    Raises:
        ScheduleError: Megatron's scheduler, which NeMo uses, cannot express the schedule.
    """
    groups = {"train_iters": "train", "lr": "optimizer", "min_lr": "optimizer"}
    settings = megatron_arguments(schedule).settings()
    flags = [f"  {groups.get(name, 'scheduler')}.{name}={value}" for name, value in settings.items()]
    return "\n".join([*_head(schedule, 'pretrain.py "${LR_ARGS[@]}" ...'), "LR_ARGS=(", *flags, ")", ""])


def _head(schedule: Schedule, usage: str) -> list[str]:
    return [
        f"# Learning-rate schedule, written by autosched: {ascii(schedule.describe())[1:-1]}",
        f"# SHA-256 of the LRs (float64, little endian): {schedule.fingerprint}",
        f"# Source this file, then: {usage}",
        "# Equal to float32 with a constant batch size; no batch size ramp-up.",
    ]


def _name(arguments: MegatronArguments) -> str:
    style = arguments.lr_decay_style
    return f"{style} ({arguments.lr_wsd_decay_style})" if arguments.lr_wsd_decay_style else style


def _shape(style: str, done: FloatArray) -> FloatArray:
    """``g(done)``, from 1 to 0."""
    if style == "linear":
        return 1 - done
    if style == "cosine":
        return 0.5 * (np.cos(np.pi * done) + 1)
    if style == "minus_sqrt":
        return 1 - np.sqrt(done)
    return np.asarray(2 * 0.5**done - 1)


def _candidates(schedule: Schedule) -> Iterator[MegatronArguments]:
    """What the schedule could be, the simplest first."""
    marks, lrs = landmarks(schedule), schedule.lrs
    start = short(float(lrs[0])) if marks.first else 0.0
    ends = [end for end in dict.fromkeys((marks.steps, marks.tail)) if end > marks.last]

    def arguments(
        style: str, *, min_lr: float = 0.0, end: int = marks.steps, wsd: tuple[int, str] | None = None
    ) -> MegatronArguments:
        return MegatronArguments(
            train_iters=marks.steps,
            lr=marks.peak,
            min_lr=min_lr,
            lr_decay_style=style,
            lr_decay_iters=end,
            lr_warmup_iters=marks.first,
            lr_warmup_init=start,
            lr_wsd_decay_iters=None if wsd is None else wsd[0],
            lr_wsd_decay_style=None if wsd is None else wsd[1],
        )

    yield arguments("constant")
    for end in ends:
        for style in ("linear", "cosine"):
            if end > marks.first:
                yield arguments(style, min_lr=_min_lr(lrs, marks, style, end, end - marks.first), end=end)
        for style in WSD_STYLES:
            if (length := end - marks.last) > 1 or end < marks.steps:
                min_lr = _min_lr(lrs, marks, style, end, length)
                yield arguments("WSD", min_lr=min_lr, end=end, wsd=(length, style))
    if marks.first > 0:  # without a warmup Megatron's inverse square root depends on the batch size
        yield arguments("inverse-square-root")
        yield arguments("inverse-square-root", min_lr=float(lrs[-1]))


def _min_lr(lrs: FloatArray, marks: Landmarks, style: str, end: int, length: int) -> float:
    """The final LR of a decay over `length` updates up to `end`, from the last LR that still depends on it."""
    if end < marks.steps:
        return float(lrs[-1])
    shape = float(_shape(style, np.array([1 - 1 / length]))[0])
    if math.isclose(shape, 1):
        return 0.0
    return short(marks.peak * floor_ratio(float(lrs[-1]) / marks.peak, shape))
