"""The functional law with one LR power in time and one in noise, for runs whose LR goes up and down.

:mod:`autosched.laws.functional` states the LR as a share of the run's peak and gives the peak powers of its own. For a
run whose LR is chosen stage by stage the peak is an accident of one stage: were it to change, so would the intrinsic
time of all that lies before. Tied as in the paper (Li et al. 2025, arXiv:2509.19189) both powers are of the LR itself::

    noise_peak_power = noise_power,  time_peak_power = time_power

and the loss is a function of the LR path, wherever its highest point lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autosched.curves.curve import Curve
from autosched.laws.form import Asked
from autosched.laws.functional import FunctionalForm, FunctionalLaw, IntrinsicPath
from autosched.laws.robust import Prior
from autosched.schedules.schedule import FloatArray

_FREE = ("floor", "scale", "exponent", "noise", "noise_power", "time_power", "speed", "saturation")
_OF_FREE = (0, 1, 2, 3, 4, 4, 5, 5, 6, 7)  # for each of the ten, which of the eight it is
_SPREAD: FloatArray = np.eye(len(_FREE))[list(_OF_FREE)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedFunctionalForm:
    """How the tied law is fitted; satisfies :class:`autosched.laws.form.LawForm`.

    Attributes:
        whole: the form with all ten parameters.
    """

    whole: FunctionalForm
    name: str = "tied functional"
    fields: tuple[str, ...] = _FREE
    linear: tuple[int, ...] = (0, 1, 3)

    def prepare(self, asked: Asked) -> IntrinsicPath:
        """The schedules cut into pieces."""
        return self.whole.prepare(asked)

    def losses(self, prepared: IntrinsicPath, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses (n,) and derivatives by the eight logs, (n, 8)."""
        losses, jacobian = self.whole.losses(prepared, _SPREAD @ x)
        return losses, jacobian @ _SPREAD

    def means(self, prepared: IntrinsicPath, x: FloatArray) -> FloatArray:
        """Losses (n,) alone."""
        return self.whole.means(prepared, _SPREAD @ x)

    def belief(self, curves: Sequence[Curve]) -> Prior:
        """The untied law's, of which tied powers take the one inside a run."""
        belief = self.whole.belief(curves)
        first = [_OF_FREE.index(free) for free in range(len(_FREE))]
        return Prior(mean=belief.mean[first], sd=belief.sd[first])

    def starts(self, belief: Prior) -> Sequence[FloatArray]:
        """Three exponents."""
        return self.whole.starts(belief)

    def law(self, x: FloatArray) -> FunctionalLaw:
        """The law behind its logs."""
        return self.whole.law(_SPREAD @ x)
