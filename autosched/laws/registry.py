"""The kinds of law by name.

The continual-pretraining law is not among the families bound to curves alone: it needs to know where the data changes,
see :class:`autosched.laws.continual.ContinualFamily`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.annealing import AnnealingFamily, AnnealingLaw
from autosched.laws.baselines import ExponentialFamily, ExponentialLaw, PowerFamily, PowerLaw
from autosched.laws.continual import ContinualLaw
from autosched.laws.convex_law import ConvexFamily, ConvexLaw
from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.laws.law import LawFamily, ParametricLaw
from autosched.laws.multi_power import MultiPowerFamily, MultiPowerLaw


def family_names() -> tuple[str, ...]:
    """Names of the kinds of law that can be fitted to curves alone.

    Example:
        >>> family_names()
        ('functional', 'multi_power', 'annealing', 'convex_bound', 'exponential', 'power')
    """
    return tuple(FAMILIES)


def family_for(name: str, curves: Sequence[Curve]) -> LawFamily[Any]:
    """A kind of law, bound to the units of the curves it will be fitted to.

    Raises:
        UsageError: there is none of this name; the text lists those there are.
    """
    try:
        bind = FAMILIES[name]
    except (KeyError, TypeError):
        raise UsageError(f"law must be one of {', '.join(FAMILIES)}, but got {name!r}.") from None
    return bind(curves)


FAMILIES: Mapping[str, Callable[[Sequence[Curve]], LawFamily[Any]]] = {
    FunctionalLaw.name: lambda curves: FunctionalFamily(units=Units.of([curve.schedule for curve in curves])),
    MultiPowerLaw.name: lambda _: MultiPowerFamily(),
    AnnealingLaw.name: lambda _: AnnealingFamily(),
    ConvexLaw.name: lambda _: ConvexFamily(),
    ExponentialLaw.name: lambda _: ExponentialFamily(),
    PowerLaw.name: lambda _: PowerFamily(),
}

LAWS: Mapping[str, type[ParametricLaw]] = {
    law.name: law
    for law in (FunctionalLaw, MultiPowerLaw, AnnealingLaw, ConvexLaw, ExponentialLaw, PowerLaw, ContinualLaw)
}
