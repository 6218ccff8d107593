"""Every number that steers laws or search says what it is, what it does and what backs it; and every one is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import autosched
from autosched.laws import priors as laws
from autosched.search import priors as search
from autosched.search.autolrs import priors as autolrs

PACKAGE = Path(autosched.__file__).parent
SAID = re.compile(r"\[(?P<unit>[^\]]+)\] (?P<meaning>.+?\.) (?P<backing>Source|Ablation|Judgement)(: .+|)\.", re.DOTALL)


def documented(text: str) -> Iterator[tuple[str, str]]:
    """Constants of a module, each with the string that follows it."""
    body = ast.parse(text).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if isinstance(target, ast.Name) and target.id.isupper():
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
            yield target.id, " ".join(str(said or "").split())


MODULES = (laws, search, autolrs)
OF = [dict(documented(Path(module.__file__).read_text())) for module in MODULES]
CONSTANTS = {name: said for found in OF for name, said in found.items()}


def test_all_constants_of_the_modules_are_seen():
    assert [set(found) for found in OF] == [{name for name in vars(module) if name.isupper()} for module in MODULES]


def test_no_name_means_two_numbers():
    assert len(CONSTANTS) == sum(map(len, OF))


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_number_says_its_unit_its_meaning_and_its_backing(name):
    assert SAID.fullmatch(CONSTANTS[name]), f"{name}: {CONSTANTS[name]!r}"


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_number_steers_something(name):
    users = [path for path in PACKAGE.rglob("*.py") if re.search(rf"\b{name}\b", path.read_text())]
    assert len(users) > 1, f"nothing uses {name}"


def test_a_number_without_backing_is_noticed():
    (found,) = documented('NOISE = 0.01\n"""[log loss] One standard deviation."""\n')
    assert not SAID.fullmatch(found[1])
