"""AdaMod: Adam whose step for each weight stays under its own average so far."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from torch import nn

from autosched.trainer import number, pair, positive
from workers.optimizers.method import Method
from workers.optimizers.packaged import PACKAGE, Packaged
from workers.optimizers.updates import Updates, Usual


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaModOptions:
    """Options of ``adamod``, with the published defaults, which are not the package's.

    Attributes:
        betas: memories of the two moments.
        beta3: memory of the steps.
        eps: added to the root of the second moment.
        weight_decay: decoupled; default: the trainer's.
    """

    betas: Annotated[tuple[float, float], pair(number(0.0, 1.0))] = (0.9, 0.999)
    beta3: Annotated[float, number(0.0, 1.0)] = 0.999
    eps: Annotated[float, positive()] = 1e-8
    weight_decay: Annotated[float | None, number(0.0)] = None


def adamod(model: nn.Module, usual: Usual, options: AdaModOptions) -> Updates:
    """AdaMod (Ding et al. 2019, arXiv:1910.12249); the schedule's LR is its LR."""
    method, given = Packaged(name="adamod").method("adamod"), asdict(options)
    betas = (*given.pop("betas"), given.pop("beta3"))
    return method.make(model, usual, method.options(betas=betas, **given))


ADAMOD = Method(make=adamod, options=AdaModOptions, package=PACKAGE)
