"""Where MLflow keeps runs: its address, a quick look whether it is there, and a client for it.

MLflow itself is patient and talkative: it tries a database for 100 s and a server for minutes, prints links to stdout,
and asks the internet whether it may report usage. Here an absence is an error within seconds, because whoever uses the
client (:mod:`autosched.tracking.mirror`) waits and tries again by itself, and nothing leaves the machine.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from autosched.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALLOWED = "sqlite:///FILE, postgresql://…, mysql://…, mssql://…, or the http(s):// address of an MLflow server"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
CONNECT_SECONDS = 5
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
        uri: as MLflow is given it; a SQLite path is absolute.
        shown: the same for people, without a password.
        artifact_root: where a new experiment keeps its files; None leaves it to MLflow (a server knows).
    """

    uri: str
    shown: str
    artifact_root: str | None
    is_database: bool


def parse_address(uri: str, artifact_root: str | None = None) -> StoreAddress:
    """Read a tracking URI.

    A local SQLite file gets the folder ``mlartifacts`` beside it for artifacts, so that it does not depend on the
    folder a command is started in.

    Raises:
        TrackingError: not an address MLflow can write to.
    """
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    if scheme in {"http", "https"}:
        return _server_address(uri, artifact_root)
    if scheme in DATABASES:
        return _database_address(uri, artifact_root)
    raise _not_allowed(uri)


def _not_allowed(uri: str) -> TrackingError:
    without_password = re.sub(r"//[^/@]*@", "//***@", uri)
    return TrackingError(f"the tracking uri must be {ALLOWED}, but got {without_password!r}.")


def _server_address(uri: str, artifact_root: str | None) -> StoreAddress:
    parts = urlsplit(uri)
    if not parts.hostname:
        raise TrackingError(f"the tracking uri must name a host, as in http://127.0.0.1:5000, but got {uri!r}.")
    host = parts.netloc.rpartition("@")[2]
    shown = urlunsplit(parts._replace(netloc=f"***@{host}" if "@" in parts.netloc else host))
    return StoreAddress(uri=uri.rstrip("/"), shown=shown, artifact_root=artifact_root, is_database=False)


def _database_address(uri: str, artifact_root: str | None) -> StoreAddress:
    try:
        url = make_url(uri)
    except ArgumentError:
        raise _not_allowed(uri) from None
    if url.get_backend_name() == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise TrackingError(f"the tracking uri must name a file, as in sqlite:///mlflow.db, but got {uri!r}.")
        path = Path(str(url.database)).absolute()
        url = url.set(database=str(path))
        artifact_root = artifact_root or str(path.parent / "mlartifacts")
    elif url.drivername == "postgresql" and importlib.util.find_spec("psycopg2") is None:
        url = url.set(drivername="postgresql+psycopg")  # the driver autosched's own ledger uses
    return StoreAddress(
        uri=url.render_as_string(hide_password=False),
        shown=url.render_as_string(hide_password=True),
        artifact_root=artifact_root,
        is_database=True,
    )


def probe_database(address: StoreAddress) -> None:
    """Connect once and read a little: MLflow would try a database that is away or damaged for 100 s.

    Raises:
        Exception: whatever the driver raises; a folder of a SQLite file that cannot be made raises OSError.
    """
    url = make_url(address.uri)
    backend = url.get_backend_name()
    if backend == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    timeout = {"connect_timeout": CONNECT_SECONDS} if backend in {"postgresql", "mysql"} else {}
    engine = create_engine(url, connect_args=timeout)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master" if backend == "sqlite" else "SELECT 1"))
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

    if address.is_database:
        probe_database(address)
    return MlflowClient(tracking_uri=address.uri)
