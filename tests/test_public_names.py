"""The public names: complete, sorted, documented, and loaded when they are used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import autosched

ROOT = Path(__file__).parents[1]
SOURCE = ast.parse((ROOT / "autosched" / "__init__.py").read_text())


def names_for_type_checkers() -> set[str]:
    block = next(node for node in SOURCE.body if isinstance(node, ast.If))
    return {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_the_public_names_are_sorted_and_the_same_for_a_type_checker() -> None:
    assert sorted(autosched.__all__) == autosched.__all__
    assert names_for_type_checkers() == set(autosched.__all__)


def test_every_public_name_can_be_had_and_says_what_it_is() -> None:
    assert [name for name in autosched.__all__ if not inspect.getdoc(getattr(autosched, name))] == []
    assert set(autosched.__all__) <= set(dir(autosched))


def test_a_name_that_is_not_there_is_missed_like_any_other() -> None:
    with pytest.raises(AttributeError, match="module 'autosched' has no attribute 'Scheduel'"):
        autosched.Scheduel  # noqa: B018
    assert not hasattr(autosched, "study_commands")


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, autosched; print(sorted(n for n in sys.modules if n.startswith('autosched') or n == 'numpy'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['autosched']"
