"""Optimizers of the package ``pytorch-optimizer`` by name, with the options of their constructors.

What an optimizer remembers is read off the optimizer itself: the state of each weight, and what its groups hold besides
options. A checkpoint fits where it has the structure that the same optimizer has on a copy of the same model.
"""

from __future__ import annotations

import copy
import inspect
import math
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, make_dataclass
from functools import cached_property
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from autosched.trainer import Rule, UsageError, flag, number, one_of, positive, several, text, whole
from workers.optimizers.method import Method
from workers.optimizers.updates import LR_RATIO, Updates, Usual, by_groups, restored

PACKAGE = "pytorch_optimizer"
DECAYS = ("weight_decay", "adamw_wd")
"""Options whose default is the trainer's weight decay."""
NOT_OFFERED = frozenset({"params", "model", "lr", "adamw_lr", "maximize", "foreach", "kwargs"})
"""Parameters of constructors that are the trainer's affair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """An optimizer of the package, and how it is made for a model.

    Attributes:
        name: of the class, in small letters, as the package lists it.
        fixed: arguments that are no options here.
        renamed: what options are called here, by their name in the package.
        rules: of options that the constructor takes at any value.
    """

    name: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def kind(self) -> type[torch.optim.Optimizer]:
        """The class."""
        from pytorch_optimizer import load_optimizer

        return load_optimizer(self.name)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Of the constructor."""
        return inspect.signature(self.kind).parameters

    @property
    def lr(self) -> float:
        """The constructor's own LR. The schedule's takes its place at each update."""
        return float(self.parameters["lr"].default)

    def method(self, name: str) -> Method:
        """The entry of the registry under `name`. Its record of options refuses what the constructor refuses."""
        record = [
            (self.renamed.get(option, option), Annotated[Any, rule], field(default=_default(parameter)))
            for option, parameter in self.parameters.items()
            if (rule := self._rule(parameter)) is not None
        ]
        if "adamw_lr" in self.parameters:
            ratio = self.parameters["adamw_lr"].default / self.lr
            record.append(("adamw_lr_ratio", Annotated[float, positive()], field(default=ratio)))

        def check(options: Any) -> None:
            try:
                self._optimizer(nn.Linear(2, 2), Usual(weight_decay=0.0), options)
            except Exception as error:  # constructors raise what they like
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise UsageError(f"optimizer {name}: {reason.rstrip('.')}.") from None

        options = make_dataclass("Options", record, frozen=True, namespace={"__post_init__": check})
        return Method(make=self._updates, options=options, takes_groups=True)

    def _rule(self, parameter: inspect.Parameter) -> Rule | None:
        """What an option may be; None for what is none, or what a space file cannot say."""
        if parameter.name in NOT_OFFERED or parameter.name in self.fixed:
            return None
        if parameter.name in self.rules:
            return self.rules[parameter.name]
        kinds = typing.get_args(parameter.annotation) or (parameter.annotation,)
        if typing.get_origin(parameter.annotation) is typing.Literal:
            return one_of(*kinds)
        if isinstance(parameter.default, tuple):
            return several(len(parameter.default), number())
        found = [rule() for kind, rule in ((bool, flag), (float, number), (int, whole), (str, text)) if kind in kinds]
        return found[0] if found and not callable(parameter.default) else None

    def _optimizer(self, model: nn.Module, usual: Usual, options: Any) -> torch.optim.Optimizer:
        from pytorch_optimizer.optimizer import prepare_muon_parameters

        theirs = {ours: name for name, ours in self.renamed.items()}
        given = {theirs.get(name, name): value for name, value in asdict(options).items() if value is not None}
        decays = {name: usual.weight_decay for name in DECAYS if name in self.parameters}
        arguments = {"lr": self.lr, **decays, **given, **self.fixed}
        if "adamw_lr" in self.parameters:  # Muon and its kin: matrices by one rule, all other weights by AdamW
            arguments["adamw_lr"] = self.lr * arguments.pop("adamw_lr_ratio")
            return prepare_muon_parameters(model, self.name, **arguments)
        return self.kind(model if "model" in self.parameters else model.parameters(), **arguments)

    def _updates(self, model: nn.Module, usual: Usual, options: Any) -> PackagedUpdates:
        options_of_groups = {*self.parameters, "params", "lr", LR_RATIO}
        return PackagedUpdates(
            lambda model: by_groups(self._optimizer(model, usual, options), model, usual),
            model,
            lr=self.lr,
            options=options_of_groups,
        )


