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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any

from docstrings import meaning, plain, shown, summary, table
from space_keys import options_by_rule, options_of, space_keys, trainer_options

import autosched
import autosched.trainer
from autosched.cli.commands import COMMANDS, load_command
from autosched.laws.registry import FAMILIES, LAWS
from autosched.ledger import events, records
from autosched.report.families import families_markdown
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs_space import OPTIONS as AUTOLRS_OPTIONS
from autosched.search.law_options import LawOptions
from autosched.search.law_pruner import LawPrunerOptions
from autosched.search.law_rule import LawRule
from autosched.search.optuna_options import PRUNER_OPTIONS, SAMPLER_OPTIONS
from workers.optimizers.packaged import PACKAGE
from workers.optimizers.registry import METHODS, PACKAGED, REFUSED, method, packaged_names

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- /generated -->)", re.DOTALL)


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


# -- optimizers --------------------------------------------------------------------------------------------------------


def optimizers() -> str:
    """The optimizers with names or options of their own here."""
    sources = {None: "torch, or here", PACKAGE: "`pytorch-optimizer`", "dog": "`dog-optimizer`"}
    rows = []
    for name in (*METHODS, *PACKAGED):
        found = method(name)
        own = ", ".join(f"`{f.name}` {shown(f.default)}".strip() for f in fields(found.options))
        rows.append(
            (f"`{name}`", sources[PACKAGE if name in PACKAGED else found.package], own or "those of the trainer")
        )
    return table(("optimizer", "comes from", "options, with their defaults"), rows)


def other_optimizers() -> str:
    """The optimizers that a package brings under its own names, and those that are not offered."""
    others = ", ".join(f"`{name}`" for name in packaged_names() if name not in PACKAGED)
    reasons: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    refused = table(("not offered", "because"), [(", ".join(names), reason) for reason, names in reasons.items()])
    return f"{others}.\n\n{refused}"


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


def roles() -> str:
    """Why a trial is trained, as the type of roles explains it."""
    body = ast.parse(Path(events.__file__).read_text()).body
    said = next(
        ast.literal_eval(after.value) for node, after in pairwise(body) if ast.unparse(node).startswith("Role =")
    )
    rows = re.findall(r"^ {4}(\w+) {2,}(.+)$", said, re.MULTILINE)
    return table(("role", "meaning"), [(f"`{role}`", text) for role, text in rows[1:]])


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


def numbers_set_by_hand(package: str) -> str:
    """What steers the laws and their forecasts, or the search, with the backing that stands behind each number."""
    body = ast.parse((ROOT / "autosched" / package / "priors.py").read_text()).body
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
    "controller-autolrs": lambda: options_of(Settings, only=AUTOLRS_OPTIONS),
    "controller-optuna": lambda: options_by_rule(SAMPLER_OPTIONS),
    "pruner-law": lambda: options_of(LawRule) + "\nand\n\n" + options_of(LawPrunerOptions),
    "pruner-optuna": lambda: options_by_rule(PRUNER_OPTIONS),
    "trainers": trainer_options,
    "optimizers": optimizers,
    "optimizers-packaged": other_optimizers,
    "families": families_markdown,
    "recipes": lambda: families_markdown(recipes=True),
    "laws": laws,
    "events": ledger_events,
    "roles": roles,
    "layers": layers,
    "numbers-laws": lambda: numbers_set_by_hand("laws"),
    "numbers-search": lambda: numbers_set_by_hand("search"),
    "numbers-autolrs": lambda: numbers_set_by_hand("search/autolrs"),
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
