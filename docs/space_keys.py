"""The keys of a space file and the options below them, as the reader itself asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from docstrings import meaning, plain, shown, table

from autosched.search.optuna_options import Rule
from autosched.space import records as space_records
from autosched.space import yaml_file
from autosched.space.document import KeyPath, read_document
from autosched.space.section import Section, dotted

ROOT = Path(__file__).parents[1]
TRAINERS = {"gpt": "GptOptions", "vision": "VisionOptions", "simulated": "SimulatedOptions"}

ASKED = {
    "integer": lambda asked: f"a whole number >= {asked['at_least']}",
    "number": lambda asked: f"a number {'> 0' if asked['above_zero'] else '>= 0'}",
    "flag": lambda _: "true or false",
    "text": lambda _: "a text",
}
"""What a getter of the reader takes, by its name."""


@contextmanager
def watched() -> Iterator[dict[KeyPath, tuple[str, Any]]]:
    """What the reader asks for while it reads: by the key's path, what it must be and its default."""
    asked: dict[KeyPath, tuple[str, Any]] = {}
    originals = {name: getattr(Section, name) for name in (*ASKED, "require", "has")}

    def watching(name: str) -> Callable[..., Any]:
        def getter(self: Section, key: str, *args: Any, **named: Any) -> Any:
            path = (*self.path, key)
            if name == "require":
                asked[path] = (args[0], MISSING)
            elif name == "has":
                asked.setdefault(path, ("", None))
            elif asked.get(path, ("",))[0] == "":
                asked[path] = (ASKED[name](named), named.get("default"))
            return originals[name](self, key, *args, **named)

        return getter

    try:
        for name in originals:
            setattr(Section, name, watching(name))
        yield asked
    finally:
        for name, original in originals.items():
            setattr(Section, name, original)


SECTIONS = {
    "": space_records.Space,
    "budget": space_records.Budget,
    "budget.stop_when": space_records.StopWhen,
    "confirm": space_records.Confirm,
    "resources": space_records.Resources,
    "storage": space_records.Storage,
    "tracking": space_records.Tracking,
    "range_test": space_records.Sweep,
    "trainer": space_records.TrainerSpec,
}


def asked_for(override: str) -> dict[KeyPath, tuple[str, Any]]:
    """What the reader asks for in the demo, with the sections that it leaves out."""
    demo = read_document(ROOT / "search_spaces" / "wsd.yaml")
    with watched() as asked:
        yaml_file.read_space(demo.with_overrides(["schedule.wsd.peak_lr=auto", "range_test.steps=200", override]))
    return asked


def space_keys() -> str:
    """Every key of a space file outside of its schedule."""
    asked, other = asked_for("horizon_steps=600"), asked_for("horizon_steps=1200")
    rows = []
    for path, (rule, default) in asked.items():
        section = ".".join(map(str, path[:-1]))
        if section not in SECTIONS:
            continue
        own = meaning(SECTIONS[section]).get("options" if path[-1] == "with" else str(path[-1]), "")
        needed = "by `horizon_steps`" if other[path][1] != default else shown(default)
        needed = "required" if default is MISSING else needed
        rows.append((f"`{dotted(path)}`", plain(rule), needed, own))
    return table(("key", "must be", "default", "meaning"), rows)


def options_of(cls: type, *, only: Iterable[str] | None = None) -> str:
    """The fields of a record of options."""
    meanings, hints = meaning(cls), get_type_hints(cls, include_extras=True)
    rows = []
    for field in fields(cls):
        if (only is not None and field.name not in only) or is_dataclass(hints[field.name]):
            continue
        hint = hints[field.name]
        rule = get_args(hint)[1].text if get_origin(hint) is Annotated else ""
        rows.append((f"`{field.name}`", rule, shown(field.default), meanings.get(field.name, "")))
    head = ("option", "must be", "default", "meaning")
    return (
        table(head, rows)
        if any(row[1] for row in rows)
        else table((head[0], *head[2:]), [(r[0], *r[2:]) for r in rows])
    )


def options_by_rule(rules: Mapping[str, Mapping[str, Rule]]) -> str:
    """Options of what Optuna brings."""
    return table(
        ("name", "options"),
        [
            (f"`{name}`", "; ".join(f"`{key}`: {rule.text}" for key, rule in own.items()) or "none")
            for name, own in rules.items()
        ],
    )


def trainer_options() -> str:
    """The options of the built-in trainers."""
    return "\n".join(
        f"### `{name}`\n\n{options_of(getattr(import_module(f'workers.{name}'), record))}"
        for name, record in TRAINERS.items()
    )
