"""`autosched ui` opens MLflow on the study's store: a parent run and one nested run per trial."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from autosched.cli.app import run

SPACE = """
study: shown
trainer: {use: simulated}
horizon_steps: 60
eval_every: 10
checkpoint_every: 20
schedule: {cosine: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 5}}
budget: {trials: 3}
controller: random
pruner: none
tracking: {uri: "sqlite:///mlflow.db", experiment: shown}
"""


def post(port: int, call: str, **body: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/{call}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def ready(log: Path, process: subprocess.Popen[bytes]) -> str:
    """What is said when MLflow answers; what there is when it ended."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        said = log.read_text()
        if "MLflow is ready" in said:
            return said
        try:
            process.wait(0.2)
            return said
        except subprocess.TimeoutExpired:
            continue
    return log.read_text()


def arguments_with(text: str) -> list[str]:
    """The arguments of all processes that have one like this."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [arguments for arguments in found if text in arguments.split()]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_ui_shows_the_study_with_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[Path], str]
) -> None:
    monkeypatch.chdir(tmp_path)
    new_store(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    assert run(["tune", "--space", "space.yaml", "--backend", "local"]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "autosched", "ui", "--port", str(port)],
            stdout=log,
            stderr=log,
        )
    try:
        said = ready(tmp_path / "ui.log", process).splitlines()
        experiments = post(port, "experiments/search", max_results=10)["experiments"]
        found = next(e for e in experiments if e["name"] == "shown")
        view = f"http://127.0.0.1:{port}/#/experiments/{found['experiment_id']}/runs?workflowType=machine_learning"
        assert said[0].startswith("MLflow is being started on sqlite:///")
        assert said[-1] == f"MLflow is ready: open {view}&viewStateShareKey=autosched.shown (Ctrl-C stops it)"
        shown = {tag["key"]: tag["value"] for tag in found["tags"]}
        assert json.loads(shown["mlflow.sharedViewState.autosched.shown"])["orderByKey"] == "metrics.`value`"
        assert shown["mlflow.experimentKind"] == "custom_model_development"
        runs = post(port, "runs/search", experiment_ids=[found["experiment_id"]])["runs"]
        tags = [{tag["key"]: tag["value"] for tag in r["data"]["tags"]} for r in runs]
        parents = [r["info"]["run_id"] for r, t in zip(runs, tags, strict=True) if "mlflow.parentRunId" not in t]
        nested = [t["mlflow.parentRunId"] for t in tags if "mlflow.parentRunId" in t]
        assert len(parents) == 1
        assert nested == parents * 3
        metrics = {m["key"] for r in runs for m in r["data"].get("metrics", [])}
        assert {"loss", "lr"} <= metrics
        assert {r["info"]["status"] for r in runs} == {"FINISHED"}
        arguments = arguments_with(str(port))
        assert len(arguments) >= 2, "autosched and MLflow"
        assert not any("mlflow.db" in seen for seen in arguments), (
            "an address may hold a password, and everybody may look"
        )
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    with socket.socket() as there:
        assert there.connect_ex(("127.0.0.1", port)) != 0, "MLflow's own processes are still there"
