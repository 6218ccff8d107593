"""Run a script as Python would, then fail if it left a thread of gloo: ``ended_well.py SCRIPT [ARGUMENT ...]``.

Such a thread may abort the process when Python ends (docs/how-to/autolrs-loop.md).
"""

import runpy
import sys
from pathlib import Path


def gloo_threads():
    """Names of gloo's threads in this process (Linux)."""
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if "gloo" in name]


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    if gloo_threads():
        sys.exit(f"{sys.argv[0]} ended with threads {gloo_threads()}.")
