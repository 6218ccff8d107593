from __future__ import annotations

import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from every_event import EVENTS, SEEN

from autosched.errors import LedgerError, StudyError, UsageError
from autosched.ledger.events import (
    EVENT_TYPES,
    Event,
    SegmentFinished,
    SessionStarted,
    StudyCreated,
    StudyFinished,
    decode,
    encode,
    kind_of,
)
from autosched.ledger.store import Ledger


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
