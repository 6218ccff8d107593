"""Fresh processes that hold a framework, what it depends on, and nothing of this project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from autosched.schedules import Schedule, build, export_text

Isolated = Callable[..., list[list[float]]]
STEPS = 40
SCHEDULES = {
    "constant": build("constant", {"peak_lr": 0.3}, steps=STEPS),
    "warm": build("constant", {"peak_lr": 0.3, "warmup_steps": 7}, steps=STEPS),
    "linear": build("linear", {"peak_lr": 1e-3, "warmup_steps": 7}, steps=STEPS),
    "cosine": build("cosine", {"peak_lr": 0.01, "final_lr_ratio": 0.1}, steps=STEPS),
    "wsd": build("wsd", {"peak_lr": 0.013, "warmup_steps": 3, "cooldown_shape": "sqrt"}, steps=STEPS),
    "exponential": build(
        "wsd", {"peak_lr": 2e-4, "cooldown_shape": "exponential", "final_lr_ratio": 0.07}, steps=STEPS
    ),
    "zero": build("piecewise", {"values": [0.1, 0.0, 1 / 3], "boundaries": [3, 9]}, steps=STEPS),
}
START = """
import importlib.util, struct, sys
sys.path += [{packages!r}, {folder!r}]
assert importlib.util.find_spec("autosched") is None

def tell(lrs):
    print("LRS", *(struct.pack("<d", float(lr)).hex() for lr in lrs))

"""


def requirements(name: str, found: dict[str, None]) -> None:
    """A distribution and all it depends on here; those of extras and of other machines are left out."""
    if name in found:
        return
    try:
        needs = distribution(name).requires or []
    except PackageNotFoundError:
        return
    found[name] = None
    for need in map(Requirement, needs):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            requirements(need.name, found)


def link_packages(names: Sequence[str], folder: Path) -> None:
    """A folder to import these distributions from, and what they depend on, and nothing else."""
    folder.mkdir()
    found: dict[str, None] = {}
    for name in names:
        requirements(name, found)
    for name in found:
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__", "autosched"}:
            place = Path(str(distribution(name).locate_file(top)))
            if place.exists() and not top.endswith(".pth") and not (folder / top).exists():
                (folder / top).symlink_to(place)


@pytest.fixture
def isolated(tmp_path: Path) -> Isolated:
    """``isolated(target, packages, script)``: run a script beside all SCHEDULES exported; the LRs it told.

    Schedule `name` is the module `name`; the script says ``tell(lrs)`` for each list of LRs. Neither the environment
    nor site-packages is seen, so what the script imports is there because `packages` need it.
    """

    def run(
        target: str,
        packages: Sequence[str],
        script: str,
        *,
        schedules: Mapping[str, Schedule] = SCHEDULES,
        env: Mapping[str, str] | None = None,
    ) -> list[list[float]]:
        link_packages(packages, tmp_path / "packages")
        for name, schedule in schedules.items():
            (tmp_path / f"exported_{name}.py").write_text(export_text(schedule, target))
        start = START.format(packages=str(tmp_path / "packages"), folder=str(tmp_path))
        (tmp_path / "script.py").write_text(start + script)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "script.py"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1", **(env or {})},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("LRS")]
        return [list(memoryview(bytes.fromhex("".join(words))).cast("d")) for words in told]

    return run


@pytest.fixture(scope="session")
def schedules() -> dict[str, Schedule]:
    """The schedules that every target is tried with."""
    return SCHEDULES
