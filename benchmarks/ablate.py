"""Which numbers set by hand matter: each halved and doubled, and the replays run again.

    python benchmarks/ablate.py --seeds 2 --jobs 2 --out FOLDER --json
    python benchmarks/ablate.py RESOLUTION KERNEL_SD,FLOOR_SD --out FOLDER

Reads the modules of priors (``laws/priors.py``, ``search/priors.py``), and runs ``benchmarks/replay.py`` on a copy of
the package in which numbers are half and twice what they are: all numbers of one name, or of several names that a comma
joins, together. A name whose searches all cost the same to the digit does not matter in these worlds. Whole numbers
stay whole and at least 1; texts, names and zeros are left alone. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark_command import ended, whole

from autosched.errors import UsageError

ROOT = Path(__file__).parents[1]
MODULES = ("autosched/laws/priors.py", "autosched/search/priors.py")
FACTORS = {"half": 0.5, "double": 2.0}
WORLDS: Mapping[str, tuple[str, ...]] = {
    "25,000": ("--methods", "law", "--horizon", "25000"),
    "35,000": ("--methods", "law", "--horizon", "35000"),
    "range": ("--methods", "law", "--horizon", "25000", "--world", "simulated"),
    "pruner": ("--methods", "random+law", "--horizon", "25000"),
}
"""Arguments of the replay; ``pruner`` is for what only the fast preset reads."""
FIGURES = ("median", "p90", "missed", "coverage90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number in the source of a module: its line, its columns, its value."""

    module: str
    line: int
    columns: tuple[int, int]
    value: float

    def times(self, factor: float) -> str:
        """The source of its multiple; a whole number stays one."""
        return repr(max(1, round(self.value * factor)) if isinstance(self.value, int) else self.value * factor)


def numbers() -> dict[str, list[Number]]:
    """The numbers of every name that a module of priors assigns."""
    found: dict[str, list[Number]] = {}
    for module in MODULES:
        path = ROOT / module
        for node in ast.parse(path.read_text()).body if path.exists() else ():
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                found[target.id] = list(_constants(module, node.value))
    return {name: values for name, values in found.items() if values}


def _constants(module: str, tree: ast.expr) -> Iterator[Number]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in {int, float} and node.value:
            columns = node.col_offset, node.end_col_offset or 0
            yield Number(module=module, line=node.lineno - 1, columns=columns, value=node.value)


def changed(folder: Path, replaced: Sequence[Number], factor: float) -> None:
    """A copy of the package in `folder`, with these numbers multiplied."""
    for part in ("autosched", "workers", "benchmarks"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    for number in sorted(replaced, key=lambda n: (n.line, n.columns), reverse=True):
        path = folder / number.module
        lines = path.read_text().split("\n")
        text, (start, stop) = lines[number.line], number.columns
        lines[number.line] = text[:start] + number.times(factor) + text[stop:]
        path.write_text("\n".join(lines))


def measured(replaced: Sequence[Number], factor: float, worlds: Sequence[str], seeds: int) -> dict[str, Any]:
    """The figures of each world, or the last line of what went wrong there."""
    with tempfile.TemporaryDirectory() as name:
        changed(Path(name), replaced, factor)
        return {world: _replayed(Path(name), world, seeds) for world in worlds}


def _replayed(folder: Path, world: str, seeds: int) -> Any:
    command = [sys.executable, str(folder / "benchmarks" / "replay.py"), *WORLDS[world], "--json"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    if "AUTOSCHED_CURVES" not in environment:
        environment["AUTOSCHED_CURVES"] = str(ROOT.parent / "shared" / "curves")
    done = subprocess.run(
        [*command, "--seeds", str(seeds)], capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no reason was given"])[-1]}
    last = json.loads(done.stdout)["results"][-1]
    return {name: last[name] for name in FIGURES}


def cases(names: Sequence[str]) -> list[tuple[str, str]]:
    """What is varied, and how; nothing first.

    Raises:
        UsageError: a name that no module of priors has.
    """
    known = numbers()
    for name in (part for joined in names for part in joined.split(",")):
        if name not in known:
            raise UsageError(f"no module of priors has a number {name!r}: it has {', '.join(known)}.")
    return [("as it is", ""), *((name, change) for name in names or known for change in FACTORS)]


def run(given: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """All cases, those that the folder has already left out; as data and as lines."""
    known, log = numbers(), given.out / "cases.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    there = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(row["name"], row["change"]): row for row in there}
    wanted = cases(given.names)

    def work(case: tuple[str, str]) -> dict[str, Any]:
        name, change = case
        replaced = [number for part in name.split(",") for number in known.get(part, [])]
        worlds = measured(replaced, FACTORS.get(change, 1.0), given.worlds, given.seeds)
        return {"name": name, "change": change, "worlds": worlds}

    with ThreadPoolExecutor(given.jobs) as pool:
        for row in pool.map(work, [case for case in wanted if case not in done]):
            done[row["name"], row["change"]] = row
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(_line(row, done["as it is", ""]), file=sys.stderr, flush=True)
    rows = [done[case] for case in wanted]
    return {"seeds": given.seeds, "rows": rows}, [_line(row, rows[0]) for row in rows]


def _line(row: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Name, change, and the figures of each world; ``=`` where they are those of the first row."""
    shown = [f"{row['name']:<44}{row['change']:<8}"]
    for world, found in row["worlds"].items():
        same = row is not base and found == base["worlds"].get(world)
        text = "=" if same else found.get("error") or "/".join("-" if v is None else f"{v:.2f}" for v in found.values())
        shown.append(f"{world} {text}")
    return "  ".join(shown)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names, or names joined by commas; default: each by itself")
    parser.add_argument("--worlds", type=lambda text: text.split(";"), default=[*WORLDS], help=";".join(WORLDS))
    parser.add_argument("--seeds", type=whole, default=2)
    parser.add_argument("--jobs", type=whole, default=1, help="cases at the same time")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is done")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = parser.parse_args(arguments)
    return ended(lambda: run(given), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
