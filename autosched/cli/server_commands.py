"""`ui` and `doctor`: open MLflow, check the installation."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import quote

import typer

from autosched.cli.options import JsonOption, LedgerOption, kept_for_json, show
from autosched.cli.ready import said_when_ready
from autosched.errors import AutoschedError, StudyError, TrackingError, UsageError
from autosched.guarded import run_guarded
from autosched.ledger.store import BACKENDS, Ledger
from autosched.printed import tell
from autosched.space.records import Tracking
from autosched.study.results import Study
from autosched.study.run import versions
from autosched.study.start import ledger_url
from autosched.tracking.mlflow_store import StoreAddress, alone, is_server, parse_address, server_version
from autosched.tracking.mlflow_view import MODE, study_view, view_link
from autosched.urls import database_url, sqlite_file, without_secrets

LOW_DISK_GIB = 2.0
SAFE_MLFLOW = (3, 11)
"""The first MLflow whose server has none of the holes that are known and can be used from afar."""
QUIET = ("--workers", "1", "--uvicorn-opts", "--log-level warning")
"""One process is enough for a person, and is there soonest; each request is no news."""
ALONE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
}
LOOK_SECONDS = 30
"""For an answer of a server that listens."""
BY_NAME = "/api/2.0/mlflow/experiments/get-by-name"


def ui(
    study: Annotated[str | None, typer.Argument(help="A study; default: the newest.", metavar="[STUDY]")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on loopback.")] = 5000,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; loopback unless asked.")] = "127.0.0.1",
    tracking: Annotated[str | None, typer.Option("--tracking", help="Store to open instead.", metavar="URI")] = None,
    ledger: LedgerOption = None,
) -> int:
    """Open MLflow on the store a study is tracked in.

    Example: autosched ui --port 5001
    """
    shown = None if tracking else _tracked(study, ledger)
    uri = tracking or (shown.space.tracking.uri if shown is not None else "")
    if is_server(uri):
        tell(f"the study is tracked on a server: open {without_secrets(uri)}")
        return 0
    address = _checked_store(uri)
    check_port(host, port)
    with alone(address):  # a study that makes the tables now is let finish: the server would make them, too
        pass
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), *QUIET]
    store = {"MLFLOW_BACKEND_STORE_URI": address.uri}  # no argument: those are seen by everybody on the machine
    here = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host  # noqa: S104 - compared, not bound
    server = f"http://{here}:{port}"
    with said_when_ready(f"MLflow is being started on {address.shown} …", partial(_ready, server, shown)) as heard:
        return run_guarded(command, {**store, **ALONE}, heard)


def _ready(server: str, shown: Study | None) -> str | None:
    """What to say of a server as soon as it answers, with the address of the study; None before."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this machine's loopback
    try:
        direct.open(f"{server}/health", timeout=LOOK_SECONDS).close()
    except OSError:
        return None
    try:
        link = f"{server}/#/experiments?{MODE}" if shown is None else _link(server, shown, direct)
    except OSError as error:
        return f"MLflow is ready, but does not show the study: {error}"
    return f"MLflow is ready: open {link} (Ctrl-C stops it)"


def _link(server: str, study: Study, direct: urllib.request.OpenerDirector) -> str:
    """The address of a study on a server that answers."""
    named = quote(study.space.tracking.experiment)
    with direct.open(f"{server}{BY_NAME}?experiment_name={named}", timeout=LOOK_SECONDS) as answer:
        experiment = json.load(answer)["experiment"]
    has_view = {tag["key"] for tag in experiment.get("tags", [])}.issuperset(study_view(study.name))
    return view_link(server, experiment["experiment_id"], study.name, has_view=has_view)


def _tracked(study: str | None, ledger: str | None) -> Study:
    store = Ledger(ledger_url(ledger), create=False)
    names = [row.name for row in store.studies()]
    if study is None and not names:
        raise StudyError("the ledger has no study yet; run `autosched tune`, or name a store with --tracking.")
    found = Study(study or names[0], ledger=ledger)
    if found.space.tracking.uri == "none":
        raise StudyError(f"the study {found.name!r} is not tracked (tracking: none).")
    return found


def _checked_store(uri: str) -> StoreAddress:
    address = parse_address(uri)
    if address.file is not None and not address.file.exists():
        raise TrackingError(f"there is no tracking store {address.file}; run `autosched tune` in this folder first.")
    return address


