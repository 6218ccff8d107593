"""What an LR range test says: where training diverges, and between which LRs its best peak lies.

A range test trains a fresh model while the LR rises exponentially from far too low to far too high, and looks at the
training loss of every update (Smith 2015, arXiv:1506.01186, with a linear rise; the exponential one and the smoothing
are those of Howard and Gugger's fastai). This module reads such a sweep; it trains nothing.

name    meaning                                                                        unit
x_i     log10 of the LR of update i, evenly spaced                                     decades
L_i     training loss seen in update i, before its LR acts                             nats
s_i     smoothed loss, ``s_i = (sum_j a^(i-j) L_j) / (sum_j a^(i-j))``, j = 0..i       nats
X_i     the x_j averaged with the same weights: where s_i belongs                      decades
top     mean of the first losses, those of an untrained model                          nats
low     smallest s_i before the divergence; ``fall = top - low``                       nats
E_i     excess ``L_i - low``                                                           nats

Everything is invariant to a shift and a positive scale of the losses, and s_i has no lag: where the loss is linear in
x, averaging x with the weights of L puts s_i on the line.

**Divergence.** The sweep has diverged when s_i is back at `top` after at least half of the largest fall. That is later
than the LR at which training becomes unstable, because an instability takes updates to show: the faster the LR rises,
and the smaller the excess it starts from, the later (on a quadratic up to a factor of 8). So the divergence LR is not
read off the place but off the *rate*. Gradient descent on curvature c multiplies the excess beyond its edge
``2 / c`` by ``rho = (lr * c - 1)^2`` in every update, hence each growing step has its own estimate of the edge,

    2 / c = 2 lr_i / (1 + sqrt(E_{i+1} / E_i)),

and the divergence LR is the median over the steps from the last ``E_i <= fall / 2`` on, for as long as the excess at
least doubles. Where a model does not explode but loses its gains little by little (adaptive optimizers, clipping),
``rho`` is near 1, and the same formula gives the LR in the middle of the rise. With momentum it is too low, by up to a
third on quadratics.

**Bounds.** The loss enters its valley where s falls below ``low + fall / 10`` and leaves it where s rises above that
again, or at the divergence LR if that is lower; ``centre`` is the geometric mean of both LRs. The suggested bounds are
``centre / 10`` and the smaller of ``10 * centre`` and the divergence LR. `docs/records/range-test.md` has what this was
chosen from and against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from autosched.errors import UsageError
from autosched.schedules.schedule import FloatArray, Schedule

MEMORY = 0.25
"""Width of the smoothing, in decades of the LR: ``a = exp(-(x_1 - x_0) / MEMORY)``."""
VALLEY = 0.1
"""Share of the fall that the loss may lie above its lowest and still be in the valley."""
REACH = 10.0
"""The bounds lie this factor from the valley's centre, or at the divergence LR."""
LOST = 0.5
"""Share of the fall that is lost again where the steps begin that the divergence LR is read from."""
CLEAR = 8.0
"""A fall counts when it is this many standard deviations of the smoothed loss."""
FEWEST_PER_DECADE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """An exponential rise of the LR.

    Attributes:
        low, high: LR of the first and of the last update, ``0 < low < high``.
        steps: updates, at least 10 per decade of the LR.

    Raises:
        UsageError: bounds or steps that are not allowed.

    Example:
        >>> Sweep(low=0.01, high=1.0, steps=21).schedule().lrs[[0, 10, 20]].tolist()
        [0.01, 0.1, 1.0]
    """

    low: float = 1e-6
    high: float = 10.0
    steps: int = 200

    def __post_init__(self) -> None:
        for name, value in (("low", self.low), ("high", self.high)):
            if not 0 < value < math.inf:
                raise UsageError(f"range test: {name} must be a finite number > 0, but got {value!r}.")
        if self.low >= self.high:
            raise UsageError(f"range test: low must be below high ({self.high:g}), but got {self.low:g}.")
        if self.steps < self.fewest_steps:
            raise UsageError(
                f"range test: steps must be at least {self.fewest_steps} from LR {self.low:g} to {self.high:g} "
                f"({FEWEST_PER_DECADE} per decade), but got {self.steps}."
            )

    @property
    def fewest_steps(self) -> int:
        """The smallest number of updates for these bounds."""
        return max(math.ceil(FEWEST_PER_DECADE * math.log10(self.high / self.low)), FEWEST_PER_DECADE)

    def schedule(self) -> Schedule:
        """``lr_i = low * (high / low) ** (i / (steps - 1))``."""
        return Schedule(np.geomspace(self.low, self.high, self.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """What a sweep says; see the module for the definitions.

    Attributes:
        lrs, losses: the sweep as far as it was finite, shape (n,).
        smoothed_lrs, smoothed: the smoothed loss and the LRs it belongs to, shape (n,).
        start_loss, lowest_loss: `top` and `low`, nats.
        steepest_lr: where the smoothed loss falls fastest per decade.
        valley_low, valley_high: where the smoothed loss enters and leaves its valley.
        divergence_lr: where training becomes unstable; None when the sweep did not get there.
        no_divergence: why `divergence_lr` is None; empty otherwise.
        low, high: the suggested bounds of a search for the peak LR.
    """

    lrs: FloatArray
    losses: FloatArray
    smoothed_lrs: FloatArray
    smoothed: FloatArray
    start_loss: float
    lowest_loss: float
    steepest_lr: float
    valley_low: float
    valley_high: float
    divergence_lr: float | None
    no_divergence: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTestFailure:
    """Why a sweep says nothing, and what to try; `lrs` and `losses` are the sweep as far as it was finite."""

    reason: str
    lrs: FloatArray
    losses: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Smoothed:
    """A sweep with its smoothed curve; `x` and `at` are log10 of the LR, `window` is MEMORY in updates."""

    x: FloatArray
    losses: FloatArray
    at: FloatArray
    smoothed: FloatArray
    window: int
    top: float

    @property
    def deviation(self) -> float:
        """Standard deviation of the smoothed loss, if the losses were independent and normal.

        From the lower quartile of their steps, which neither a trend nor an explosion of most of them disturbs.
        """
        noise = float(np.quantile(np.abs(np.diff(self.losses)), 0.25)) / (0.3186 * math.sqrt(2.0))
        return noise / math.sqrt(2 * self.window)


def analyse(lrs: FloatArray, losses: FloatArray) -> RangeTest | RangeTestFailure:
    """Read a sweep.

    Args:
        lrs: LR of every update, rising by one factor, shape (n,).
        losses: training loss seen in every update, shape (n,); the sweep ends before the first that is not finite,
            which counts as divergence.

    Raises:
        UsageError: vectors of different lengths, or LRs that do not rise exponentially.

    Example:
        >>> lrs, x, losses = np.geomspace(1e-4, 10, 200), 1.0, []
        >>> for lr in lrs:  # gradient descent on 2 x^2, of curvature 4
        ...     losses.append(2 * x * x)
        ...     x -= lr * 4 * x
        >>> round(analyse(lrs, np.array(losses)).divergence_lr, 3)
        0.5
    """
    x = _log_lrs(lrs, losses)
    finite = np.isfinite(losses)
    count = int(finite.size if finite.all() else np.argmin(finite))
    if count < FEWEST_PER_DECADE:
        reason = f"the loss was not finite from update {count} (LR {lrs[count]:.3g}) on; start from a lower LR."
        return RangeTestFailure(reason=reason, lrs=lrs[:count], losses=losses[:count])
    curve = _smooth(x[:count], np.asarray(losses[:count], dtype=np.float64))
    return _read(curve, exploded=count < finite.size)


def _log_lrs(lrs: FloatArray, losses: FloatArray) -> FloatArray:
    if lrs.ndim != 1 or lrs.shape != np.shape(losses) or lrs.size < FEWEST_PER_DECADE:
        raise UsageError(f"a range test needs at least {FEWEST_PER_DECADE} LRs and as many losses.")
    x: FloatArray = np.log10(lrs)
    steps = np.diff(x)
    if not np.all(np.isfinite(x)) or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-6, atol=1e-12):
        raise UsageError("the LRs of a range test must rise by one factor from update to update.")
    return x


def _smooth(x: FloatArray, losses: FloatArray) -> _Smoothed:
    step = float(x[1] - x[0])
    memory, window = math.exp(-step / MEMORY), max(1, round(MEMORY / step))
    smoothed, at = np.empty_like(losses), np.empty_like(x)
    loss = place = weight = 0.0
    for i in range(losses.size):
        loss, place = memory * loss + losses[i], memory * place + x[i]
        weight = memory * weight + 1.0
        smoothed[i], at[i] = loss / weight, place / weight
    top = float(losses[:window].mean())
    return _Smoothed(x=x, losses=losses, at=at, smoothed=smoothed, window=window, top=top)


def _read(curve: _Smoothed, *, exploded: bool) -> RangeTest | RangeTestFailure:
    s, lrs = curve.smoothed, 10.0**curve.x
    back = _back_at_top(curve)
    first = min(curve.window, s.size - 1)  # before it, single losses count for much
    lowest = first + int(np.argmin(s[first : s.size if back is None else back + 1]))
    low, fall = float(s[lowest]), curve.top - float(s[lowest])
    reason = _fault(curve, fall, exploded=exploded)
    risen = np.flatnonzero(s[lowest:] > low + VALLEY * fall)
    if reason is None and risen.size == 0 and not exploded:
        reason = f"the loss did not rise again up to LR {lrs[-1]:.3g}; go on to a higher one."
    if reason is not None:
        return RangeTestFailure(reason=reason, lrs=lrs, losses=curve.losses)
    divergence = _divergence(curve, low=low, fall=fall, back=back, exploded=exploded)
    edge = math.inf if divergence is None else math.log10(divergence)
    enters = min(float(curve.at[np.argmax(s <= low + VALLEY * fall)]), edge)
    leaves = min(float(curve.at[lowest + risen[0]] if risen.size else curve.x[-1]), edge)
    centre = 10 ** (0.5 * (enters + leaves))
    return RangeTest(
        lrs=lrs,
        losses=curve.losses,
        smoothed_lrs=10.0**curve.at,
        smoothed=s,
        start_loss=curve.top,
        lowest_loss=low,
        steepest_lr=_steepest(curve, lowest),
        valley_low=10**enters,
        valley_high=10**leaves,
        divergence_lr=divergence,
        no_divergence=""
        if divergence is not None
        else f"up to LR {lrs[-1]:.3g} the loss did not come back to where it started; go on to a higher one.",
        low=centre / REACH,
        high=min(REACH * centre, 10**edge, float(lrs[-1])),
    )


def _back_at_top(curve: _Smoothed) -> int | None:
    """The first update at which the smoothed loss is back at its start after half of its largest fall."""
    fallen = curve.top - np.minimum.accumulate(curve.smoothed)
    lost = (curve.smoothed >= curve.top) & (fallen >= 0.5 * fallen.max()) & (fallen > CLEAR * curve.deviation)
    found = np.flatnonzero(lost[curve.window :])
    return curve.window + int(found[0]) if found.size else None


def _fault(curve: _Smoothed, fall: float, *, exploded: bool) -> str | None:
    """Why there is no valley to read."""
    first, last = 10 ** curve.x[0], 10 ** curve.x[-1]
    clear = CLEAR * curve.deviation
    if fall > clear and fall > 1e-9 * abs(curve.top):
        return None
    if exploded or curve.smoothed[-1] > curve.top + clear:
        return (
            f"the loss rose without having fallen clearly below its start ({curve.top:.4g}): LR {first:.3g} is too "
            "high to start from, or too few updates lie below the divergence; start lower, or take more steps."
        )
    return (
        f"the loss never moved clearly from its start ({curve.top:.4g}) up to LR {last:.3g}; "
        "go on to a higher LR, or take more steps."
    )


def _steepest(curve: _Smoothed, lowest: int) -> float:
    """LR of the fastest fall per decade over a window on both sides, before the lowest loss."""
    s, at = curve.smoothed, curve.at
    w = min(curve.window, (s.size - 2) // 2)  # a sweep that exploded early is short
    last = min(max(lowest - w, w + 1), s.size - w)
    middle = np.arange(w, last)
    slopes = (s[middle + w] - s[middle - w]) / (at[middle + w] - at[middle - w])
    return float(10 ** at[middle[np.argmin(slopes)]])


def _divergence(curve: _Smoothed, *, low: float, fall: float, back: int | None, exploded: bool) -> float | None:
    """The edge of stability from the growth of the excess, see the module; None when nothing diverged."""
    last = curve.x.size - 1
    if back is None and not exploded:
        return None
    end = last if back is None else back
    excess = curve.losses - min(low, float(curve.losses[: end + 1].min()))
    start = int(np.flatnonzero(excess[: end + 1] <= LOST * fall)[-1])
    while end < last and excess[end + 1] >= 2 * excess[end] and excess[end] < 1e6 * fall:
        end += 1
    if end - start >= 4:
        start += 1  # the step out of the valley starts from noise; it counts only where there are few
    before, after = excess[start:end], excess[start + 1 : end + 1]
    grown = (before > 0) & (after > 0)
    if not grown.any():
        return float(10 ** curve.x[start])  # from the valley to infinity within one update
    edges = curve.x[start:end][grown] + np.log10(2.0 / (1.0 + np.sqrt(after[grown] / before[grown])))
    return float(10 ** np.median(edges))
