"""`autosched.trainer` is the one import that a trainer of one's own needs."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

from autosched import trainer

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_trainer.py"


def test_the_example_needs_nothing_else_of_autosched() -> None:
    imports = [node for node in ast.walk(ast.parse(EXAMPLE.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = {node.module for node in imports if (node.module or "").startswith(("autosched", "workers"))}
    assert ours == {"autosched.trainer"}


def test_the_names_are_sorted_and_say_what_they_are() -> None:
    assert sorted(trainer.__all__) == trainer.__all__
    functions = [
        name
        for name in trainer.__all__
        if inspect.isroutine(value := getattr(trainer, name)) or isinstance(value, type)
    ]
    assert [name for name in functions if not inspect.getdoc(getattr(trainer, name))] == []
    assert set(trainer.__all__) - set(functions) == {"FloatArray", "TrainerFactory"}