def check_port(host: str, port: int) -> None:
    """Fail early when a port cannot be had.

    Raises:
        UsageError: it is taken, or not allowed.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check of `doctor`: what was looked at, what was found, and whether it will do."""

    name: str
    found: str
    ok: bool


def doctor(
    ledger: LedgerOption = None,
    tracking: Annotated[
        str | None, typer.Option("--tracking", help="Check this MLflow store or server instead.", metavar="URI")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check the installation: versions, devices, disk, ledger, a checkpoint, Ray, MLflow, and what is open to whom.

    Example: autosched doctor
    """
    with kept_for_json(as_json):
        findings = [*_findings(ledger_url(ledger), tracking or Tracking().uri), *_open()]
    lines = [f"{'ok ' if f.ok else 'BAD'}  {f.name:<12} {f.found}" for f in findings]
    healthy = all(f.ok for f in findings)
    document = {"ok": healthy, "findings": [{"name": f.name, "found": f.found, "ok": f.ok} for f in findings]}
    show(as_json, document, lines)
    return 0 if healthy else 1


def _findings(ledger: str, tracking: str) -> Iterator[Finding]:
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: sys.version.split()[0],
        "packages": lambda: ", ".join(f"{name} {version}" for name, version in versions().items() if name != "python"),
        "devices": _devices,
        "disk": _disk,
        "ledger": lambda: _ledger(ledger),
        "trainer": _trainer,
        "ray": _ray,
        "mlflow": lambda: _mlflow(tracking),
    }
    for name, check in checks.items():
        try:
            yield Finding(name=name, found=check(), ok=True)
        except (AutoschedError, OSError, ImportError) as error:
            yield Finding(name=name, found=" ".join(str(error).split()), ok=False)


def _devices() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{os.cpu_count()} cores, " + (", ".join(gpus) if gpus else "no GPU (CPU training works)")


def _disk() -> str:
    free = shutil.disk_usage(".").free / 2**30
    if free < LOW_DISK_GIB:
        raise OSError(f"only {free:.1f} GiB are free here; checkpoints may not fit")
    return f"{free:.0f} GiB free here"


def _ledger(url: str) -> str:
    file = sqlite_file(database_url(url, "the ledger", BACKENDS))
    if file is not None and not file.exists():
        return f"{url} (made by the first `autosched tune`)"
    store = Ledger(url, create=False)
    return f"{store.place}, {len(store.studies())} studies"


def _trainer() -> str:
    import numpy as np

    from workers.registry import trainer_class

    options = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 2}
    trainer = trainer_class("gpt")(options, seed=0, horizon=2)
    trainer.start()
    trainer.train(np.array([1e-3, 1e-3]))
    return f"gpt trains two updates, loss {trainer.evaluate():.2f}"


def _ray() -> str:
    from workers.ray_backend import RayBackend

    backend = RayBackend(workers=1, cpus=1, gpus=0, address=None)
    backend.close()
    return "starts and stops"


def _mlflow(uri: str) -> str:
    from autosched.tracking.select import make_tracker

    check_mlflow(importlib.metadata.version("mlflow"), "the installed MLflow")
    tracker = make_tracker(Tracking(uri=uri))
    if tracker is not None:
        tracker.check()
        tracker.close()
    if not is_server(uri):
        return f"{without_secrets(uri)} by default" if uri == Tracking().uri else f"{without_secrets(uri)} can be used"
    version = server_version(uri)
    check_mlflow(version, f"the MLflow server at {without_secrets(uri)}")
    return f"{without_secrets(uri)}, version {version}, can be used"


def check_mlflow(version: str, what: str) -> None:
    """Refuse an MLflow that others could take over.

    Raises:
        TrackingError: it is older than :data:`SAFE_MLFLOW`.
    """
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < SAFE_MLFLOW:
        least = ".".join(map(str, SAFE_MLFLOW))
        raise TrackingError(f"{what} is version {version}, which has known remote holes: it must be {least} or newer")


def _open() -> Iterator[Finding]:
    """What programs of this machine let in."""
    from autosched.cli.open_ports import mine, open_ports

    ports = list(open_ports())
    if not ports:
        yield Finding(name="open", found=f"no Ray, MLflow or PostgreSQL {mine()} listens", ok=True)
    for port in ports:
        yield Finding(name="open", found=str(port), ok=not port.is_unguarded)
