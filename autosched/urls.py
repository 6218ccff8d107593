"""URLs that people give: read in one place, checked before anything is opened, and shown without what is secret.

What is secret in a URL follows from what its parts mean, not from their shape: whatever stands before the host, and
every value behind the ``?`` but those of options that are known to be harmless. A SQLite URL names a file alone.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from autosched.errors import UsageError
from autosched.text_files import other_than_a_file

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

MASK = "***"
NAME = re.compile(r"[\w.-]+")
HARMLESS = frozenset(
    {
        *("application_name", "channel_binding", "connect_timeout", "dbname", "host", "hostaddr", "options", "port"),
        *("sslmode", "target_session_attrs", "user"),
        *("cache", "immutable", "mode", "nolock", "timeout", "uri"),
        *("charset", "driver", "encrypt", "trusted_connection"),
    }
)
"""Options whose values are shown: those of libpq, of SQLite's file URIs and of ODBC that hold no secret."""
PACKAGES = {"psycopg": "'autosched[postgres]'", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""What to install for a module whose package has another name."""


def without_secrets(text: str) -> str:
    """A URL as it may be shown; text that is no URL is returned as it is.

    Example:
        >>> without_secrets("postgresql://me:secret@host/db?password=other&sslmode=require")
        'postgresql://***@host/db?password=***&sslmode=require'
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not {"@", "?"} & set(rest):
        return text
    place, asked, query = rest.partition("?")
    file = scheme.partition("+")[0].lower() == "sqlite" and rest.startswith("///")
    if "@" in rest and not file:
        if "@" not in place:  # the ? may be a password's
            return f"{scheme}://{MASK}"
        place = f"//{MASK}@{place.rpartition('@')[2]}"
    return f"{scheme}:{place}{asked}{'&'.join(map(_option, query.split('&')))}"


def without_password(text: str) -> str:
    """A URL that another process can use which gets the password elsewhere, from PGPASSFILE, say; else as it is.

    Example:
        >>> without_password("postgresql://me:secret@host/db?password=other&sslmode=require")
        'postgresql://me@host/db?sslmode=require'
    """
    if MASK not in without_secrets(text) or text.partition("+")[0].partition(":")[0].lower() == "sqlite":
        return text
    scheme, _, rest = text.partition("://")
    place, _, query = rest.partition("?")
    user, at, host = place.rpartition("@")
    kept = [option for option in query.split("&") if option and _option(option) == option]
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{'?' if kept else ''}{'&'.join(kept)}"


def _option(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):  # a password may have a ? and an = of its own
        return MASK if text else text
    return text if name.lower() in HARMLESS or not value else f"{name}={MASK}"


def redacted(message: str, url: str) -> str:
    """A message, of a driver say, in which the URL is shown as it may be."""
    return message.replace(url, without_secrets(url))


def database_url(text: str, what: str, backends: Sequence[str]) -> URL:
    """The URL of a database, which could be opened as far as can be said without opening it.

    Args:
        what: it is, for the message, e.g. ``"the ledger"``.
        backends: that are allowed, e.g. ``("sqlite", "postgresql")``.

    Raises:
        UsageError: no URL, another backend, a driver that is unknown or not installed, a port that is none, or a
            SQLite URL that names a host or no file.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    shown = repr(without_secrets(text))
    try:
        url = make_url(text)
    except ArgumentError:
        raise UsageError(f"{what} must be a URL such as sqlite:///autosched.db, but got {shown}.") from None
    except ValueError:
        raise UsageError(f"{what} must have a whole number as its port, but got {shown}.") from None
    backend = url.get_backend_name()
    if backend not in backends:
        raise UsageError(f"{what} must be {' or '.join(backends)}, but got {url.drivername!r}.")
    if url.port is not None and not 0 < url.port < 2**16:
        raise UsageError(f"{what} must have a port from 1 to 65535, but got {url.port}.")
    if backend == "sqlite":
        _check_file(url, what, shown)
    if url.drivername == "postgresql" and (find_spec("psycopg") or not find_spec("psycopg2")):
        url = url.set(drivername="postgresql+psycopg")  # SQLAlchemy's own choice is the older psycopg2
    _check_driver(url, what)
    return url


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL; None for another database."""
    return Path(str(url.database).removeprefix("file:")) if url.get_backend_name() == "sqlite" else None


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file, in which only what would end a path is quoted."""
    return f"sqlite:///{str(file).replace('%', '%25').replace('?', '%3F')}"


def _check_file(url: URL, what: str, shown: str) -> None:
    if url.host or url.username or url.port:
        raise UsageError(f"{what} must have three slashes before its file, as sqlite:///x.db, but got {shown}.")
    if url.database in {None, "", ":memory:"} or "\0" in str(url.database):
        raise UsageError(f"{what} must name a file, as in sqlite:///autosched.db, but got {shown}.")
    try:
        kind = other_than_a_file(Path(str(url.database)))
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise UsageError(f"{what} cannot have this name: {error.strerror}, {shown}.") from None
        return  # what is not there yet is made, or said when it is opened
    if kind is not None:
        raise UsageError(f"{what} must be a file, but {url.database} is {kind}.")


def _check_driver(url: URL, what: str) -> None:
    from sqlalchemy.exc import NoSuchModuleError

    try:
        url.get_dialect().import_dbapi()
    except NoSuchModuleError:
        raise UsageError(f"{what} names a driver that SQLAlchemy does not know, {url.drivername!r}.") from None
    except ImportError as error:
        package = PACKAGES.get(error.name or "", error.name or "its package")
        raise UsageError(f"{what} needs {error.name} ({url.drivername}): pip install {package}.") from None
