"""Ledgers that were damaged or changed: what is not as it was written is named, and nothing of it is believed."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from every_event import EVENTS, SEEN
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosched.errors import AutoschedError, LedgerError
from autosched.ledger.events import SegmentFinished, decode, encode, kind_of
from autosched.ledger.fold import fold
from autosched.ledger.store import Ledger


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"this is no database, it only looks like a file" * 50)
    with pytest.raises(LedgerError, match=r"cannot open the ledger .*bad\.db: file is not a database"):
        Ledger(f"sqlite:///{tmp_path}/bad.db")


@pytest.mark.parametrize("payload", ['{"half', "{}", '{"backend": "ray", "workers": "two", "more": 1}'])
def test_a_damaged_event_is_one_clear_line(payload: str) -> None:
    with pytest.raises(LedgerError, match="damaged 'session_started' event"):
        decode("session_started", payload)


CHANGES = {
    "a loss": "payload = replace(payload, '0.1', '0.2')",
    "a kind": "kind = 'trial_advanced'",
    "a time": "time = time + 1",
    "no digest": "payload = '{}'",
    "another row": "payload = (SELECT payload FROM autosched_events WHERE study = 't' AND number = 6)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_event_that_was_changed_is_named(ledger: Ledger, url: str, change: str) -> None:
    for study in ("s", "t"):
        for number, event in enumerate(EVENTS):
            ledger.append(study, number, [event])
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE autosched_events SET {change} WHERE study = 's' AND number = 6"))
    engine.dispose()
    reopened = Ledger(url)
    with pytest.raises(LedgerError, match=r"event 6 \(\w+\) of study 's' in .* was changed after it was written"):
        list(reopened.read("s"))
    with pytest.raises(LedgerError, match="event 6"):
        list(reopened.read("s", 6))
    assert len(list(reopened.read("s", 8))) == len(EVENTS) - 8
    assert [stamped.event for stamped in reopened.read("t")] == EVENTS
    reopened.close()


def test_events_that_changed_places_are_found(ledger: Ledger, url: str) -> None:
    ledger.append("s", 0, EVENTS)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for before, after in ((3, 99), (5, 3), (99, 5)):
            connection.execute(sa.text(f"UPDATE autosched_events SET number = {after} WHERE number = {before}"))
    engine.dispose()
    with pytest.raises(LedgerError, match="event 3"):
        list(ledger.read("s"))


def test_a_result_for_other_studies_that_was_changed_is_not_believed(ledger: Ledger, url: str) -> None:
    ledger.append("s", 0, [SegmentFinished(observation=SEEN)])
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE autosched_segments SET payload = replace(payload, '0.1', '0.05')"))
    engine.dispose()
    with pytest.raises(
        LedgerError, match=r"result of segment aaaaaaaaaaaa in .* was changed .*: `autosched tune --fre"
    ):
        ledger.segment("a" * 40)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a ledger in which a study has all kinds of events."""
    path = tmp_path_factory.mktemp("ledger") / "l.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.append("s", 0, EVENTS)
    ledger.close()
    return path.read_bytes()


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=3),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_of_a_ledgers_file_changes_or_is_cut_off_no_other_event_is_read(
    written: bytes, tmp_path: Path, flips: list[tuple[float, int]], kept: float
) -> None:
    """At worst the last ones are gone, as if they had not been committed; their work is done again."""
    changed = bytearray(written)
    for place, bit in flips:
        changed[int(place * len(changed))] ^= 1 << bit
    del changed[int(kept * len(changed)) :]
    path = tmp_path / "l.db"
    path.write_bytes(changed)
    try:
        ledger = Ledger(f"sqlite:///{path}", create=False)
        read = list(ledger.read("s"))
        fold("s", [replace(stamped, event=EVENTS[1]) for stamped in read])  # which looks whether one is missing
    except AutoschedError:
        return
    finally:
        for left in tmp_path.iterdir():
            left.unlink()
    assert [stamped.event for stamped in read] == EVENTS[: len(read)]


def test_events_of_a_version_without_digests_are_vouched_for_by_the_next_one(ledger: Ledger, url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for number, event in enumerate(EVENTS[:3]):
            connection.execute(
                sa.text("INSERT INTO autosched_events VALUES ('s', :number, 1.5, :kind, :payload)"),
                {"number": number, "kind": kind_of(event), "payload": encode(event)},
            )
    assert [stamped.event for stamped in ledger.read("s")] == EVENTS[:3]
    Ledger(url).append("s", 3, EVENTS[3:5])
    Ledger(url).append("s", 5, EVENTS[5:])
    assert [stamped.event for stamped in ledger.read("s")] == EVENTS
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE autosched_events SET time = 2.5 WHERE number = 1"))
    engine.dispose()
    with pytest.raises(LedgerError, match=r"event 3 \(trial_proposed\) or an earlier one of study 's'"):
        list(ledger.read("s"))


def test_a_missing_event_is_one_clear_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/l.db"
    Ledger(url).append("s", 0, EVENTS[:4])
    with sqlite3.connect(tmp_path / "l.db") as connection:
        connection.execute("DELETE FROM autosched_events WHERE number = 2")
    with pytest.raises(LedgerError, match="event 2 of study 's' is missing"):
        Ledger(url).state("s")


def test_an_event_of_a_newer_version_is_refused() -> None:
    with pytest.raises(LedgerError, match="unknown event 'trial_cloned'"):
        decode("trial_cloned", json.dumps({}))
