"""The families by name, and the one way from a name and parameters to a `Schedule`."""

from __future__ import annotations

from collections.abc import Mapping

from autosched.errors import ScheduleError
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT
from autosched.schedules.constant import CONSTANT
from autosched.schedules.cosine_power import COSINE_POWER
from autosched.schedules.cyclic import CYCLIC
from autosched.schedules.cyclic_tradeoff import CYCLIC_TRADEOFF
from autosched.schedules.decays import COSINE, EXPONENTIAL, LINEAR, POLYNOMIAL
from autosched.schedules.expression import EXPRESSION
from autosched.schedules.family import Family
from autosched.schedules.infinite import INFINITE
from autosched.schedules.inverse_sqrt import INVERSE_SQRT
from autosched.schedules.one_cycle import ONE_CYCLE
from autosched.schedules.pieces import Pieces
from autosched.schedules.piecewise import PIECEWISE
from autosched.schedules.power import POWER
from autosched.schedules.recipes.language_models import (
    DEEPSEEK_LLM,
    DEEPSEEK_V3,
    MINICPM,
    NANOGPT,
    OLMO,
    TORCHTITAN_WSD,
)
from autosched.schedules.recipes.large_runs import DEEPSPEED, MEGATRON, NEMO
from autosched.schedules.recipes.libraries import (
    HF_COSINE_WARMUP_WITH_MIN_LR,
    HF_COSINE_WITH_MIN_LR,
    KERAS_COSINE,
    KERAS_EXPONENTIAL,
    TIMM_COSINE,
    TIMM_STEP,
)
from autosched.schedules.reuse import REUSE
from autosched.schedules.rewarm import REWARM
from autosched.schedules.rex import REX
from autosched.schedules.schedule import ParameterValue, Schedule, check_updates
from autosched.schedules.seesaw import SEESAW
from autosched.schedules.spline import SPLINE
from autosched.schedules.stages import STEP_DECAY, TWO_STAGE
from autosched.schedules.table import TABLE
from autosched.schedules.uba import UBA
from autosched.schedules.warm_restarts import WARM_RESTARTS
from autosched.schedules.wsd import WSD
from autosched.schedules.wsd_s import WSD_S


def family_names() -> tuple[str, ...]:
    """Names of all families, recipes included.

    Example:
        >>> family_names()[:3]
        ('constant', 'linear', 'cosine')
    """
    return tuple(FAMILIES)


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes: families that are the schedule of a training code.

    Example:
        >>> recipe_names()[:3]
        ('nanogpt', 'torchtitan-wsd', 'olmo')
    """
    return tuple(name for name, family in FAMILIES.items() if family.recipe)


def get_family(name: str) -> Family:
    """The family or recipe of this name.

    Raises:
        ScheduleError: there is none; the text lists those there are.

    Example:
        >>> get_family("wsd").parameters["cooldown_fraction"].rule
        'in (0, 1]'
    """
    try:
        return FAMILIES[name]
    except (KeyError, TypeError):
        raise ScheduleError(f"family must be one of {', '.join(FAMILIES)}, but got {name!r}.") from None


def build(family: str, params: Mapping[str, ParameterValue], *, steps: int) -> Schedule:
    """The schedule of a family with these parameters.

    Args:
        family: one of :func:`family_names`.
        params: the family's parameters; those with a default may be left out.
        steps: number of updates, >= 1.

    Returns:
        A schedule that carries the family's name and all its parameters, defaults included, so that
        ``build(s.family, s.params, steps=s.steps) == s``.

    Raises:
        ScheduleError: no such family, no such parameter, one missing or not allowed, or a warmup as long as the run.

    Example:
        >>> schedule = build("wsd", {"peak_lr": 0.1, "warmup_steps": 2, "cooldown_fraction": 0.5}, steps=8)
        >>> schedule.lrs.tolist()
        [0.05, 0.1, 0.1, 0.1, 0.1, 0.07500000000000001, 0.05, 0.025]
        >>> schedule.params["cooldown_shape"]
        'linear'
    """
    chosen = get_family(family)
    check_updates(steps)
    complete = chosen.complete(params, steps=steps)
    made = Schedule.of_pieces(Pieces.of(chosen.pieces(complete, steps)), family, complete)
    doubles: list[float] = [] if chosen.ramp is None else list(chosen.ramp(complete, steps))
    return made.beside({DOUBLE_BATCH_AT: doubles} if doubles else {})


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        CONSTANT,
        LINEAR,
        COSINE,
        WSD,
        POLYNOMIAL,
        EXPONENTIAL,
        INVERSE_SQRT,
        STEP_DECAY,
        SEESAW,
        TWO_STAGE,
        ONE_CYCLE,
        CYCLIC,
        WARM_RESTARTS,
        REX,
        UBA,
        COSINE_POWER,
        POWER,
        WSD_S,
        INFINITE,
        CYCLIC_TRADEOFF,
        REWARM,
        REUSE,
        SPLINE,
        PIECEWISE,
        EXPRESSION,
        TABLE,
        NANOGPT,
        TORCHTITAN_WSD,
        OLMO,
        DEEPSEEK_V3,
        DEEPSEEK_LLM,
        MINICPM,
        MEGATRON,
        NEMO,
        DEEPSPEED,
        TIMM_COSINE,
        TIMM_STEP,
        HF_COSINE_WITH_MIN_LR,
        HF_COSINE_WARMUP_WITH_MIN_LR,
        KERAS_COSINE,
        KERAS_EXPONENTIAL,
    )
}
