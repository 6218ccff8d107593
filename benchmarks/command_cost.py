"""What a trial of a command costs beside starting the bare command, in wall and in processor time.

    OMP_NUM_THREADS=1 python benchmarks/command_cost.py [--trials 100] [--json]

The command is a Python script of no updates to speak of: it reads its LRs from a file and prints a loss ten times. One
worker of the local backend runs trials of it one after another, as a study does: the ledger, a folder, the LRs' file,
the guard that ends the command's processes, the log, the losses read while it runs. The bare script is started as
often before. Then it is counted what all trials have left behind, and a script that
prints a gigabyte is run as one trial more.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark_command import ended, whole
from engine import Clock, run, space_for

from autosched.compare.table import aligned
from autosched.engine.local_backend import LocalBackend
from autosched.space import Budget, TrainerSpec
from autosched.space.records import Space
from workers.registry import make_trainer

SCRIPT = """
import json, sys
for step, lr in enumerate(open(sys.argv[1]), 1):
    if step % 10 == 0:
        print(json.dumps({"step": step, "loss": 1 + float(lr)}), flush=True)
"""
FLOOD = """
import os
for _ in range(16 * {mib}):
    os.write(1, b"x" * 65535 + b"\\n")
"""
"""Prints so many MiB, and no loss."""
SEGMENTS = 10


def bare_seconds(command: Sequence[str], count: int) -> list[float]:
    """How long the command takes, each time."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return found


def trial_seconds(space: Space) -> list[float]:
    """From the end of a trial to the end of the next."""
    clock = Clock()
    state = run(space, LocalBackend(make_trainer), clock)
    assert all(trial.status == "complete" for trial in state.trials)
    return [after - before for before, after in zip(clock.ended, clock.ended[1:], strict=False)]


def processor_seconds() -> float:
    """Of this process and of all that it has started and that has ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """This process makes its temporary files there, so that what is left there is its own."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    folder.mkdir()
    try:
        yield
    finally:
        tempfile.tempdir = before


def there() -> dict[str, int]:
    """What this process has that trials could leave behind."""
    return {
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "processes": len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
        "temporary folders": len(list(Path(tempfile.gettempdir()).iterdir())),
    }


def flooded(folder: Path, base: Space, mib: int) -> dict[str, Any]:
    """One trial that prints so many MiB: its seconds, its log, what is said of it."""
    script = folder / "flood.py"
    script.write_text(FLOOD.format(mib=mib))
    space = dataclasses.replace(base, study="flood", budget=Budget(trials=1))
    began = time.perf_counter()
    state = run(with_command(space, [sys.executable, str(script), "{lrs}"]), LocalBackend(make_trainer), Clock())
    seconds = time.perf_counter() - began
    (trial,) = state.trials
    return {"mib": mib, "seconds": seconds, "status": trial.status, "reason": trial.reason[:80]}


def measured(trials: int, mib: int) -> tuple[dict[str, Any], list[str]]:
    """Both, as JSON data and as lines."""
    with tempfile.TemporaryDirectory() as place, temporary_files_in(Path(place, "temporary")):
        folder = Path(place)
        script, lrs = folder / "script.py", folder / "lrs.txt"
        script.write_text(SCRIPT)
        base = space_for(folder, trials=trials + 1, segments=SEGMENTS, workers=1, pace=0.0, controller="random")
        lrs.write_text("0.1\n" * base.horizon_steps)
        command, tried = ([sys.executable, str(script), words] for words in (str(lrs), "{lrs}"))
        used = [processor_seconds()]
        bare = bare_seconds(command, trials)
        used.append(processor_seconds())
        trial_seconds(with_command(dataclasses.replace(base, study="first", budget=Budget(trials=2)), tried))
        before = there()
        used.append(processor_seconds())
        ours = trial_seconds(with_command(base, tried))
        used.append(processor_seconds())
        left = {name: count - before[name] for name, count in there().items()}
        flood = flooded(folder, base, mib)
    rows = {
        "bare script": {**spread(bare), "processor": (used[1] - used[0]) / trials},
        "trial": {**spread(ours), "processor": (used[3] - used[2]) / (trials + 1)},
    }
    added = rows["trial"]["median"] - rows["bare script"]["median"]
    lines = [
        (what, f"{row['median']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", f"{row['processor']:.3f}")
        for what, row in rows.items()
    ]
    told = [*aligned(("what", "seconds", "quartiles", "processor seconds"), lines), f"a trial adds {added:.3f} s"]
    told += [f"{name} left behind: {count}" for name, count in left.items()]
    told += [f"{mib} MiB printed: {flood['status']} after {flood['seconds']:.1f} s, {flood['reason']}"]
    document = [{"what": what, **row} for what, row in rows.items()]
    return {"rows": document, "added_seconds": added, "trials": trials, "left": left, "flood": flood}, told


def with_command(base: Space, command: Sequence[str]) -> Space:
    """The space with a command for its trainer."""
    options = {"run": list(command), "losses": {"format": "json_lines"}}
    return dataclasses.replace(base, trainer=TrainerSpec(use="command", options=options))


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(seconds, n=4)
    return {"median": median, "low": low, "high": high}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--trials", type=whole, default=100, help="Of the study; and starts of the bare script.")
    parser.add_argument("--flood", type=whole, default=1024, help="What the last script prints.", metavar="MIB")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    given = parser.parse_args(arguments)
    return ended(lambda: measured(given.trials, given.flood), as_json=given.json)


if __name__ == "__main__":
    raise SystemExit(main())
