"""Imports point downward only, and importing the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS: dict[str, int] = {
    "autosched.attached": 0,
    "autosched.errors": 0,
    "autosched.interruption": 0,
    "autosched.json_documents": 0,
    "autosched.printed": 0,
    "autosched.random_states": 0,
    "autosched.randomness": 0,
    "autosched.text_files": 0,
    "autosched.whole_files": 0,
    "autosched.urls": 0,
    "autosched.guarded": 1,
    "autosched.schedules": 1,
    "autosched.curves": 2,
    "autosched.laws": 3,
    "autosched.space": 3,
    "autosched.ledger": 4,
    "autosched.transfer": 4,
    "autosched.search": 5,
    "autosched.trainer": 5,
    "autosched.engine": 6,
    "autosched.tracking": 6,
    "autosched.report": 6,
    "autosched.compare": 7,
    "autosched.testing": 7,
    "autosched.integrations": 7,
    "workers": 8,
    "autosched.study": 9,
    "autosched.serve": 10,
    "autosched.cli": 11,
    "autosched.__main__": 12,
}
SAME_LEVEL_IS_APART = {3, 6}
"""Packages of these levels do not know each other: laws and spaces, engine and tracking and report."""


def package_of(module: str) -> str | None:
    matches = [name for name in LAYERS if module == name or module.startswith(f"{name}.")]
    return max(matches, key=len, default=None)


def imports_of(path: Path) -> list[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def upward_imports(files: list[Path], root: Path) -> list[str]:
    faults = []
    for path in files:
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        here = package_of(module)
        if here is None:
            continue
        for line, target in imports_of(path):
            there = package_of(target)
            if there is None or there == here:
                continue
            apart = LAYERS[there] == LAYERS[here] and LAYERS[here] in SAME_LEVEL_IS_APART
            if LAYERS[there] > LAYERS[here] or apart:
                faults.append(f"{path.relative_to(root)}:{line} {here} imports {there}")
    return faults


def test_every_import_points_downward() -> None:
    files = [*ROOT.glob("autosched/**/*.py"), *ROOT.glob("workers/**/*.py")]
    assert len(files) > 50
    assert upward_imports(files, ROOT) == []


def test_every_module_has_a_layer() -> None:
    files = [*ROOT.glob("autosched/**/*.py")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert [m for m in modules if m != "autosched" and package_of(m) is None] == []


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "autosched" / "laws" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text("def f():\n    from autosched.engine.loop import Loop\n    from autosched.space import Space\n")
    faults = upward_imports([bad], tmp_path)
    assert [fault.split(" ", 1)[1] for fault in faults] == [
        "autosched.laws imports autosched.engine",
        "autosched.laws imports autosched.space",
    ]


@pytest.mark.parametrize(
    "module", ["autosched", "autosched.cli.app", "autosched.integrations.autolrs", "autosched.trainer"]
)
def test_importing_loads_no_heavy_library(module: str) -> None:
    heavy = ("torch", "ray", "mlflow", "optuna", "matplotlib", "pandas")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
