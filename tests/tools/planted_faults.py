"""Plants faults in the product, one at a time, and says which test catches each.

    python tests/tools/planted_faults.py                    # all faults, on this checkout
    python tests/tools/planted_faults.py --tree ../other    # on another one, e.g. of an earlier commit
    python tests/tools/planted_faults.py --only fold        # those whose name begins so
    python tests/tools/planted_faults.py --check            # only whether every fault can be planted, exactly once

A fault replaces one text of one file, in a copy of the checkout. Its tests run in a process of their own, one
after another, until one fails. A fault that no test catches is a hole in the tests, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from faults_to_plant import FAULTS, Fault

ROOT = Path(__file__).parents[2]
PRELOADED = ("numpy", "scipy.stats", "scipy.optimize", "scipy.interpolate", "optuna", "sqlalchemy", "hypothesis")
SECONDS = 240  # of one test; a fault may make it wait for ever


class FirstFailure:
    """A pytest plugin: which test failed first."""

    def __init__(self) -> None:
        self.name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.name:
            self.name = f"{report.nodeid} (cannot be collected)"


def caught_by(tree: Path, tests: Sequence[str]) -> str:
    """The first of the tests that fails in `tree`, each in a process of its own; empty when none does."""
    for test in tests:
        if not _there(tree, test):
            continue
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            _run_tests(tree, test, write)
        os.close(write)
        with os.fdopen(read) as answer:
            name = answer.read()
        _, status = os.waitpid(child, 0)
        if name != "none":
            return name or f"{test}, which ended its process ({status})"
    return ""


def _there(tree: Path, test: str) -> bool:
    """Whether a checkout has this test; another version may not."""
    file, _, name = test.partition("::")
    path = tree / file
    return path.exists() and (not name or f"def {name}(" in path.read_text())


def _run_tests(tree: Path, test: str, write: int) -> None:
    """In the child: run the tests, tell the first failure, and leave."""
    os.chdir(tree)
    sys.path[:0] = [str(tree)]
    os.environ["PYTHONPATH"] = str(tree)  # for the processes that tests start
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    first = FirstFailure()
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--timeout={SECONDS}", "--timeout-method=signal"]
    pytest.main([*options, test], plugins=[first])
    os.write(write, (first.name or "none").encode())
    os.kill(os.getpid(), signal.SIGKILL)  # whatever threads and handlers the tests left


def copied(tree: Path) -> Path:
    """A copy to work in, without what is not tracked."""
    copy = Path(tempfile.mkdtemp(prefix="planted-")) / "autosched"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.db", "reports", "mlartifacts")
    shutil.copytree(tree, copy, ignore=ignored)
    return copy


def chosen(only: str) -> list[Fault]:
    return [fault for fault in FAULTS if any(fault.name.startswith(start) for start in only.split(","))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to plant faults in; it is copied")
    parser.add_argument("--only", default="", help="beginnings of names, separated by commas")
    parser.add_argument("--check", action="store_true", help="plant every fault, run nothing")
    given = parser.parse_args()
    for module in () if given.check else PRELOADED:
        __import__(module)
    copy, survived = copied(given.tree.resolve()), 0
    print("| fault | caught by |\n|---|---|", flush=True)
    for fault in chosen(given.only):
        path, before, after = fault.planted(copy)
        path.write_text(after)
        caught = "planted" if given.check else caught_by(copy, fault.tests)
        path.write_text(before)
        survived += not caught
        print(f"| {fault.name} | {f'`{caught}`' if caught else '**nothing**'} |", flush=True)
    shutil.rmtree(copy.parent)
    print(f"\n{len(chosen(given.only))} faults, {survived} of them caught by no test")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