def _default(parameter: inspect.Parameter) -> Any:
    """An option's default: the package's, apart from the decay, which is the trainer's, and decoupled as its own is.

    None stands for what JSON cannot say, and leaves the package its own.
    """
    if parameter.name == "weight_decouple":
        return True
    infinite = isinstance(parameter.default, float) and math.isinf(parameter.default)
    return None if parameter.name in DECAYS or infinite else parameter.default


class PackagedUpdates(Updates):
    """An optimizer whose state dict says all that the next update depends on.

    Args:
        build: makes the optimizer of a model.
        model: on its device.
        lr: the one it is built with. A group with another LR has that multiple of the schedule's from then on.
        options: what groups have from the constructor; it is the run's own, and in no file.
    """

    def __init__(
        self, build: Callable[[nn.Module], torch.optim.Optimizer], model: nn.Module, *, lr: float, options: set[str]
    ) -> None:
        super().__init__(build(model), {})
        self._build, self._model, self._lr, self._options = build, model, lr, options
        self._ratios = [group["lr"] / lr * group.get(LR_RATIO, 1.0) for group in self.optimizer.param_groups]

    def update(self, lr: float, loss: Tensor | float) -> None:
        """Do one update."""
        for group, ratio in zip(self.optimizer.param_groups, self._ratios, strict=True):
            group["lr"] = lr * ratio
        self.optimizer.step()

    @property
    def evaluates_what_it_trains(self) -> bool:
        """Not where the method has an average."""
        return not hasattr(self.optimizer, "eval")

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model holds the average, where the method has one.

        The package moves to the average and back by interpolations, which are not exact to the bit, so what is trained
        is kept aside meanwhile, and a checkpoint holds that.
        """
        if self.evaluates_what_it_trains:
            yield
            return
        with restored(self.weights):
            self.optimizer.eval()
            try:
                yield
            finally:
                self.optimizer.train()

    def moments(self) -> dict[int, dict[str, Any]]:
        """What is kept for each weight, by the weight's place."""
        return {place: kept for place, kept in super().moments().items() if kept}

    def memory(self) -> dict[str, Any]:
        """What the groups hold besides options."""
        groups = self.optimizer.state_dict()["param_groups"]
        return {"groups": [{name: group[name] for name in group if name not in self._options} for group in groups]}

    def check(self, moments: Any, memory: Any) -> None:
        """Whether these have the structure of a run that has just begun, or of one that goes on."""
        if _structure([moments, memory]) not in self._structures:
            raise ValueError("its optimizer knows other things than this one, or of other shapes")

    @cached_property
    def _structures(self) -> list[Any]:
        """On a copy of the model: before and after first updates, with LRs of 0 and above."""
        weight = self.weights[0]
        with torch.random.fork_rng(devices=[weight.device] if weight.is_cuda else []):
            torch.manual_seed(0)
            model = copy.deepcopy(self._model)
            twin = PackagedUpdates(self._build, model, lr=self._lr, options=self._options)
            found = [_structure([twin.moments(), twin.memory()])]
            for lr in (0.0, 0.0, self._lr, self._lr):
                for parameter in model.parameters():
                    parameter.grad = torch.randn_like(parameter)
                twin.update(lr, 1.0)
                found.append(_structure([twin.moments(), twin.memory()]))
        return found

    def load(self, moments: Mapping[int, Mapping[str, Any]], memory: Mapping[str, Any]) -> None:
        """Take what `moments` and `memory` gave, after a `check`."""
        device = self.weights[0].device
        groups = [
            {**{name: group[name] for name in group if name in self._options}, **_placed(kept, device)}
            for group, kept in zip(self.optimizer.state_dict()["param_groups"], memory["groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": dict(moments), "param_groups": groups})


def _structure(value: Any) -> Any:
    """What is left of a value when its numbers are not looked at: names, types, shapes."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape)
    if isinstance(value, Mapping):
        return {name: _structure(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(_structure, value)]
    return f"{type(value).__name__} below 0" if type(value) is int and value < 0 else type(value).__name__


def _placed(value: Any, device: torch.device) -> Any:
    """A copy with all tensors on `device`; checkpoints are read into main memory."""
    if isinstance(value, Tensor):
        return value.to(device, copy=True)
    if isinstance(value, Mapping):
        return {name: _placed(item, device) for name, item in value.items()}
    return type(value)(_placed(item, device) for item in value) if isinstance(value, list | tuple) else value
