"""What the pages say of the code is what it says itself: their parts between two comments are made here.

    python docs/generate.py --check    # exit code 1 and one line for each part that differs
    python docs/generate.py --write

A part begins with ``<!-- generated: NAME -->`` and ends with ``<!-- /generated -->``. Meanings are those of the code's
own docstrings and help texts; rules and defaults of the keys of a space are asked of the reader itself, which is
watched while it reads ``search_spaces/wsd.yaml``.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import autosched
import autosched.trainer
from autosched.cli.commands import COMMANDS, load_command
from autosched.laws.registry import FAMILIES, LAWS
from autosched.ledger import events, records
from autosched.report.families import families_markdown
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs_space import _KINDS as AUTOLRS_KINDS
from autosched.search.law_options import LawOptions
from autosched.search.law_pruner import LawPrunerOptions
from autosched.search.law_rule import LawRule
from autosched.search.optuna_options import PRUNER_OPTIONS, SAMPLER_OPTIONS, Rule
from autosched.space import records as space_records
from autosched.space import yaml_file
from autosched.space.document import KeyPath, read_document
from autosched.space.section import Section, dotted

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)
TRAINERS = {"gpt": "GptOptions", "vision": "VisionOptions", "simulated": "SimulatedOptions"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def plain(text: str) -> str:
    """A docstring's text as one line of Markdown."""
    text = re.sub(r":\w+:`~?([^`]*\.)?([^`]+)`", r"`\2`", text.replace("``", "`"))
    return " ".join(text.split())


def meaning(cls: type) -> dict[str, str]:
    """What the docstring of a record says of its fields, under ``Attributes:`` or ``Args:``."""
    found: dict[str, str] = {}
    match = re.search(r"(?:Attributes|Args):\n((?:[ ]{4,}.*\n?|\n)+)", inspect.getdoc(cls) or "")
    for entry in re.split(r"\n(?= {4}\S)", match[1].rstrip() if match else ""):
        names, colon, text = entry.strip().partition(":")
        if colon:
            found |= dict.fromkeys((name.strip() for name in names.split(",")), plain(text))
    return found


def summary(cls: Any) -> str:
    """The first paragraph of a docstring."""
    return plain((inspect.getdoc(cls) or "").split("\n\n")[0])


