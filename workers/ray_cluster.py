"""Ray itself: started on loopback or reached by address, kept quiet, and asked whether a pool fits."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autosched.errors import BackendError, UsageError
from autosched.urls import redacted, without_secrets

OBJECT_STORE_BYTES = 80 * 2**20  # Ray's least; only segments and observations pass through
LOG_BYTES = 4 * 2**20
"""After which Ray begins another file for what a worker prints; it keeps one older one."""
ADVICE = {
    "AF_UNIX path": "; set TMPDIR (or RAY_TMPDIR) to a folder with a shorter path.",
    "timed out": "; when the machine is busy, try again, or use --backend local.",
}
"""What to do, by a part of Ray's reason."""
ROUNDING = 1e-9  # sums of fractions of a core may miss a whole one by this


def connect(address: str | None, *, cores: int) -> tuple[Any, bool]:
    """Ray, connected, and whether this call started or joined it."""
    if address is None:
        _check_not_too_late()
        for name, value in loopback_environment().items():
            os.environ.setdefault(name, value)
    import ray  # after its environment: it reads some of these variables once, when it is imported

    if ray.is_initialized():
        return ray, False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
            _let_agents_end_at_once(ray._private.worker._global_node)
        else:
            _knock(address)
            ray.init(address=address, **quiet)
    except Exception as error:  # a start that takes too long is an Exception and nothing more
        if address is None:
            ray.shutdown()
        raise BackendError(no_ray(error, address)) from error
    _keep_off_stdout(ray._private.worker)
    return ray, True


def no_ray(error: Exception, address: str | None) -> str:
    """Why there is no Ray, in one line, with what to do about it."""
    said = last_line(error)
    if address is not None:
        doubt = "is it up, and is RAY_AUTH_MODE the same here and there?"
        return f"cannot reach the Ray cluster at {without_secrets(address)}: {redacted(said, address)} ({doubt})"
    advice = next((advice for part, advice in ADVICE.items() if part in said), "")
    return f"cannot start Ray on this machine: {said}{advice}"


def _check_not_too_late() -> None:
    """Refuse to start a Ray that cannot be kept to this machine any more, instead of one whose parts do not agree."""
    ray = sys.modules.get("ray")
    if ray is not None and not ray.is_initialized() and "RAY_AUTH_MODE" not in os.environ:
        raise BackendError(
            "Ray was imported before its environment was set, which it reads only once: make the backend before you "
            "import ray, or call ray.init() yourself first, or set RAY_AUTH_MODE when you start Python."
        )


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at ``host:port`` or ``ray://host:port``.

    Ray itself tries for half a minute, or for a whole one and then ends this process without a word.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname is not None and place.port is not None:
        socket.create_connection((place.hostname, place.port), timeout=10.0).close()


def _let_agents_end_at_once(node: Any) -> None:
    """Write into the raylet's log what Ray's agents look for there when a killed driver has taken the raylet along.

    Without it they report its death to a server that is gone as well, and outlive the driver by a minute.
    """
    with (Path(node.get_logs_dir_path()) / "raylet.out").open("a") as log:
        log.write("autosched: of a raylet that dies with its driver its agents may say: Raylet received SIGTERM\n")


def _keep_off_stdout(driver: Any) -> None:
    """Send what Ray tells its driver to the log instead of stdout, which belongs to the program's own output.

    Ray prints the deaths of workers there whatever `log_to_driver` says, and offers no switch.
    """
    log = logging.getLogger(__name__)
    driver.print_to_stdstream = lambda data, ignore_prefix: log.info("ray: %s", " ".join(data["lines"]))


def loopback_environment() -> Mapping[str, str]:
    """What keeps an own Ray to itself, and its logs small; anything the user has set wins.

    Ray binds to all interfaces unless it believes that it cannot form a cluster, and even with token authentication
    it would leave its token in the home directory, where it changes the behaviour of later `ray` commands.
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_ROTATION_MAX_BYTES": str(LOG_BYTES),
        "RAY_ROTATION_BACKUP_COUNT": "1",
    }


def check_room(nodes: list[Mapping[str, Any]], *, workers: int, cpus: float, gpus: float) -> None:
    """Refuse a pool that these nodes can never hold; Ray would wait for ever."""
    places = room(nodes, cpus=cpus, gpus=gpus)
    if places < workers:
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        total_cpus, total_gpus = (sum(found.get(kind, 0.0) for found in resources) for kind in ("CPU", "GPU"))
        raise UsageError(
            f"{workers} workers with {cpus:g} CPUs and {gpus:g} GPUs each do not fit: Ray has {total_cpus:g} CPUs and "
            f"{total_gpus:g} GPUs, room for {places}; lower resources.workers, resources.cpus or resources.gpus."
        )


def room(nodes: Iterable[Mapping[str, Any]], *, cpus: float, gpus: float) -> int:
    """Workers that fit on those of these nodes that are alive."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(room_on_node(found.get("CPU", 0.0), found.get("GPU", 0.0), cpus=cpus, gpus=gpus) for found in resources)


def room_on_node(node_cpus: float, node_gpus: float, *, cpus: float, gpus: float) -> int:
    """Workers that fit on one node. A fraction of a GPU never spans two: 0.3 fits three times on each."""
    by_cpu = math.floor(node_cpus / cpus + ROUNDING)
    if gpus == 0:
        return by_cpu
    per_gpu = math.floor(1 / gpus + ROUNDING)
    by_gpu = int(node_gpus) * per_gpu if gpus <= 1 else math.floor(node_gpus / gpus + ROUNDING)
    return min(by_cpu, by_gpu)


def last_line(error: BaseException) -> str:
    """The telling line of a Ray error, which quotes a whole traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
