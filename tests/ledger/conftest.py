"""Ledgers to test on: SQLite always, PostgreSQL when it answers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from autosched.ledger.store import Ledger

POSTGRES = os.environ.get("AUTOSCHED_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


def postgres_answers() -> bool:
    try:
        sa.create_engine(POSTGRES, connect_args={"connect_timeout": 2}).connect().close()
    except sa.exc.OperationalError:
        return False
    return True


STORES = ["sqlite", *(["postgresql"] if postgres_answers() else [])]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ledger URL of its own for each test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
    else:
        with schema_of_its_own() as made:
            yield made


@pytest.fixture(params=[store for store in STORES if store != "sqlite"])
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A ledger URL of its own on a server; its connections have the name of an application of its own."""
    with schema_of_its_own() as made:
        yield f"{made}&application_name={uuid.uuid4().hex}"


@contextmanager
def schema_of_its_own() -> Iterator[str]:
    schema = f"autosched_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {schema}"))
    yield f"{POSTGRES}?options=-csearch_path%3D{schema}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    made = Ledger(url)
    yield made
    made.close()
