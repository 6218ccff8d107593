"""Every recipe of `examples/`, as a person runs it: how long it takes, and its gain over the schedule of the script.

    python benchmarks/recipes.py [NAME …] [--json]

Each is tuned by its space in a copy of the folder, as `make example EXAMPLE=NAME` does; `logs_alone.py` is run as it
is. Seconds are wall time, with all that starts and ends with the command. Takes ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_command import ended

from autosched.compare.table import aligned
from autosched.errors import WorkError

ROOT = Path(__file__).parents[1]
NAMES = ("script", "nanogpt", "finetune_huggingface", "lightning_module", "distributed", "vision", "own_trainer")
LOGS = "logs_alone"
GAIN = re.compile(
    r"^gain +([+-][\d.]+) nats on (\d+) fresh seeds \(90% interval ([+-][\d.]+) to ([+-][\d.]+)[;)]", re.M
)


def measured(names: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """All recipes, as JSON data and as lines."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(ROOT / "examples", Path(place) / "examples"))
        for name in names:
            words = ["-m", "autosched", "tune", "--space", f"{name}.yaml"] if name != LOGS else [f"{LOGS}.py"]
            rows.append({"recipe": name, **_run(words, folder)})
    lines = [
        (row["recipe"], f"{row['seconds']:.0f} s", f"{row['gain']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})")
        for row in rows
    ]
    return {"rows": rows}, list(aligned(("recipe", "wall time", "gain, nats"), lines))


def _run(words: Sequence[str], folder: Path) -> dict[str, Any]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    modules = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": modules}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    found = GAIN.search(done.stdout)
    if done.returncode or found is None:
        raise WorkError(f"{' '.join(words)} ended with exit code {done.returncode}: {done.stderr[-500:]}")
    gain, seeds, low, high = found.groups()
    return {"seconds": seconds, "gain": float(gain), "low": float(low), "high": float(high), "seeds": int(seeds)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("names", nargs="*", choices=[*NAMES, LOGS, []], help="Recipes; default: all.", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    given = parser.parse_args(arguments)
    return ended(lambda: measured(given.names or [*NAMES, LOGS]), as_json=given.json)


if __name__ == "__main__":
    raise SystemExit(main())
