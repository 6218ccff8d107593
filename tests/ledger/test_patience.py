"""A ledger on a server that cuts connections, restarts, or does not answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from autosched.errors import LedgerError, StudyError
from autosched.ledger import patience
from autosched.ledger.events import SegmentFinished, SessionStarted
from autosched.ledger.records import Observation
from autosched.ledger.store import Ledger

CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = :name
"""
EVENT = SessionStarted(backend="local", workers=1)


@pytest.fixture
def cut(server_url: str) -> Callable[[], int]:
    """Cuts all connections of the ledger, as a server that restarts does; returns how many there were."""
    name = sa.make_url(server_url).query["application_name"]
    admin = sa.create_engine(sa.make_url(server_url).difference_update_query(["application_name"]))

    def run() -> int:
        with admin.connect() as connection:
            return int(connection.execute(sa.text(CUT), {"name": name}).scalar() or 0)

    return run


def test_a_study_outlives_cuts_at_every_moment(server_url: str, cut: Callable[[], int]) -> None:
    ledger, rival = Ledger(server_url), Ledger(server_url.replace("application_name", "fallback_application_name"))
    moments = ("begin", "before_cursor_execute", "after_cursor_execute", "commit")
    armed: list[str] = []

    def cuts_at(moment: str) -> Callable[..., None]:
        def run(*_: object) -> None:
            if moment in armed:
                armed.clear()
                assert cut() >= 1

        return run

    for moment in moments:
        sa.event.listen(ledger._engine, moment, cuts_at(moment))
    with ledger.lease("s"):
        for number, moment in enumerate(moments * 2):
            armed.append(moment)
            ledger.append("s", number, [EVENT])
            assert not armed
            assert rival.lease("s").is_held()
    assert [stamped.event for stamped in rival.read("s")] == [EVENT] * 8
    ledger.close()
    rival.close()


def test_events_that_were_committed_before_the_cut_are_written_once(server_url: str) -> None:
    ledger = Ledger(server_url)

    def committed_and_cut(connection: sa.Connection) -> None:
        sa.event.remove(ledger._engine, "commit", committed_and_cut)
        connection.connection.driver_connection.commit()
        raise sa.exc.OperationalError("COMMIT", {}, ConnectionError("gone"), connection_invalidated=True)

    ledger.append("s", 0, [EVENT])
    sa.event.listen(ledger._engine, "commit", committed_and_cut)
    ledger.append("s", 1, [EVENT, EVENT])
    ledger.append("s", 3, [EVENT])
    assert len(list(ledger.read("s"))) == 4
    ledger.close()


def test_a_driver_that_lost_its_lease_to_another_says_so(server_url: str, cut: Callable[[], int]) -> None:
    ledger, next_one = Ledger(server_url), Ledger(server_url.replace("application_name", "fallback_application_name"))
    with ledger.lease("s"):
        ledger.append("s", 0, [EVENT])
        cut()
        with next_one.lease("s"):
            next_one.append("s", 1, [EVENT])
            with pytest.raises(StudyError, match="cut the connection that held the study 's', and another process has"):
                ledger.append("s", 1, [EVENT])
            next_one.append("s", 2, [EVENT])
    assert len(list(next_one.read("s"))) == 3
    ledger.close()
    next_one.close()


def test_results_are_found_after_a_cut(server_url: str, cut: Callable[[], int]) -> None:
    ledger = Ledger(server_url)
    seen = Observation(segment="a", start=0, stop=1, points=(), checkpoint=None, trained=1, seconds=0.0)
    ledger.append("s", 0, [SegmentFinished(observation=seen)])
    cut()
    assert ledger.segment("a") == seen
    ledger.close()


def test_a_server_that_stays_away_is_one_line(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_SECONDS", 0.3)
    ledger = Ledger(server_url)
    ledger._engine.dispose()
    url = sa.make_url(server_url).set(port=1)
    ledger._engine = sa.create_engine(url)
    with pytest.raises(LedgerError, match=r"cannot write the ledger .*refused"):
        ledger.append("s", 0, [EVENT])


def test_a_server_that_does_not_answer_is_said(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SILENT_SECONDS", 0.01)
    ledger, holder = Ledger(server_url), Ledger(server_url)
    with holder._engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE autosched_events"))

        def tell_and_let_go(line: str, stream: object) -> None:
            said.append(line)
            connection.rollback()

        said: list[str] = []
        monkeypatch.setattr(patience, "tell", tell_and_let_go)
        ledger.append("s", 0, [EVENT])
    assert said == [f"autosched: the ledger {ledger.place} has not answered for 0.01 s; still waiting."]
    ledger.close()
    holder.close()


def test_what_is_no_cut_is_not_done_again() -> None:
    full = type("DiskFull", (Exception,), {"sqlstate": "53100"})()
    assert not patience.is_cut(sa.exc.OperationalError("INSERT", {}, full))
    assert patience.is_cut(sa.exc.OperationalError("INSERT", {}, type("Gone", (Exception,), {"sqlstate": "57P01"})()))
    assert not patience.is_cut(sa.exc.IntegrityError("INSERT", {}, ValueError()))
