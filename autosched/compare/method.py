"""Which ways to search are compared: a controller with a pruner, and whatever else a way changes in the space."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autosched.errors import UsageError
from autosched.space import names
from autosched.space.records import Component, Space
from autosched.space.section import closest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,47}")
RESERVED: Mapping[str, str] = {
    "study": "studies are named after method and seed",
    "seed": "the seeds are 0 to --seeds - 1",
    "budget": "use --full-runs or --algoperf",
    "confirm": "use --fresh-seeds",
    "storage": "use --out",
    "tracking": "studies of a comparison are not tracked",
}
"""What a comparison sets itself, by the top-level key of the space, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to search.

    Attributes:
        name: as in the table, e.g. ``tpe+law``.
        controller, pruner: with their options.
        overrides: further changes of the space, ``key.path=value``: a trainer's option, another schedule.
    """

    name: str
    controller: Component
    pruner: Component
    overrides: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """The name as part of a study's name, which has no plus sign."""
        return self.name.replace("+", "-")


def parse_methods(listed: str | None, variants: Sequence[str], space: Space) -> tuple[Method, ...]:
    """The methods that a command line asks for.

    Args:
        listed: ``tpe+law,random+none``; a controller alone has the space's own pruner. The space's own controller and
            pruner keep their options, others have none. None stands for :func:`usual_methods`, or for nothing when
            there are variants.
        variants: ``NAME=CONTROLLER+PRUNER KEY=VALUE …``, quoted as in a shell.

    Raises:
        UsageError: an unknown controller or pruner, a name that cannot be one, a name twice, or nothing at all.
    """
    texts = listed.split(",") if listed is not None else [] if variants else usual_methods(space)
    methods = [parse_method(text.strip(), space) for text in texts]
    methods += [_variant(text, space) for text in variants]
    taken: set[str] = set()
    for method in methods:
        if method.slug in taken:
            raise UsageError(f"the method {method.name!r} is given twice; give each a name of its own.")
        taken.add(method.slug)
    return tuple(methods)


def usual_methods(space: Space) -> list[str]:
    """What is compared unless somebody says otherwise: the space's own method, and what it must beat."""
    own = f"{space.controller.name}+{space.pruner.name}"
    return list(dict.fromkeys([own, "tpe+none", "random+none", "random+asha"]))


def parse_method(text: str, space: Space) -> Method:
    """One method from ``CONTROLLER`` or ``CONTROLLER+PRUNER``; see :func:`parse_methods`."""
    controller, plus, pruner = text.partition("+")
    if not plus:
        pruner = space.pruner.name
    return Method(
        name=f"{controller}+{pruner}",
        controller=_component("controller", controller, names.CONTROLLERS, space.controller, text),
        pruner=_component("pruner", pruner, names.PRUNERS, space.pruner, text),
    )


def refuse_reserved(overrides: Sequence[str], option: str) -> None:
    """Raise UsageError for an override of what a comparison sets itself."""
    for override in overrides:
        key = override.partition("=")[0].strip().partition(".")[0]
        if key in RESERVED:
            raise UsageError(f"{option} cannot change {key}: {RESERVED[key]}.")


def _component(kind: str, name: str, known: tuple[str, ...], own: Component, text: str) -> Component:
    if name not in known:
        hint = closest(name, known)
        allowed = ", ".join(known)
        raise UsageError(f"method {text!r}: its {kind} must be one of {allowed}, but got {name!r}{hint or '.'}")
    return own if own.name == name else Component(name=name)


def _variant(text: str, space: Space) -> Method:
    form = "--variant must be NAME=CONTROLLER+PRUNER KEY=VALUE …"
    try:
        first, *overrides = shlex.split(text)
    except ValueError:
        raise UsageError(f"{form}, but got {text!r}.") from None
    name, equals, method = first.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise UsageError(f"{form} with a name of letters, digits and ._+-, but got {text!r}.")
    for override in overrides:
        if "=" not in override:
            raise UsageError(f"{form}, but {override!r} in it has no value.")
    refuse_reserved(overrides, "--variant")
    base = parse_method(method, space)
    return Method(name=name, controller=base.controller, pruner=base.pruner, overrides=tuple(overrides))
