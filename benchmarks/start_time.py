"""What starting costs, beside others' programs and libraries: processor seconds, the least of a few warm starts.

    python benchmarks/start_time.py [--json FILE]

Limits: 0.3 s for `autosched --help`, 0.1 s for `import autosched`. Ratios say how many times longer the peer takes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

STARTS = 7
CASES = {
    "import autosched": ("-c", "import autosched"),
    "import optuna": ("-c", "import optuna"),
    "import ray": ("-c", "import ray"),
    "autosched --help": ("-m", "autosched", "--help"),
    "optuna --help": ("-m", "optuna.cli", "--help"),
    "ray --help": ("-m", "ray.scripts.scripts", "--help"),
}
LIMITS = {"import autosched": 0.1, "autosched --help": 0.3}


def processor_seconds(arguments: tuple[str, ...]) -> float:
    """User and system seconds of a Python that does this, the least of :data:`STARTS`."""
    taken = []
    for _ in range(STARTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the seconds here")
    arguments = parser.parse_args()
    seconds = {name: processor_seconds(case) for name, case in CASES.items()}
    for name, value in seconds.items():
        ours = seconds[f"autosched {name.split()[1]}" if name.endswith("--help") else "import autosched"]
        ratio, limit = f"{value / ours:5.1f}x", LIMITS.get(name)
        verdict = "" if limit is None else f"   limit {limit:g} s   {'ok' if value <= limit else 'TOO SLOW'}"
        print(f"{name:20s}{value:7.3f} s  {ratio}{verdict}")
    if arguments.json:
        arguments.json.write_text(json.dumps(seconds, indent=1))
    return int(any(seconds[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
