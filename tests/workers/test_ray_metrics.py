"""What a study on a cluster tells Ray's metrics is there for Prometheus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUDY_ON_A_CLUSTER = """
import json, threading, urllib.request
from workers.ray_cluster import connect

ray, _ = connect(None, cores=1)
import autosched

space = {"study": "told", "trainer": {"use": "simulated"}, "horizon_steps": 40, "eval_every": 10, "seed": 1}
space |= {"schedule": {"wsd": {"peak_lr": {"low": 1e-3, "high": 1, "scale": "log"}, "cooldown_fraction": 0.5}}}
space |= {"controller": "random", "pruner": "median", "budget": {"trials": 12}, "tracking": "none"}
study = autosched.tune(space, address=ray.get_runtime_context().gcs_address, progress=False)
(node,) = ray.nodes()
pause, told = threading.Event(), {}
while "updates_total" not in told or "best_loss" not in told:
    pause.wait(0.2)
    page = urllib.request.urlopen(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics").read().decode()
    for line in page.splitlines():
        if line.startswith("ray_autosched_"):
            name, _, tags = line.removeprefix("ray_autosched_").partition("{")
            status = tags.partition('status="')[2].partition('"')[0]
            told[f"{name} {status}".strip()] = float(line.split()[-1])
            assert 'study="told"' in tags
print(json.dumps({"told": told, "best": study.best.value}))
ray.shutdown()
"""


@pytest.mark.slow
@pytest.mark.ray("in processes of its own")
def test_a_study_on_a_cluster_reports_queue_workers_updates_prunes_and_its_best_loss(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUDY_ON_A_CLUSTER],
        cwd=tmp_path,
        env={**os.environ, "RAY_metrics_report_interval_ms": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    told = found["told"]
    assert sum(number for name, number in told.items() if name.startswith("trials ")) == 12
    assert told["trials pruned"] > 0
    assert told["trials running"] == told["segments_in_flight"] == 0
    assert told["workers"] == 1
    assert 0 < told["updates_total"] <= 12 * 40
    assert told["worker_seconds_total"] > 0
    assert told["best_loss"] == pytest.approx(found["best"])
