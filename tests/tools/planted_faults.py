"""Plants faults in the product, one at a time, and says which test catches each.

    python tests/tools/planted_faults.py                    # all faults, on this checkout
    python tests/tools/planted_faults.py --tree ../other    # on another one, e.g. of an earlier commit
    python tests/tools/planted_faults.py --only fold        # those whose name begins so
    python tests/tools/planted_faults.py --check            # only whether every fault can be planted, exactly once

A fault replaces one text of one file, in a copy of the checkout. Its tests run in a process of their own, the quick
ones first, until one fails. A fault that no test catches is a hole in the tests, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRELOADED = ("numpy", "scipy.stats", "scipy.optimize", "scipy.interpolate", "optuna", "sqlalchemy", "hypothesis")
SECONDS = 240  # of one test; a fault may make it wait for ever
ENGINE = ("tests/engine/test_loop.py", "tests/engine/test_every_prefix.py", "tests/engine/test_autolrs_study.py")
LEDGER = ("tests/ledger", *ENGINE)
EXECUTE = ("tests/engine/test_execute.py", "tests/engine/test_local_backend.py", *ENGINE)
LAWS = ("tests/laws",)
EXPORTS = ("tests/schedules/test_schedule_export.py", "tests/schedules/exports")
YAML = ("tests/space",)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `old` becomes `new` in `file`, and one of `tests` should see it.

    Attributes:
        other: further (file, old, new), for versions in which the code stands elsewhere; the first that fits counts.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    other: tuple[tuple[str, str, str], ...] = ()

    def plant(self, tree: Path) -> tuple[Path, str]:
        """Write the fault into `tree`; the file and what it held before.

        Raises:
            ValueError: none of its texts is there exactly once.
        """
        for file, old, new in ((self.file, self.old, self.new), *self.other):
            path = tree / file
            text = path.read_text() if path.exists() else ""
            if text.count(old) == 1:
                path.write_text(text.replace(old, new))
                return path, text
        raise ValueError(f"{self.name}: no text of it is there exactly once")


FAULTS = (
    # -- the loop, its budget and its confirmations
    Fault(
        "loop: a segment is due as if its trial began with it",
        "autosched/engine/loop.py",
        "due = max(state.clock, trial.due) + stop - trial.step",
        "due = max(state.clock, trial.due) + stop",
        ENGINE,
    ),
    Fault(
        "loop: of trials that are due together the youngest goes first",
        "autosched/engine/loop.py",
        "key=lambda head: (head.due, head.trial), default",
        "key=lambda head: (head.due, -head.trial), default",
        ENGINE,
    ),
    Fault(
        "loop: a driver that died before a decision never makes it",
        "autosched/engine/loop.py",
        "        self._judge_unjudged()\n",
        "",
        ENGINE,
        other=(
            ("autosched/engine/loop.py", "        self._settle_unsettled()\n", ""),
            (
                "autosched/engine/loop.py",
                "            if trial.step > judged:\n",
                "            if trial.step < judged:\n",
            ),
        ),
    ),
    Fault(
        "loop: a complete trial is worth the first loss of its last segment",
        "autosched/engine/loop.py",
        "value = outcome.points[-1].loss",
        "value = outcome.points[0].loss",
        ENGINE,
    ),
    Fault(
        "loop: minutes of the budget are hours",
        "autosched/engine/budget.py",
        "seconds >= 60 * budget.minutes",
        "seconds >= 3600 * budget.minutes",
        ENGINE,
        other=(("autosched/search/budget.py", "seconds >= 60 * budget.minutes", "seconds >= 3600 * budget.minutes"),),
    ),
    Fault(
        "loop: every confirming run has the same seed",
        "autosched/engine/confirm.py",
        'key(space.seed, index, "confirm")',
        'key(space.seed, 0, "confirm")',
        ENGINE,
    ),
    Fault(
        "loop: the worst trials are confirmed",
        "autosched/engine/confirm.py",
        "key=lambda trial: (trial.value or 0.0, trial.number)",
        "key=lambda trial: (-(trial.value or 0.0), trial.number)",
        ENGINE,
    ),
    # -- the fold
    Fault(
        "fold: of equal trials the later one is the best",
        "autosched/ledger/state.py",
        "or event.value < best.value:",
        "or event.value <= best.value:",
        LEDGER,
    ),
    Fault(
        "fold: the clock goes back",
        "autosched/ledger/state.py",
        "    state.clock = max(state.clock, at)\n",
        "    state.clock = at\n",
        LEDGER,
    ),
    Fault(
        "fold: shared updates are counted from the start of the run",
        "autosched/ledger/state.py",
        "trial.steps_shared += event.step - trial.step",
        "trial.steps_shared += event.step",
        LEDGER,
    ),
    Fault(
        "fold: what was taken from another study counts as trained",
        "autosched/ledger/state.py",
        "state.steps_trained += seen.trained",
        "state.steps_trained += seen.stop - seen.start",
        LEDGER,
    ),
    Fault(
        "fold: a missing event is not noticed",
        "autosched/ledger/state.py",
        "if stamped.number != state.events:",
        "if stamped.number < state.events:",
        LEDGER,
    ),
    # -- the dispatcher and the execution of segments
    Fault(
        "dispatcher: a result of another study is taken whatever it evaluated",
        "autosched/engine/dispatcher.py",
        "return needed <= {point.step for point in known.points}",
        "return True",
        ENGINE,
    ),
    Fault(
        "dispatcher: one retry too few",
        "autosched/engine/dispatcher.py",
        "tries <= self.space.resources.retries:",
        "tries < self.space.resources.retries:",
        ENGINE,
    ),
    Fault(
        "dispatcher: evaluations before the segment are reported again",
        "autosched/engine/dispatcher.py",
        "report_from=order.start,",
        "report_from=load,",
        ENGINE,
    ),
    Fault(
        "dispatcher: a checkpoint that was lost is loaded again",
        "autosched/engine/dispatcher.py",
        "            if identity in self._doubtful:\n",
        "            if not identity:\n",
        (*ENGINE, "tests/cli/test_bad_places.py"),
    ),
    Fault(
        "execution: the model in memory is used for whatever comes",
        "autosched/engine/execute.py",
        "elif state != segment.load_id or not state:",
        "elif not state:",
        EXECUTE,
    ),
    Fault(
        "execution: an interrupted segment leaves a model that claims its start",
        "autosched/engine/execute.py",
        '        self._held.state = ""\n',
        "",
        EXECUTE,
    ),
    Fault(
        "execution: a checkpoint of a later update is accepted",
        "autosched/engine/execute.py",
        "    if trainer.step != step:",
        "    if trainer.step < step:",
        EXECUTE,
    ),
    # -- laws
    Fault(
        "laws: a derivative of the multi-power law has the wrong sign",
        "autosched/laws/multi_power.py",
        "            -exponent * log_area * power,",
        "            exponent * log_area * power,",
        LAWS,
    ),
    Fault(
        "laws: drops pay two percent less",
        "autosched/laws/multi_power.py",
        "- drop * table.sum_rows(table.size * forgotten)",
        "- 0.98 * drop * table.sum_rows(table.size * forgotten)",
        LAWS,
    ),
    Fault(
        "laws: the functional law reads LRs half an update late",
        "autosched/laws/functional.py",
        "between(lrs, np.stack(at) - 0.5)",
        "between(lrs, np.stack(at))",
        LAWS,
    ),
    Fault(
        "laws: Huber's function jumps",
        "autosched/laws/robust.py",
        "delta * (size - 0.5 * delta)",
        "delta * size",
        LAWS,
    ),
    Fault(
        "laws: the noise of the best run is forgotten when a run is judged",
        "autosched/search/law_rule.py",
        "sd = math.hypot(found.log_sd, best_sd)",
        "sd = found.log_sd",
        ("tests/search", "tests/integrations/test_optuna_pruner.py", *ENGINE),
        other=(("autosched/search/law_rule.py", "loss_sd=best_sd", "loss_sd=0.0"),),
    ),
    # -- exports and schedules
    Fault(
        "exports: a source's last update of every plateau is missing",
        "autosched/schedules/exports/source_text.py",
        "for lr, count in RUNS for _ in range(count)]",
        "for lr, count in RUNS for _ in range(max(count - 1, 1))]",
        EXPORTS,
    ),
    Fault(
        "exports: torch's parameter groups lose their ratio",
        "autosched/schedules/exports/torch_source.py",
        'keeps every bit of it.\n        group["initial_lr"] = float(group["lr"]) / reference',
        'keeps every bit of it.\n        group["initial_lr"] = 1.0',
        EXPORTS,
    ),
    Fault(
        "schedules: the square-root cooldown is a linear one at its end",
        "autosched/schedules/progress.py",
        "progress.left / (1 + np.sqrt(progress.done))",
        "progress.left / (1 + progress.done)",
        ("tests/schedules",),
    ),
    # -- the YAML reader
    Fault(
        "yaml: any whole number is large enough",
        "autosched/space/section.py",
        "not isinstance(value, bool) and at_least <= value <= MAX_COUNT:",
        "not isinstance(value, bool) and 0 <= value <= MAX_COUNT:",
        YAML,
    ),
    Fault(
        "yaml: zero is above zero",
        "autosched/space/section.py",
        "(value > 0 or (value == 0 and not above_zero))",
        "value >= 0",
        YAML,
    ),
    Fault(
        "yaml: of several faults that on the highest line is told",
        "autosched/space/section.py",
        "place, fault = min(located,",
        "place, fault = max(located,",
        YAML,
    ),
)


class FirstFailure:
    """A pytest plugin: which test failed first, and whether any passed."""

    def __init__(self) -> None:
        self.name, self.passed = "", 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid
        self.passed += report.passed and report.when == "call"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.name:
            self.name = f"{report.nodeid} (cannot be collected)"


def caught_by(tree: Path, tests: Sequence[str]) -> str:
    """The first of the tests that fails in `tree`, in a process of its own; empty when none does."""
    there = [test for test in tests if (tree / test).exists()]
    for marked in ("not slow", "slow"):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            _run_tests(tree, there, marked, write)
        os.close(write)
        with os.fdopen(read) as answer:
            name = answer.read()
        _, status = os.waitpid(child, 0)
        if name != "none":
            return name or f"a test that ended its process ({status})"
    return ""


def _run_tests(tree: Path, tests: list[str], marked: str, write: int) -> None:
    """In the child: run the tests, tell the first failure, and leave."""
    os.chdir(tree)
    sys.path[:0] = [str(tree)]
    os.environ["PYTHONPATH"] = str(tree)  # for the processes that tests start
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    first = FirstFailure()
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", marked, f"--timeout={SECONDS}", "--timeout-method=signal"]
    pytest.main([*options, *tests], plugins=[first])
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
        path, before = fault.plant(copy)
        caught = "planted" if given.check else caught_by(copy, fault.tests)
        path.write_text(before)
        survived += not caught
        print(f"| {fault.name} | {f'`{caught}`' if caught else '**nothing**'} |", flush=True)
    shutil.rmtree(copy.parent)
    print(f"\n{len(chosen(given.only))} faults, {survived} of them caught by no test")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
