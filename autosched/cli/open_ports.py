"""Which ports of this machine Ray, MLflow and PostgreSQL listen on, and who reaches them; for `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import psutil

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "Ray": ("gcs_server", "raylet", "ray/dashboard/", "ray::", "ray/util/client/server", "ray/_private/"),
    "MLflow": ("mlflow server", "mlflow.server"),
    "PostgreSQL": ("postgres",),
}
"""What the command line of a program has in it, by whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPort:
    """A port that somebody listens on.

    Attributes:
        program: one of :data:`PROGRAMS`.
        process, pid: its name and number.
        address: it is bound to.
        guard: what keeps others from using it; empty for nothing, None for what cannot be seen from here.
        jobs: whether it is an MLflow server that runs jobs for whoever may use it.
    """

    program: str
    process: str
    pid: int
    address: str
    port: int
    guard: str | None
    jobs: bool = False

    @property
    def to_this_machine(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.address).is_loopback

    @property
    def is_unguarded(self) -> bool:
        """Whether somebody elsewhere reaches it and nothing is known to keep them from using it."""
        return not self.to_this_machine and self.guard == ""

    def __str__(self) -> str:
        place = ip_address(self.address)
        to = "this machine" if place.is_loopback else "all who reach this machine"
        to = to if place.is_loopback or place.is_unspecified else f"all who reach {self.address}"
        guard = {"": ", without a password", None: ", with what it asks for itself"}.get(
            self.guard, f", with {self.guard}"
        )
        jobs = "; it runs jobs for them (MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false ends that)" if self.jobs else ""
        return f"{self.program} ({self.process}) on port {self.port} to {to}{guard}{jobs}"


def open_ports() -> Iterator[OpenPort]:
    """Ports that programs of this user (of everybody, for root) listen on, in order; those of others cannot be seen."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            program = program_of(command, process.name())
            if program is None:
                continue
            environment = process.environ()
            sockets = process.net_connections(kind="tcp")
        except (psutil.Error, OSError):
            continue
        for socket in (each for each in sockets if each.status == psutil.CONN_LISTEN):
            address = str(socket.laddr[0])
            found[int(socket.laddr[1]), address] = OpenPort(
                program=program,
                process=process.name(),
                pid=process.pid,
                address=address,
                port=int(socket.laddr[1]),
                guard=guard_of(program, command, environment),
                jobs=program == "MLflow" and _is_on(environment.get("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")),
            )
    return iter(found[place] for place in sorted(found))


def program_of(command: str, name: str) -> str | None:
    """Whose a process is, by its command line and name; None when it is none of ours to tell."""
    if name.startswith("postgres"):
        return "PostgreSQL"
    return next((whose for whose, parts in PROGRAMS.items() if any(part in command for part in parts)), None)


def guard_of(program: str, command: str, environment: Mapping[str, str]) -> str | None:
    """What keeps others from using a port, see :class:`OpenPort`."""
    if program == "Ray":
        mode = environment.get("RAY_AUTH_MODE")
        return None if mode is None else "the cluster's token" if mode == "token" else ""
    if program == "MLflow":
        return "a password" if "basic-auth" in command or "MLFLOW_AUTH_CONFIG_PATH" in environment else ""
    return None


def _is_on(value: str) -> bool:
    return value.lower() in {"true", "1"}


def mine() -> str:
    """For whose processes :func:`open_ports` looks."""
    return "of this machine" if os.geteuid() == 0 else "of this user"
