"""From ``optimizer: prodigy`` in a space file to what updates the weights; the one list of names.

```yaml
trainer: {use: gpt, with: {optimizer: prodigy}}
trainer: {use: gpt, with: {optimizer: {use: prodigy, with: {d_coef: 0.5}}}}
```
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from autosched.errors import UsageError
from autosched.trainer import Rule, read_record
from workers.optimizers import adamod, dog, hypergradient, plain, polyak, prodigy, schedule_free, tempbalance, volsched
from workers.optimizers.method import Method
from workers.optimizers.updates import Updates, Usual

METHODS: Mapping[str, Method] = {
    "adamw": plain.ADAMW,
    "sgd": plain.SGD,
    "radam": plain.RADAM,
    "adamod": adamod.ADAMOD,
    "schedulefree": schedule_free.SCHEDULE_FREE,
    "prodigy": prodigy.PRODIGY,
    "dadaptation": prodigy.DADAPTATION,
    "dog": dog.DOG,
    "ldog": dog.LDOG,
    "polyak": polyak.POLYAK,
    "hypergradient": hypergradient.HYPERGRADIENT,
    "fedhyper": hypergradient.FEDHYPER,
    "volsched": volsched.VOLSCHED,
    "tempbalance": tempbalance.TEMPBALANCE,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An optimizer by name, with its own options read.

    Attributes:
        name: of :data:`METHODS`.
        options: the method's record.
    """

    name: str
    options: Any

    def make(self, model: nn.Module, usual: Usual) -> Updates:
        """The optimizer of a model that is on its device."""
        return METHODS[self.name].make(model, usual, self.options)

    def configuration(self) -> Any:
        """JSON data that tells this choice from others: the name where there are no options."""
        options = asdict(self.options)
        return {"use": self.name, "with": options} if options else self.name


ADAMW = Choice("adamw", plain.ADAMW.options())


def optimizer() -> Rule:
    """The rule of a trainer's option ``optimizer``: a name, or a name with options."""
    return Rule(f"one of {', '.join(METHODS)}, or {{use: NAME, with: {{…}}}}", read_choice)


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
    if not isinstance(name, str) or name not in METHODS or not isinstance(options, Mapping):
        return None
    method = METHODS[name]
    if method.package is not None and importlib.util.find_spec(method.package) is None:
        raise UsageError(
            f"optimizer {name}: the package {method.package} is not installed; pip install 'autosched[baselines]'."
        )
    return Choice(name, read_record(method.options, options, of=f"optimizer {name}"))