def shown(value: Any) -> str:
    """A default as it is written in YAML."""
    if value is None or value is MISSING:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{getattr(value, 'name', value)}`"


# -- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command: what it does, an example, its arguments and options."""
    parts = []
    for name in COMMANDS:
        command = load_command(name)
        text, _, example = (command.help or "").partition("Example:")
        words = [metavar(p) for p in command.params if p.param_type_name == "argument"]
        usage = " ".join(["autosched", name, *words, "[OPTIONS]"])
        rows = [
            (f"`{metavar(p)}`" if p.param_type_name == "argument" else option(p), help_of(p)) for p in command.params
        ]
        shown_example = f" Example: `{plain(example)}`" if example else ""
        parts.append(f"## {name}\n\n`{usage}`\n\n{plain(text)}{shown_example}\n\n{table(('', 'meaning'), rows)}")
    return "\n".join(parts)


def metavar(parameter: Any) -> str:
    """An argument as it is written."""
    word = parameter.metavar or parameter.name.upper()
    return word if parameter.required or word.startswith("[") else f"[{word}]"


def option(parameter: Any) -> str:
    """An option with its value."""
    value = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
    return " ".join(f"`{name}{value}`" for name in (*parameter.opts, *parameter.secondary_opts))


def help_of(parameter: Any) -> str:
    """What an option means, its default and whether it is needed."""
    text = plain(parameter.help or "")
    notes = ["required"] if parameter.required and parameter.param_type_name == "option" else []
    notes += ["may be given several times"] if getattr(parameter, "multiple", False) else []
    if parameter.default not in (None, False, "", ()) and "default" not in text.lower():
        notes.append(f"default {shown(parameter.default)}")
    return f"{text} ({'; '.join(notes)})" if notes else text


# -- the keys of a space ----------------------------------------------------------------------------------------------

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
    from importlib import import_module

    return "\n".join(
        f"### `{name}`\n\n{options_of(getattr(import_module(f'workers.{name}'), record))}"
        for name, record in TRAINERS.items()
    )


# -- laws and events --------------------------------------------------------------------------------------------------


def laws() -> str:
    """Every law with its formula, its source and its parameters."""
    parts = []
    for name, law in LAWS.items():
        text = inspect.getdoc(sys.modules[law.__module__]) or ""
        first, _, rest = text.partition("\n\n")
        formula = re.search(r"((?:^ {4}.*\n?|^\n)+)", rest, re.MULTILINE)
        block = f"```text\n{textwrap.dedent(formula[1]).strip()}\n```\n\n" if formula else ""
        own = "" if name in FAMILIES else " It is not fitted by name alone: it needs to know where the data changes."
        parts.append(
            f"## {name}\n\n{plain(first)}{own}\n\n{block}Parameters: {', '.join(f'`{f.name}`' for f in fields(law))}.\n"
        )
    return "\n".join(parts)


def ledger_events() -> str:
    """Every event of the ledger with its fields, and the records they hold."""
    parts = []
    for name, event in events.EVENT_TYPES.items():
        parts.append(f"### {name}\n\n{summary(event)}\n\n{fields_of(event)}")
    parts.append("## Records in them\n")
    for record in (
        records.Observation,
        records.Point,
        records.Decision,
        records.Forecast,
        records.Failure,
        records.Divergence,
    ):
        parts.append(f"### {record.__name__}\n\n{summary(record)}\n\n{fields_of(record)}")
    return "\n".join(parts)


def fields_of(record: type) -> str:
    """The fields of a record with their types."""
    meanings = meaning(record)
    rows = [(f"`{f.name}`", f"`{f.type}`", meanings.get(f.name, "")) for f in fields(record)]
    return table(("field", "type", "meaning"), rows)


# -- Python -----------------------------------------------------------------------------------------------------------


def names_of(module: Any) -> str:
    """The public names of a module: functions with their parameters, classes, and what they are."""
    found = [(name, getattr(module, name)) for name in module.__all__]
    own = [(name, value) for name, value in found if inspect.isclass(value) or inspect.isfunction(value)]
    rows = [(f"`{name}{parameters(value)}`", summary(value)) for name, value in own]
    return table(("name", "what it is"), rows)


def members_of(cls: type) -> str:
    """The public methods and properties of a class."""
    kinds = (property, cached_property, classmethod, FunctionType)
    found = [
        (name, value) for name, value in vars(cls).items() if not name.startswith("_") and isinstance(value, kinds)
    ]
    return table(("member", "what it is"), [(f"`{name}{parameters(value)}`", summary(value)) for name, value in found])


def parameters(value: Any) -> str:
    """The names of a function's parameters, as they are given."""
    value = getattr(value, "__func__", value)
    if not inspect.isfunction(value):
        return ""
    own = [p for p in inspect.signature(value).parameters.values() if p.name not in ("self", "cls")]
    words = [p.name if p.kind is not p.KEYWORD_ONLY else f"{p.name}=" for p in own]
    return f"({', '.join(words)})"


def numbers_set_by_hand() -> str:
    """What steers the laws and their forecasts, with the backing that stands behind each number."""
    body = ast.parse((ROOT / "autosched" / "laws" / "priors.py").read_text()).body
    rows = []
    for node, after in pairwise(body):
        if not (isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr)):
            continue
        name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
        unit, _, text = plain(ast.literal_eval(after.value)).removeprefix("[").partition("] ")
        what, _, backing = re.sub(r"\b(Judgement|Source|Ablation)\b", r"\0\1", text, count=1).partition("\0")
        value = f"`{ast.unparse(node.value)}`"
        rows.append((f"`{name}`", value, unit, what.strip(), backing))
    return table(("number", "value", "unit", "what it does", "backing"), rows)


def layers() -> str:
    """Which packages there are, from the bottom up, as the test of imports has them."""
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text())
    found = {
        node.target.id if isinstance(node, ast.AnnAssign) else node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and ast.unparse(node.value)[0] == "{"
    }
    by_level: dict[int, list[str]] = {}
    for name, level in found["LAYERS"].items():
        by_level.setdefault(level, []).append(f"`{name.removeprefix('autosched.')}`")
    apart = found["SAME_LEVEL_IS_APART"]
    rows = [(str(level), (" · " if level in apart else ", ").join(names)) for level, names in sorted(by_level.items())]
    return table(("level", "packages"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "space-keys": space_keys,
    "controller-law": lambda: options_of(LawOptions),
    "controller-autolrs": lambda: options_of(Settings, only=AUTOLRS_KINDS),
    "controller-optuna": lambda: options_by_rule(SAMPLER_OPTIONS),
    "pruner-law": lambda: options_of(LawRule) + "\nand\n\n" + options_of(LawPrunerOptions),
    "pruner-optuna": lambda: options_by_rule(PRUNER_OPTIONS),
    "trainers": trainer_options,
    "families": families_markdown,
    "laws": laws,
    "events": ledger_events,
    "layers": layers,
    "numbers": numbers_set_by_hand,
    "python": lambda: names_of(autosched),
    "python-trainer": lambda: names_of(autosched.trainer),
    "python-study": lambda: members_of(autosched.Study),
    "python-schedule": lambda: members_of(autosched.Schedule),
}


def pages() -> list[Path]:
    """The pages with generated parts."""
    return sorted(page for page in (ROOT / "docs").rglob("*.md") if PART.search(page.read_text()))


def remade(text: str) -> str:
    """A page with its generated parts as the code has them now."""
    return PART.sub(lambda match: f"{match[1]}{PARTS[match[2]]()}{match[4]}", text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the parts instead of checking them")
    parser.add_argument("--check", action="store_true", help="check the parts (the default)")
    given = parser.parse_args(arguments)
    failed = 0
    for page in pages():
        old = page.read_text()
        new = remade(old)
        if new != old and given.write:
            page.write_text(new)
        elif new != old:
            print(
                f"{page.relative_to(ROOT)} is not what the code says; python docs/generate.py --write", file=sys.stderr
            )
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
