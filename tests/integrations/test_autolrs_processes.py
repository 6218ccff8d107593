"""AutoLRS in real processes: two ranks over gloo, and the example killed and started again."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from autolrs_loops import in_shares

pytestmark = pytest.mark.slow

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
EXAMPLE = ROOT / "examples" / "autolrs_loop.py"


def start(script, *arguments, folder, **environment):
    """A process of its own; one thread, so that sums have one order. It fails when it leaves threads of gloo."""
    path = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(HERE / "ended_well.py"), str(script), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outputs(processes):
    """What each printed, when all have ended well."""
    try:
        ended = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), ended
    return [out for out, _ in ended]


def test_two_ranks_take_the_same_decisions_and_stay_equal_to_the_last_bit(tmp_path):
    outputs([start(HERE / "gloo_run.py", rank, tmp_path, folder=tmp_path) for rank in (0, 1)])
    runs = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    one, other = runs[0][0], runs[1][0]
    assert one["schedule"] == other["schedule"]
    assert one["parameters"] == other["parameters"], "after every update"
    assert len(one["parameters"]) == one["trained"] == 288 - 5, "the NaN that one rank saw ended the probe on both"
    assert not set(one["batches"]) & set(other["batches"])
    assert one["random"] != other["random"]
    for whole, again in runs:
        for series in ("parameters", "batches"):
            assert whole.pop(series)[60:] == again.pop(series)
        assert whole == again
    found = [json.loads((tmp_path / f"lrs-{rank}.json").read_text()) for rank in (0, 1)]
    np.testing.assert_allclose(found, [in_shares(1).lrs] * 2, rtol=1e-9)


def result(out):
    line = next(line for line in out.splitlines() if line.startswith("table"))
    assert line.endswith("726 updates, done")
    return line


def updates_in(checkpoint):
    """Trained so far; 0 without a file, which is there as a whole or not at all."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    return json.loads(state["machine"])["trained"] + state["updates"]


def test_the_example_in_sixty_lines_is_killed_half_way_and_ends_the_same(tmp_path):
    assert len(EXAMPLE.read_text().splitlines()) <= 60
    whole = result(outputs([start(EXAMPLE, "whole.pt", folder=tmp_path)])[0])
    assert float(re.search(r"loss ([\d.]+)", whole).group(1)) < 0.25
    killed = start(EXAMPLE, "killed.pt", folder=tmp_path)
    until = time.monotonic() + 200
    while updates_in(tmp_path / "killed.pt") < 300 and time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            killed.wait(timeout=0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL, killed.communicate()
    assert 300 <= updates_in(tmp_path / "killed.pt") < 726
    assert result(outputs([start(EXAMPLE, "killed.pt", folder=tmp_path)])[0]) == whole


def test_the_example_runs_with_two_processes(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = [
        start(EXAMPLE, folder=tmp_path, RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        for rank in (0, 1)
    ]
    one, other = outputs(ranks)
    assert result(one) == result(other)
