"""Where MLflow keeps runs: its address, a quick look whether it is there, and a client for it.

MLflow itself is patient and talkative: it tries a database for 100 s and a server for minutes, prints links to stdout,
and asks the internet whether it may report usage. Here an absence is an error within seconds, because whoever uses the
client (:mod:`autosched.tracking.mirror`) waits and tries again by itself, and nothing leaves the machine.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from autosched.errors import TrackingError, UsageError
from autosched.randomness import key
from autosched.urls import database_url, sqlite_file, without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALLOWED = "sqlite:///FILE, postgresql://…, mysql://…, mssql://…, or the http(s):// address of an MLflow server"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
CONNECT_SECONDS = 5
TABLES_SECONDS = 60
"""How long to wait for another process that makes MLflow's tables, which takes some seconds."""
ARTIFACTS = "mlartifacts"
"""The folder beside a SQLite file for the artifacts of its runs."""
MOVE_RUNS = """
UPDATE runs SET artifact_uri = :now || substr(artifact_uri, length(:before) + 1)
WHERE experiment_id = :id AND substr(artifact_uri, 1, length(:before)) = :before
"""
# MLflow takes these from the environment only. A value that the user has set wins.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # errors arrive as exceptions; the log would repeat them with a traceback
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(CONNECT_SECONDS),
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAddress:
    """A place MLflow can write to.

    Attributes:
        uri: as MLflow is given it; a SQLite path is absolute where it can be.
        shown: the same for people, without secrets.
        artifact_root: where a new experiment keeps its files; None leaves it to MLflow (a server knows).
        file: of a SQLite database, absolute.
    """

    uri: str
    shown: str
    artifact_root: str | None
    is_database: bool
    file: Path | None = None


def parse_address(uri: str, artifact_root: str | None = None) -> StoreAddress:
    """Read a tracking URI.

    A local SQLite file gets the folder ``mlartifacts`` beside it for artifacts, so that it does not depend on the
    folder a command is started in.

    Raises:
        UsageError: not an address MLflow can write to.
    """
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    if is_server(uri):
        return _server_address(uri, artifact_root)
    if scheme in DATABASES:
        return _database_address(uri, artifact_root)
    raise UsageError(f"the tracking uri must be {ALLOWED}, but got {without_secrets(uri)!r}.")


def is_server(uri: str) -> bool:
    """Whether a tracking URI is that of a server, and not of a database."""
    return uri.partition(":")[0].lower() in {"http", "https"}


def _server_address(uri: str, artifact_root: str | None) -> StoreAddress:
    shown = without_secrets(uri)
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"the tracking uri {shown!r} cannot be: {error}.") from None
    if not host:
        raise UsageError(f"the tracking uri must name a host, as in http://127.0.0.1:5000, but got {shown!r}.")
    return StoreAddress(uri=uri.rstrip("/"), shown=shown, artifact_root=artifact_root, is_database=False)


def _database_address(uri: str, artifact_root: str | None) -> StoreAddress:
    url = database_url(uri, "the tracking uri", DATABASES)
    file = sqlite_file(url)
    if file is None:
        return StoreAddress(
            uri=url.render_as_string(hide_password=False),
            shown=without_secrets(uri),
            artifact_root=artifact_root,
            is_database=True,
        )
    file = file.absolute()
    return StoreAddress(
        uri=f"sqlite:///{_unquoted(file)}",
        shown=f"sqlite:///{file}",
        artifact_root=artifact_root or (file.parent / ARTIFACTS).as_uri(),
        is_database=True,
        file=file,
    )


def _unquoted(file: Path) -> str:
    """The file as it can stand in a URL as it is: MLflow makes its folder before anything decodes what was quoted.

    Raises:
        UsageError: it cannot, neither as seen from the root nor from the current folder.
    """
    for written in (str(file), os.path.relpath(file)):
        if not {"%", "?"} & set(written):
            return written
    raise UsageError(f"MLflow cannot use a path with % or ? in it: start in the folder of {file}, or name another.")


def probe_database(address: StoreAddress) -> None:
    """Connect once and read a little: MLflow would try a database that is away or damaged for 100 s.

    Raises:
        Exception: whatever the driver raises.
    """
    url = make_url(address.uri)
    backend = url.get_backend_name()
    timeout = {"connect_timeout": CONNECT_SECONDS} if backend in {"postgresql", "mysql"} else {}
    engine = create_engine(url, connect_args=timeout)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master" if backend == "sqlite" else "SELECT 1"))
    finally:
        engine.dispose()


def move_artifacts(address: StoreAddress, experiment: str, before: str) -> None:
    """Have an experiment's artifacts where the database is now, when its folder was moved or copied.

    MLflow keeps whole paths and has no call to change them.

    Args:
        before: where the experiment says that its artifacts are.
    """
    if before == address.artifact_root:
        return
    values = {"now": address.artifact_root, "before": before, "id": int(experiment)}
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(str(address.file), timeout=CONNECT_SECONDS))
    try:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE experiments SET artifact_location = :now WHERE experiment_id = :id"), values
            )
            connection.execute(text(MOVE_RUNS), values)
    finally:
        engine.dispose()


def connect(address: StoreAddress) -> MlflowClient:
    """A client of its own: nothing of MLflow's process-wide state (tracking URI, active run) is read or changed.

    Raises:
        Exception: whatever MLflow or a driver raises when the place is away, damaged or too old.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if not address.is_database:
        return MlflowClient(tracking_uri=address.uri)
    with alone(address):
        probe_database(address)
        client = MlflowClient(tracking_uri=address.uri)
        client.search_experiments(max_results=1)  # makes the tables, if nothing before it did
    return client


@contextmanager
def alone(address: StoreAddress) -> Iterator[None]:
    """Let no other process of autosched make the tables of this database meanwhile: MLflow's would stumble over both.

    SQLite: a lock on a file beside it. PostgreSQL: an advisory lock. Both vanish with the process that holds them.

    Raises:
        TimeoutError: another process has held it for a minute.
        OSError: a folder of a SQLite file that cannot be made or written.
    """
    if address.file is not None:
        address.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{address.file}.lock", timeout=TABLES_SECONDS):
            yield
    elif make_url(address.uri).get_backend_name() == "postgresql":
        engine = create_engine(address.uri, poolclass=NullPool)  # closing the connection gives the lock up
        with engine.connect() as connection:
            connection.execute(text(f"SET lock_timeout = '{TABLES_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key("mlflow tables")})
            yield
    else:
        yield


def server_version(uri: str) -> str:
    """Which MLflow a server is, asked with the credentials of the environment.

    Raises:
        TrackingError: it does not say.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        creds = get_default_host_creds(uri.rstrip("/"))  # type: ignore[no-untyped-call]
        answer = http_request(creds, "/version", "GET")  # type: ignore[no-untyped-call]
    except MlflowException as error:
        raise TrackingError(f"{without_secrets(uri)} does not say its version: {error.message}") from None
    if answer.status_code != HTTPStatus.OK:
        raise TrackingError(f"{without_secrets(uri)} does not say its version: it answers {answer.status_code}")
    return str(answer.text).strip()
