"""The warmups: how the first W updates rise to the LR of the first update after them.

name      meaning                                                       shape   unit
W         ``warmup_steps``; 0 is no warmup                              -       updates
i         update 0..W-1                                                 -       updates
rise      LR over the LR of update W                                    (W,)    -

With r = ``warmup_start_ratio``, k = ``warmup_time_constants``, beta2 = ``warmup_beta2``::

    linear        rise[i] = (i + 1) / W                              the first update already trains
    ramp          rise[i] = r + (1 - r) * i / W                      update W is the first with the full LR
    logarithmic   rise[i] = r + (1 - r) * log(i + 1) / log(W)        the last update of the warmup has the full LR
    exponential   rise[i] = (1 - exp(-k (i+1) / W)) / (1 - exp(-k))
    radam         rise[i] = rect(i + 1) / rect(W)

* ``linear``: Goyal et al. 2017, arXiv:1706.02677; counted as in Schedule-Free and in AutoLRS.
* ``ramp``: how transformers (r = 0) and optax (r = init_value / peak_value) count a linear warmup.
* ``logarithmic``: DeepSpeed's ``warmup_type: log`` (``deepspeed/runtime/lr_schedules.py``, ``WarmupLR``), r =
  ``warmup_min_ratio``.
* ``exponential``: Ma and Yarats 2019, arXiv:1910.04209, ``1 - exp(-t / tau)`` with t = i + 1. The warmup ends after k
  time constants, ``W = k * tau``, and is divided by what it has reached there, ``1 - exp(-k)`` (0.993 for k = 5), so
  that it ends at 1. Their untuned warmup has ``tau = 1 / (1 - beta2)``, so ``W = k / (1 - beta2)``.
* ``radam``: the variance rectification of Liu et al. 2019, arXiv:1908.03265, with t = i + 1::

      rho_inf = 2 / (1 - beta2) - 1
      rho(t)  = rho_inf - 2 t beta2**t / (1 - beta2**t)
      rect(t) = sqrt((rho(t) - 4) (rho(t) - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho(t))),  0 where rho(t) <= 4

  RAdam rectifies for ever and tends to 1; here the first `W` updates do, divided by what is reached at their end, so
  that the join is continuous. For beta2 = 0.999 rect is 0.83 after 2 / (1 - beta2) updates and 0.99 after three times
  as many. The first updates (4 of them for beta2 = 0.999), whose variance is not tractable, have an LR of 0: they only
  fill the optimizer's moments.

Example:
    >>> i = np.arange(4.0)
    >>> WARMUP.rise({"warmup_steps": 4}, 4)(i).tolist()
    [0.25, 0.5, 0.75, 1.0]
    >>> WARMUP.rise({"warmup_steps": 4, "warmup_shape": "ramp", "warmup_start_ratio": 0.2}, 4)(i).tolist()
    [0.2, 0.4, 0.6000000000000001, 0.8]
"""

from __future__ import annotations

import math

import numpy as np

from autosched.schedules.elementary import expm1, log, where
from autosched.schedules.parameter import Parameter, Params, choice_of, float_of, int_of
from autosched.schedules.parts import Warmup, linear_rise
from autosched.schedules.pieces import Curve
from autosched.schedules.progress import Real
from autosched.schedules.schedule import FloatArray


def rise(params: Params, updates: int) -> Curve:
    """LR over the LR of the first update after the warmup; see the module's formulas."""
    shape = choice_of(params, WARMUP_SHAPE)
    if shape == "ramp":
        return ramp(updates, float_of(params, "warmup_start_ratio"))
    if shape == "logarithmic":
        return logarithmic(updates, float_of(params, "warmup_start_ratio"))
    if shape == "exponential":
        return exponential(updates, float_of(params, "warmup_time_constants"))
    if shape == "radam":
        return radam(updates, float_of(params, "warmup_beta2"))
    return linear_rise(params, updates)


def ramp(updates: int, start_ratio: float) -> Curve:
    """``start_ratio + (1 - start_ratio) * i / updates``."""
    return lambda i: start_ratio + (1 - start_ratio) * i / updates


def logarithmic(updates: int, start_ratio: float) -> Curve:
    """``start_ratio + (1 - start_ratio) * log(i + 1) / log(updates)``; of one update, `start_ratio`."""
    scale = (1 - start_ratio) / float(log(max(updates, 2)))
    return lambda i: np.minimum(start_ratio + scale * log(i + 1), 1.0)


