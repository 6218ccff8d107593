from __future__ import annotations

import json
import math
import re
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosched.errors import AutoschedError, LedgerError, StudyError, UsageError
from autosched.ledger.events import (
    EVENT_TYPES,
    Event,
    LimitsChanged,
    RangeTested,
    SearchEnded,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    StageAdvanced,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
    decode,
    encode,
    kind_of,
)
from autosched.ledger.fold import fold
from autosched.ledger.records import Decision, Divergence, Failure, Forecast, Observation, Point
from autosched.ledger.store import Ledger

FORECAST = Forecast(mean=1.5, low=1.4, high=1.61, law="mpl", step=40)
SEEN = Observation(
    segment="a" * 40,
    start=0,
    stop=40,
    points=(
        Point(step=20, loss=2.0000000000000004, metrics={"train_loss": 2.1}),
        Point(step=40, loss=0.1, merged={2: 0.09, 4: 0.08}),
    ),
    checkpoint="file:///c/aa.ckpt",
    trained=40,
    seconds=0.25,
)
EVENTS: list[Event] = [
    StudyCreated(space={"study": "s", "nested": {"a": [1, 2.5, None]}}, versions={"torch": "2"}),
    SessionStarted(backend="ray", workers=2),
    RangeTested(segment="b" * 40, steps=171, at=171, low=2e-3, high=0.1 + 0.2, divergence_lr=None, reason="go on"),
    TrialProposed(
        trial=0, role="pilot", family="wsd", params={"peak_lr": 0.1}, seed=3, fingerprint="f", at=0, until=40
    ),
    SegmentScheduled(trial=0, segment="a" * 40, start=0, stop=40, due=40),
    SegmentFailed(failure=Failure(segment="a" * 40, kind="worker_died", reason="gone"), attempt=1),
    SegmentFinished(observation=SEEN),
    TrialAdvanced(trial=0, segment="a" * 40, step=40, shared=False, at=40),
    TrialJudged(trial=0, step=40, decision=Decision(action="keep", reason="too early", forecast=FORECAST)),
    LimitsChanged(budget={"trials": 9, "minutes": None}, workers=4),
    StageAdvanced(stage=0, step=40, lr=0.1, trial=0, at=40),
    SearchEnded(reason="nothing is worth it", gain=1e-4, steps=40, at=40),
    TrialEnded(
        trial=0,
        status="diverged",
        step=40,
        at=40,
        reason="NaN",
        forecast=FORECAST,
        divergence=Divergence(step=38, loss=math.inf, reason="loss is infinite"),
    ),
    TrialResumed(trial=0, role="search", until=80, reason="it may win", at=80),
    StudyFinished(reason="1 trial", stats={"utilisation": 0.97}),
]


def test_the_examples_cover_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(EVENT_TYPES.values())


@pytest.mark.parametrize("event", EVENTS, ids=kind_of)
def test_an_event_reads_back_as_it_was_written(event: Event) -> None:
    assert decode(kind_of(event), encode(event)) == event


def test_events_come_back_in_order_and_bit_exact(ledger: Ledger) -> None:
    ledger.append("s", 0, EVENTS[:4])
    ledger.append("s", 4, EVENTS[4:])
    stamped = list(ledger.read("s"))
    assert [s.number for s in stamped] == list(range(len(EVENTS)))
    assert [s.event for s in stamped] == EVENTS
    assert [s.event for s in ledger.read("s", 9)] == EVENTS[9:]


def test_a_second_writer_fails_and_changes_nothing(ledger: Ledger, url: str) -> None:
    other = Ledger(url)
    ledger.append("s", 0, EVENTS[:2])
    with pytest.raises(StudyError, match="another process is writing the study 's'"):
        other.append("s", 1, EVENTS[2:4])
    assert [s.event for s in ledger.read("s")] == EVENTS[:2]
    other.close()


def test_an_append_is_one_transaction(ledger: Ledger) -> None:
    ledger.append("s", 1, EVENTS[1:2])
    with pytest.raises(StudyError):
        ledger.append("s", 0, [EVENTS[0], EVENTS[5]])
    assert list(ledger.read("s", 0)) == list(ledger.read("s", 1))
    assert ledger.segment("a" * 40) is None


def test_a_finished_segment_is_found_from_any_study(ledger: Ledger) -> None:
    ledger.append("s", 0, [SegmentFinished(observation=SEEN)])
    assert ledger.segment("a" * 40) == SEEN
    assert ledger.segment("b" * 40) is None
    ledger.append("t", 0, [SegmentFinished(observation=SEEN)])
    assert ledger.segment("a" * 40) == SEEN


def test_two_studies_may_finish_the_same_segment_at_the_same_moment(ledger: Ledger, url: str) -> None:
    rivals = [Ledger(url) for _ in range(4)]
    barrier = threading.Barrier(len(rivals))

    def finish(number: int) -> None:
        barrier.wait()
        for event in range(20):
            seen = replace(SEEN, segment=f"{event:040}", seconds=float(number))
            rivals[number].append(f"s{number}", event, [SegmentFinished(observation=seen)])

    with ThreadPoolExecutor(len(rivals)) as pool:
        list(pool.map(finish, range(len(rivals))))
    assert all(ledger.segment(f"{event:040}") is not None for event in range(20))
    for rival in rivals:
        rival.close()


