"""The schedule families for a person, a machine and a page: all of them, or one with its parameters."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from autosched.schedules.cooldowns import OPTIONAL_COOLDOWN
from autosched.schedules.family import Family
from autosched.schedules.floors import FLOOR
from autosched.schedules.parameter import Parameter
from autosched.schedules.registry import family_names, get_family
from autosched.schedules.warmups import WARMUP

COMMON: Mapping[str, Parameter] = {p.name: p for p in (*WARMUP.parameters, *OPTIONAL_COOLDOWN.parameters, *FLOOR)}
"""Parameters of the warmup, the cooldown and the floor that go with any body."""
EXPERIMENTAL = "experimental: its source could not be read"
WIDTH = 118
"""Characters of a line in a terminal."""


def own_parameters(family: Family) -> list[Parameter]:
    """The parameters of a family but those that go with any."""
    return [parameter for parameter in family.parameters.values() if COMMON.get(parameter.name) != parameter]


# -- for a machine ----------------------------------------------------------------------------------------------------


def families_document() -> list[dict[str, Any]]:
    """All families as JSON data."""
    return [family_document(get_family(name)) for name in family_names()]


def family_document(family: Family) -> dict[str, Any]:
    """A family as JSON data."""
    return {
        "family": family.name,
        "summary": family.summary,
        "formula": family.formula,
        "source": family.source,
        "experimental": family.experimental,
        "parameters": [_parameter_document(parameter) for parameter in family.parameters.values()],
    }


def _parameter_document(parameter: Parameter) -> dict[str, Any]:
    searched: dict[str, Any] | None = None
    if parameter.search_low is not None:
        scale = "log" if parameter.search_log else "linear"
        searched = {"low": parameter.search_low, "high": parameter.search_high, "scale": scale}
    elif parameter.searched_choices:
        searched = {"choices": list(parameter.searched_choices)}
    return {
        "name": parameter.name,
        "kind": parameter.kind,
        "meaning": parameter.meaning,
        "unit": parameter.unit,
        "allowed": parameter.rule,
        "default": parameter.default,
        "search": searched,
        "when": {name: list(values) for name, values in parameter.when.items()},
    }


# -- for a person -----------------------------------------------------------------------------------------------------


def families_lines() -> list[str]:
    """All families: name, summary, own parameters with defaults and the bounds searched by name, source."""
    lines: list[str] = []
    for name in family_names():
        family = get_family(name)
        mark = f"  ({EXPERIMENTAL})" if family.experimental else ""
        own = ", ".join(_words(own_parameters(family), bounds=True))
        lines += [f"{name}: {family.summary}{mark}", *_wrapped(own, 4), f"    {family.source}"]
    return [
        *lines,
        "",
        "and, but for table and the recipes, any warmup, any cooldown and any floor:",
        *_wrapped(", ".join(_words(COMMON.values(), bounds=False)), 4),
        "",
        "In brackets: what a space that lists the family by name searches. `autosched schedules NAME` explains one.",
    ]


def family_lines(family: Family) -> list[str]:
    """One family: summary, formula, source; and what each parameter means, may be, is by default, is searched in."""
    lines = [f"{family.name}: {family.summary}", f"  formula  {family.formula}", f"  source   {family.source}"]
    if family.experimental:
        lines.append(f"  {EXPERIMENTAL}")
    own = own_parameters(family)
    common = [parameter for parameter in family.parameters.values() if parameter not in own]
    lines += ["", *_explained(own)]
    return [*lines, "", "of any warmup, cooldown and floor:", *_explained(common)] if common else lines


def _explained(parameters: Iterable[Parameter]) -> list[str]:
    lines: list[str] = []
    for name, first in _grouped(parameters):
        default = "required" if first.default is None else f"default {_value(first.default)}"
        search = f"; searched {bounds_of(first)}" if bounds_of(first) else ""
        conditions = " and ".join(f"{other} is {_these(values)}" for other, values in first.when.items())
        unit = f" [{first.unit}]" if first.unit else ""
        only = f"; only if {conditions}" if conditions and name == first.name else ""
        lines += _wrapped(f"{name}: {first.rule}; {default}{search}", 2)
        lines += _wrapped(f"{first.meaning}{unit}{only}", 6)
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)


def _words(parameters: Iterable[Parameter], *, bounds: bool) -> list[str]:
    """Parameters with defaults and, in brackets, search bounds: ``knot_1..knot_12=0.5 [0.02 to 1, log]``."""
    words = []
    for name, first in _grouped(parameters):
        default = "" if first.default is None else f"={_value(first.default)}"
        words.append(f"{name}{default}{f' [{bounds_of(first)}]' if bounds and bounds_of(first) else ''}")
    return words


def _grouped(parameters: Iterable[Parameter]) -> list[tuple[str, Parameter]]:
    """Names and parameters; those that differ in a number at the end only are one, named by the first and the last."""
    groups: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.name.rstrip("0123456789"), []).append(parameter)
    return [
        (group[0].name if len(group) == 1 else f"{group[0].name}..{group[-1].name}", group[0])
        for group in groups.values()
    ]


def bounds_of(parameter: Parameter) -> str:
    """What a space that lists the family by name searches; empty where it takes the default."""
    if parameter.search_low is not None and parameter.search_high is not None:
        scale = ", log" if parameter.search_log else ""
        return f"{parameter.search_low:g} to {parameter.search_high:g}{scale}"
    return ", ".join(parameter.searched_choices)


def _these(values: tuple[Any, ...]) -> str:
    """``linear, sqrt or power``; runs of whole numbers as ``3 to 12``."""
    if len(values) > 2 and all(isinstance(value, int) for value in values):
        return f"{values[0]} to {values[-1]}"
    words = [_value(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- for a page -------------------------------------------------------------------------------------------------------


def families_markdown(*, recipes: bool = False) -> str:
    """Families, or the recipes, as a Markdown table: name, what it is, formula, own parameters, source."""
    head = ("recipe", "LR at update t") if recipes else ("family", "LR after the warmup")
    lines = [f"| {head[0]} | what it is | {head[1]} | parameters | source |", "|---|---|---|---|---|"]
    for name in family_names():
        family = get_family(name)
        if family.recipe != recipes:
            continue
        mark = f" **({EXPERIMENTAL})**" if family.experimental else ""
        parameters = f"`{', '.join(_words(own_parameters(family), bounds=False))}`"
        cells = [f"`{name}`", family.summary + mark, f"`{family.formula}`", parameters, family.source]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"