def exponential(updates: int, time_constants: float) -> Curve:
    """``(1 - exp(-k (i + 1) / W)) / (1 - exp(-k))``, by ``expm1``, which loses no digits for a small k."""
    whole = float(expm1(-time_constants))
    return lambda i: np.minimum(expm1(-time_constants * ((i + 1) / updates)) / whole, 1.0)


def rectification(t: Real, beta2: float) -> Real:
    """RAdam's ``rect(t)`` for t = 1, 2, ...

    ``beta2**t / (1 - beta2**t)`` is written ``1 / expm1(-t log(beta2))``: for beta2 near 1 the other form has no digits
    left for the first t.

    Example:
        >>> rectification(np.arange(1.0, 7.0), 0.999).round(4).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0173, 0.0258]
    """
    rho_inf = 2 / (1 - beta2) - 1
    # long after the warmup, rho is rho_inf
    rho = rho_inf - 2 * t / expm1(np.minimum(-math.log(beta2) * t, 700.0))
    squared = (rho - 4) * (rho - 2) / rho * (rho_inf / ((rho_inf - 4) * (rho_inf - 2)))
    return where(rho > 4, np.sqrt(np.abs(squared)), 0.0)


def radam(updates: int, beta2: float) -> Curve:
    """``rect(i + 1) / rect(updates)``; 0 throughout when `updates` does not reach the first rectified update."""
    last = float(rectification(np.float64(updates), beta2))
    return lambda i: np.minimum(rectification(i + 1, beta2) / (last or 1.0), 1.0)


def rectified(updates: int, beta2: float) -> FloatArray:
    """``rect(t)`` for t = 1..updates, shape (updates,)."""
    return np.asarray(rectification(np.arange(1, updates + 1, dtype=np.float64), beta2))


def first_rectified(beta2: float) -> int:
    """The first t with ``rho(t) > 4``: the shortest RAdam warmup.

    Example:
        >>> first_rectified(0.999), first_rectified(0.7)
        (5, 6)
    """
    updates = 8
    while not (rect := rectified(updates, beta2)).any():
        updates *= 2
    return int(np.flatnonzero(rect)[0]) + 1


def _fault(params: Params, steps: int) -> str | None:
    updates = int_of(params, "warmup_steps")
    if updates == 0 or choice_of(params, WARMUP_SHAPE) != "radam":
        return None
    beta2 = float_of(params, "warmup_beta2")
    least = first_rectified(beta2)
    if updates >= least:
        return None
    return f"warmup_steps must be 0 or >= {least} for a radam warmup with warmup_beta2 {beta2:g}, but got {updates}."


WARMUP_STEPS = Parameter(
    name="warmup_steps", kind="integer", meaning="updates of the warmup", unit="updates", low=0, default=0
)
WARMUP_SHAPE = Parameter(
    name="warmup_shape",
    kind="choice",
    meaning="shape of the warmup",
    choices=("linear", "ramp", "logarithmic", "exponential", "radam"),
    default="linear",
    implied=True,
    search_choices=(),
)
WARMUP_START_RATIO = Parameter(
    name="warmup_start_ratio",
    kind="float",
    meaning="LR of the first update as a share of the LR the warmup rises to",
    low=0,
    high=1,
    default=0.0,
    when={"warmup_shape": ("ramp", "logarithmic")},
)
WARMUP_TIME_CONSTANTS = Parameter(
    name="warmup_time_constants",
    kind="float",
    meaning="length of the exponential warmup over its time constant",
    low=0.01,
    high=100,
    default=5.0,
    when={"warmup_shape": ("exponential",)},
)
WARMUP_BETA2 = Parameter(
    name="warmup_beta2",
    kind="float",
    meaning="decay of the second moment that RAdam's rectification assumes",
    low=0.7,  # rho_inf > 4, that is any rectification at all, takes more than 0.6
    high=0.999999,
    default=0.999,
    when={"warmup_shape": ("radam",)},
)
WARMUP = Warmup(
    parameters=(WARMUP_STEPS, WARMUP_SHAPE, WARMUP_START_RATIO, WARMUP_TIME_CONSTANTS, WARMUP_BETA2),
    steps=lambda params: int_of(params, "warmup_steps"),
    rise=rise,
    fault=_fault,
)
