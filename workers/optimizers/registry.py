"""From ``optimizer: prodigy`` in a space file to what updates the weights; the one list of names.

```yaml
trainer: {use: gpt, with: {optimizer: soap}}
trainer: {use: gpt, with: {optimizer: {use: prodigy, with: {d_coef: 0.5}}}}
```
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from torch import nn

from autosched.errors import UsageError
from autosched.trainer import Rule, number, positive, read_record
from workers.optimizers import adamod, dog, hypergradient, plain, polyak, tempbalance, volsched
from workers.optimizers.method import Method
from workers.optimizers.packaged import PACKAGE, Packaged
from workers.optimizers.updates import Updates, Usual

METHODS: Mapping[str, Method] = {
    "adamw": plain.ADAMW,
    "sgd": plain.SGD,
    "radam": plain.RADAM,
    "adamod": adamod.ADAMOD,
    "dog": dog.DOG,
    "ldog": dog.LDOG,
    "polyak": polyak.POLYAK,
    "hypergradient": hypergradient.HYPERGRADIENT,
    "fedhyper": hypergradient.FEDHYPER,
    "volsched": volsched.VOLSCHED,
    "tempbalance": tempbalance.TEMPBALANCE,
}
"""Ours, and torch's."""
BIAS = {"bias_correction": "use_bias_correction"}
DISTANCE = {"d0": positive(), "d_coef": positive(), "growth_rate": number(1.0)}
PACKAGED: Mapping[str, Packaged] = {
    "schedulefree": Packaged(
        name="schedulefreeadamw",
        fixed={"warmup_steps": 0},  # the schedule's affair
        rules={"r": number(0.0), "weight_lr_power": number(0.0)},
    ),
    "prodigy": Packaged(name="prodigy", renamed=BIAS, rules=DISTANCE),
    "dadaptation": Packaged(name="dadaptadam", renamed=BIAS, rules=DISTANCE),
    "adafactor": Packaged(name="adafactor", fixed={"relative_step": False, "warmup_init": False}),
}
"""Optimizers of the package that have other names or options here than there."""
REFUSED: Mapping[str, str] = {
    name: reason
    for reason, names in {
        "it evaluates the loss anew within an update": "alig bsam",
        "it needs second derivatives": "adahessian sophiah",
        "it updates weights while gradients are still computed": "lomo adalomo",
        "it chooses its LRs by itself, and the schedule would do nothing": "a2grad ranger21",
        "it moves weights, or divides by 0, at an LR of 0": "adago apollodqn asgd ftrl gravity nero splus srmm",
        "it is AdamW until it is told which weights it should project": "apollo fira galore",
        "it is for some kinds of weights only": "alice lorarite spectralsphere",
        "it is for training in several processes": "demo distributedmuon",
        "it draws from the process's own random numbers": "kron sara",
        "it keeps objects, which no checkpoint that is read safely can hold": "adashift conda scalableshampoo",
        "it counts updates where its state dict does not say so": "spam stablespam",
        "what it keeps changes its kind during a run": "dadaptadan",
        "it is a wrapper of other optimizers": "magma",
    }.items()
    for name in names.split()
}
"""Why some of the package's are not offered."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An optimizer by name, with its own options read.

    Attributes:
        name: one that :func:`method` knows.
        options: the method's record.
    """

    name: str
    options: Any

    def make(self, model: nn.Module, usual: Usual) -> Updates:
        """The optimizer of a model that is on its device."""
        found = method(self.name)
        assert found is not None  # noqa: S101 - it was when the name was read
        return found.make(model, usual, self.options)

    @property
    def takes_groups(self) -> bool:
        """Whether groups of weights may have LRs of their own."""
        found = method(self.name)
        return found is not None and found.takes_groups

    def configuration(self) -> Any:
        """JSON data that tells this choice from others: the name where there are no options."""
        options = asdict(self.options)
        return {"use": self.name, "with": options} if options else self.name


ADAMW = Choice("adamw", plain.ADAMW.options())


def optimizer() -> Rule:
    """The rule of a trainer's option ``optimizer``: a name, or a name with options."""
    names = ", ".join([*METHODS, *PACKAGED])
    return Rule(
        f"one of {names}, another one of docs/reference/optimizers.md, or {{use: NAME, with: {{…}}}}", read_choice
    )


def read_choice(value: Any) -> Choice | None:
    """Read a name, or ``{use: NAME, with: {…}}``; None where it is neither.

    Raises:
        UsageError: a faulty option of the method, or its package is not there.
    """
    if isinstance(value, Choice):
        return value
    if isinstance(value, str):
        value = {"use": value}
    if not isinstance(value, Mapping) or "use" not in value or not value.keys() <= {"use", "with"}:
        return None
    name, options = value["use"], value.get("with", {})
    found = method(name) if isinstance(name, str) and isinstance(options, Mapping) else None
    return None if found is None else Choice(name, read_record(found.options, options, of=f"optimizer {name}"))


def method(name: str) -> Method | None:
    """The method of this name; None where there is none.

    Raises:
        UsageError: its package is not there, or has it and it is not offered.
    """
    found = METHODS.get(name)
    package = PACKAGE if found is None else found.package
    if package is not None and importlib.util.find_spec(package) is None:
        raise UsageError(
            f"optimizer {name}: the package {package} is not installed; pip install 'autosched[baselines]'."
        )
    return found or _packaged(name)


@cache
def _packaged(name: str) -> Method | None:
    if name in REFUSED:
        raise UsageError(f"optimizer {name}: not offered, because {REFUSED[name]}.")
    if name not in packaged_names():
        return None
    return PACKAGED.get(name, Packaged(name=name)).method(name)


@cache
def packaged_names() -> tuple[str, ...]:
    """Names of all optimizers that come from the package ``pytorch-optimizer``."""
    from pytorch_optimizer import get_supported_optimizers, load_optimizer

    own = {name for name in get_supported_optimizers() if load_optimizer(name).__module__.startswith(PACKAGE)}
    return tuple(sorted({*PACKAGED, *own} - {*METHODS, *REFUSED}))
