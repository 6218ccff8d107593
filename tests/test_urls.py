"""URLs of databases and servers: refused in one line before anything is opened, and never shown with a secret."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.errors import UsageError
from autosched.urls import database_url, redacted, sqlite_file, without_secrets

ALL = ("sqlite", "postgresql", "mysql")
SECRET = st.text(string.ascii_letters + string.digits + "@:/?#&=%+ äß'", min_size=5).filter(lambda s: s.strip("/") == s)
"""What a password may be; it begins and ends with no slash, which would only move the host."""


@given(
    user=st.sampled_from(["me", ""]),
    secret=SECRET,
    scheme=st.sampled_from(["postgresql", "mysql+pymysql", "https", "redis", "s3"]),
    quoted=st.booleans(),
)
def test_a_password_before_the_host_is_never_shown(user: str, secret: str, scheme: str, quoted: bool) -> None:
    secret = f"Q{secret}Q"
    written = quote(secret, safe="") if quoted else secret
    url = f"{scheme}://{user}:{written}@host:1/db?sslmode=require"
    shown = without_secrets(url)
    assert secret not in shown
    assert written not in shown
    assert not any(part in shown for part in written.split("?") if len(part) > 2)
    assert redacted(f"cannot open {url}: refused", url) == f"cannot open {shown}: refused"


@given(secret=SECRET, name=st.sampled_from(["password", "passwd", "PWD", "token", "sslpassword", "api_key", "x"]))
def test_the_value_of_an_option_is_shown_only_when_it_is_known_to_be_harmless(secret: str, name: str) -> None:
    written = quote(f"Q{secret}Q", safe="")
    for url in (f"postgresql://host/db?{name}={written}&sslmode=require", f"sqlite:///x.db?{name}={written}"):
        assert written not in without_secrets(url)
    assert without_secrets(f"postgresql://host/db?{name}={written}&sslmode=require").endswith(
        f"?{name}=***&sslmode=require"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////home/a@b/x.db", "sqlite:////home/a@b/x.db"),
        ("sqlite:///file:x.db?mode=ro&uri=true", "sqlite:///file:x.db?mode=ro&uri=true"),
        ("autosched.db", "autosched.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://me@host:5000/x", "http://***@host:5000/x"),
        ("postgresql:/me:secret@host", "postgresql://***@host"),
        ("postgresql://me:a?secret@host/db", "postgresql://***"),
    ],
)
def test_what_is_no_secret_stays(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("x.db", "the ledger must be a URL such as sqlite:///autosched.db, but got 'x.db'."),
        ("sqlite:x.db", "the ledger must be a URL such as"),
        ("redis://host/0", "the ledger must be sqlite or postgresql or mysql, but got 'redis'."),
        ("PostgreSQL://host/db", "but got 'PostgreSQL'."),
        ("postgresql://me:secret@host:abc/db", "a whole number as its port, but got 'postgresql://***@host:abc/db'."),
        ("postgresql://host:/db", "the ledger must have a whole number as its port"),
        ("postgresql://[::1/db", "the ledger must have a whole number as its port"),
        ("postgresql://host:99999/db", "the ledger must have a port from 1 to 65535, but got 99999."),
        ("postgresql://host:-1/db", "the ledger must have a port from 1 to 65535, but got -1."),
        ("sqlite+nope:///x.db", "the ledger names a driver that SQLAlchemy does not know, 'sqlite+nope'."),
        ("postgresql+asyncpg://host/db", "needs asyncpg (postgresql+asyncpg): pip install asyncpg."),
        ("mysql://host/db", "the ledger needs MySQLdb (mysql): pip install mysqlclient."),
        ("sqlite://host/x.db", "must have three slashes before its file, as sqlite:///x.db"),
        ("sqlite://me:secret@/x.db", "must have three slashes before its file, as sqlite:///x.db"),
        ("sqlite://", "the ledger must name a file"),
        ("sqlite:///:memory:", "the ledger must name a file"),
        ("sqlite:///a\0b", "the ledger must name a file"),
    ],
)
def test_a_database_that_could_never_be_opened_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(UsageError) as info:
        database_url(url, "the ledger", ALL)
    assert says in str(info.value)
    assert "\n" not in str(info.value)
    assert "secret" not in str(info.value)


def test_a_sound_url_names_its_driver_and_its_file() -> None:
    assert database_url("postgresql://[::1]:5432/db", "it", ALL).drivername == "postgresql+psycopg"
    assert sqlite_file(database_url("sqlite:///a/b.db", "it", ALL)) == Path("a/b.db")
    assert sqlite_file(database_url("sqlite:////a/m%C3%BC%3Fb.db", "it", ALL)) == Path("/a/mü?b.db")
    assert sqlite_file(database_url("postgresql://host/db", "it", ALL)) is None
