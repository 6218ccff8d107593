"""The kinds of law by name.

The continual-pretraining law is not among the forms built from curves alone: it needs to know where the data changes,
see :class:`autosched.laws.continual.ContinualForm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.annealing import AnnealingForm, AnnealingLaw
from autosched.laws.continual import ContinualLaw
from autosched.laws.convex_law import ConvexForm, ConvexLaw
from autosched.laws.exponential import ExponentialForm, ExponentialLaw
from autosched.laws.form import LawForm
from autosched.laws.functional import FunctionalForm, FunctionalLaw, Units
from autosched.laws.multi_power import MultiPowerForm, MultiPowerLaw
from autosched.laws.power import PowerForm, PowerLaw
from autosched.laws.protocol import LossLaw


def form_names() -> tuple[str, ...]:
    """Names of the kinds of law that can be fitted to curves alone.

    Example:
        >>> form_names()
        ('functional', 'multi_power', 'annealing', 'convex_bound', 'exponential', 'power')
    """
    return tuple(FORMS)


def form_for(name: str, curves: Sequence[Curve]) -> LawForm[Any]:
    """A kind of law, bound to the units of the curves it will be fitted to.

    Raises:
        UsageError: there is none of this name; the text lists those there are.
    """
    try:
        bind = FORMS[name]
    except (KeyError, TypeError):
        raise UsageError(f"law must be one of {', '.join(FORMS)}, but got {name!r}.") from None
    return bind(curves)


FORMS: Mapping[str, Callable[[Sequence[Curve]], LawForm[Any]]] = {
    FunctionalLaw.name: lambda curves: FunctionalForm(units=Units.of([curve.schedule for curve in curves])),
    MultiPowerLaw.name: lambda _: MultiPowerForm(),
    AnnealingLaw.name: lambda _: AnnealingForm(),
    ConvexLaw.name: lambda _: ConvexForm(),
    ExponentialLaw.name: lambda _: ExponentialForm(),
    PowerLaw.name: lambda _: PowerForm(),
}

LAWS: Mapping[str, type[LossLaw]] = {
    law.name: law
    for law in (
        FunctionalLaw,
        MultiPowerLaw,
        AnnealingLaw,
        ConvexLaw,
        ExponentialLaw,
        PowerLaw,
        ContinualLaw,
    )
}