def test_an_unknown_study_names_those_that_exist(ledger: Ledger) -> None:
    ledger.append("first", 0, EVENTS[:1])
    with pytest.raises(StudyError, match=r"no study 'second' .* it has: first"):
        ledger.state("second")


def test_studies_are_listed_with_their_end(ledger: Ledger) -> None:
    ledger.append("open", 0, EVENTS[:1])
    ledger.append("done", 0, [EVENTS[0], EVENTS[-1]])
    assert {row.name: (row.events, row.finished) for row in ledger.studies()} == {"open": (1, False), "done": (2, True)}


def test_one_process_may_hold_a_study(ledger: Ledger, url: str) -> None:
    refused = pytest.raises(StudyError, match="another process is running the study 's'")
    with ledger.lease("s"), ledger.lease("another"), refused, Ledger(url).lease("s"):
        pass
    with ledger.lease("s"):
        pass


def test_of_two_drivers_that_start_at_the_same_moment_one_runs(ledger: Ledger, url: str) -> None:
    """Fifty times; the other says in one line who has the study, and writes nothing."""
    rivals, barrier = [Ledger(url) for _ in range(2)], threading.Barrier(2)
    ledger.append("s", 0, EVENTS[:1])

    def drive(number: int) -> list[str]:
        said = []
        for _ in range(50):
            barrier.wait()
            try:
                with rivals[number].lease("s"):
                    start = rivals[number].state("s").events
                    rivals[number].append("s", start, [SessionStarted(backend=str(number), workers=1)])
                    said.append("ran")
                    barrier.wait()  # it holds the study until the other has been refused
            except StudyError as error:
                said.append(str(error))
                barrier.wait()
        return said

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(drive, range(2))
    for said in zip(first, second, strict=True):
        (refused,) = [text for text in said if text != "ran"]
        who = re.fullmatch(r"another process is running the study 's' \((.*)\); wait for it or stop it.", refused)
        assert who is not None
        assert re.match(r"process \d+ on |connected to the server from |just begun", who[1])
    assert ledger.state("s").events == 51
    for rival in rivals:
        rival.close()


def test_one_can_see_whether_a_study_is_held(ledger: Ledger, url: str) -> None:
    assert not Ledger(url).lease("s").is_held()
    with ledger.lease("s"):
        assert Ledger(url).lease("s").is_held()
    assert not Ledger(url).lease("s").is_held()


def test_a_killed_process_gives_its_lease_up(url: str) -> None:
    code = f"""
import os, signal
from autosched.ledger.store import Ledger
lease = Ledger({url!r}).lease("s")
lease.__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Ledger(url).lease("s"):
        pass


def test_many_processes_may_open_a_new_ledger_at_once(url: str) -> None:
    code = f"from autosched.ledger.store import Ledger; input(); Ledger({url!r}).studies()"
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(6)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert [racer.communicate()[1] for racer in racers] == [""] * 6


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


def test_a_full_ledger_is_one_clear_line_and_keeps_what_it_has(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.append("s", 0, EVENTS[:1])
    with ledger._engine.connect() as connection:  # SQLite's own limit stands for a full disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    big = StudyCreated(space={"text": "x" * 100_000}, versions={})
    with pytest.raises(LedgerError, match=r"cannot write the ledger .* database or disk is full"):
        ledger.append("s", 1, [big])
    assert [s.event for s in ledger.read("s")] == EVENTS[:1]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("no url", "must be a URL such as sqlite:///autosched.db, but got 'no url'"),
        ("mysql://root@127.0.0.1/test", "must be sqlite or postgresql, but got 'mysql'"),
        ("postgresql://postgres@127.0.0.1/test?port=zzz", "refuses an option: Received non-integer port arguments"),
        ("postgresql://postgres@127.0.0.1/test?prepare_threshold=zzz", "refuses an option: '>=' not supported"),
        ("sqlite:////nowhere/at/all/l.db", "folder /nowhere/at/all does not exist"),
    ],
)
def test_a_bad_url_is_a_usage_error(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Ledger(url)


def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no ledger"):
        Ledger(f"sqlite:///{tmp_path}/l.db", create=False)
    assert not (tmp_path / "l.db").exists()


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        Ledger("postgresql://user:secret@127.0.0.1:1/test")
    assert "secret" not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_deleted_in_use_is_not_written_as_if_it_were_there(tmp_path, replaced):
    path = tmp_path / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    path.unlink()
    if replaced:
        Ledger(f"sqlite:///{path}").close()
    with pytest.raises(LedgerError, match="was deleted or replaced while it was in use: nothing is kept any more"):
        ledger.append("s", 0, [StudyCreated(space={}, versions={})])
    ledger.close()


def test_who_only_looks_needs_no_right_to_write(ledger, url):
    ledger.append("s", 0, [StudyCreated(space={}, versions={})])
    reading = (
        f"{url.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true"
        if url.startswith("sqlite")
        else f"{url}%20-cdefault_transaction_read_only%3Don"
    )
    looking = Ledger(reading, create=False)
    assert [row.name for row in looking.studies()] == ["s"]
    assert not looking.lease("s").is_held()
    with pytest.raises(LedgerError, match="cannot write the ledger"):
        looking.append("s", 1, [StudyFinished(reason="")])
    looking.close()
