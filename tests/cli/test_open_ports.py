"""What `doctor` says of servers: how old, what is open, and to whom."""

from __future__ import annotations

import pytest

from autosched.cli.open_ports import OpenPort, guard_of, program_of
from autosched.cli.server_commands import check_mlflow
from autosched.errors import TrackingError


@pytest.mark.parametrize("version", ["3.11.0", "3.17.2", "4.0.0rc1"])
def test_an_mlflow_without_known_holes_is_taken(version: str) -> None:
    check_mlflow(version, "it")


@pytest.mark.parametrize("version", ["3.10.1", "2.22.4", "3.9"])
def test_an_older_one_is_refused(version: str) -> None:
    with pytest.raises(TrackingError, match=rf"it is version {version}, which has .* must be 3\.11 or newer"):
        check_mlflow(version, "it")


@pytest.mark.parametrize(
    ("address", "guard", "says", "unguarded"),
    [
        ("127.0.0.1", "", "to this machine, without a password", False),
        ("0.0.0.0", "", "to all who reach this machine, without a password", True),
        ("::", "the cluster's token", "to all who reach this machine, with the cluster's token", False),
        ("10.0.0.7", None, "to all who reach 10.0.0.7, with what it asks for itself", False),
    ],
)
def test_a_port_is_said_with_who_reaches_it(address: str, guard: str | None, says: str, unguarded: bool) -> None:
    port = OpenPort(program="Ray", process="raylet", pid=1, address=address, port=80, guard=guard)
    assert str(port) == f"Ray (raylet) on port 80 {says}"
    assert port.is_unguarded == unguarded


def test_an_mlflow_that_runs_jobs_is_named() -> None:
    port = OpenPort(program="MLflow", process="python", pid=1, address="127.0.0.1", port=5000, guard="", jobs=True)
    assert "it runs jobs for them (MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false ends that)" in str(port)


def test_whose_a_process_is_and_what_guards_it() -> None:
    assert program_of("python -m mlflow server --port 5000", "python") == "MLflow"
    assert program_of("/usr/lib/postgresql/15/bin/postgres -D data", "postgres") == "PostgreSQL"
    assert program_of("python train.py", "python") is None
    assert guard_of("Ray", "raylet", {"RAY_AUTH_MODE": "token"}) == "the cluster's token"
    assert guard_of("Ray", "raylet", {"RAY_AUTH_MODE": "disabled"}) == ""
    assert guard_of("Ray", "raylet", {}) is None
    assert guard_of("MLflow", "mlflow server", {}) == ""
    assert guard_of("MLflow", "mlflow server --app-name basic-auth", {}) == "a password"
