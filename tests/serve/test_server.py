"""Who may look at the live page, what it answers, and that it writes nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest
from carried import moments_of
from example_study import example_study
from served import append, serving

from autosched.engine.dispatcher import LOGS, log_name
from autosched.ledger.store import Ledger
from autosched.report.moments import Story
from autosched.schedules import Schedule
from autosched.serve.access import Access, is_loopback
from autosched.serve.watched import Watched


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def answer(url: str, **headers: str) -> tuple[int, str, HTTPMessage]:
    """Status, text and headers; redirections are not followed."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.build_opener(_Stays).open(request, timeout=60) as found:
            return found.status, found.read().decode(), found.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    store = Ledger(url)
    append(store, "wsd-demo", example_study().events)
    append(store, "begun", example_study().events[:60])
    store.close()
    return url


@pytest.fixture(scope="module")
def place(ledger: str) -> Iterator[str]:
    with serving(ledger) as (place, _):
        yield place


def test_the_list_has_every_study_with_its_state(place: str) -> None:
    found = json.loads(answer(f"{place}/api/studies")[1])
    assert {row["study"]: row["state"] for row in found} == {"wsd-demo": "finished", "begun": "interrupted"}


def test_a_document_is_that_of_the_report(place: str) -> None:
    found = json.loads(answer(f"{place}/api/study/wsd-demo/document")[1])
    story = Story.of("wsd-demo", example_study().events)
    told = [(moment["event"], moment["kind"], moment.get("trial")) for moment in story.moments]
    assert [(moment["event"], moment["kind"], moment.get("trial")) for moment in moments_of(found)] == told
    assert found["head"]["summary"]["best"]["trial"] == 12
    assert Schedule.from_json(answer(f"{place}/api/study/wsd-demo/schedule")[1]) == example_study().schedules[12]
    assert Schedule.from_json(answer(f"{place}/api/study/wsd-demo/schedule?trial=1")[1]) == example_study().schedules[1]


def test_news_are_what_happened_since_and_nothing_else(place: str) -> None:
    with urllib.request.urlopen(f"{place}/api/study/wsd-demo/follow?after=300", timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.read().decode().splitlines()
    assert lines[0] == f"id: {len(example_study().events)}"
    news = json.loads(lines[1].removeprefix("data: "))
    new = [moment for moment in moments_of(news) if moment["event"] >= 300]
    assert [moment["event"] for moment in new] == list(range(300, len(example_study().events)))
    touched = {moment["trial"] for moment in new if "trial" in moment}
    assert [trial["trial"] for trial in news["trials"]] == sorted(touched)


@pytest.mark.parametrize(
    "path", ["/api/study/none/document", "/api/study/begun/logs/0", "/api/study/begun/schedule?trial=99"]
)
def test_what_is_not_there_is_said_in_a_line(place: str, path: str) -> None:
    status, text, _ = answer(f"{place}/api/study/{path}")
    assert status == 404
    assert len(text.splitlines()) == 1


def test_what_a_trial_printed_and_the_law_are_had_of_the_server(ledger: str, place: str) -> None:
    printed = Path(ledger.removeprefix("sqlite:///")).parent / "reports" / "wsd-demo" / LOGS / log_name(3)
    printed.parent.mkdir(parents=True)
    printed.write_text("epoch 1 <b>\n")
    status, text, headers = answer(f"{place}/api/study/wsd-demo/logs/3")
    assert (status, text, headers["Content-Type"]) == (200, "epoch 1 <b>\n", "text/plain; charset=utf-8")
    law = json.loads(answer(f"{place}/api/study/wsd-demo/law")[1])
    assert law["misfit"] < 0.1
    assert {(surface["x"], surface["y"]) for surface in law["surfaces"]} == {("peak_lr", "cooldown_fraction")}


def test_how_much_is_read_is_told_while_a_study_is_waited_for(ledger: str) -> None:
    of = len(example_study().events)
    with serving(ledger) as (place, _):
        progress = f"{place}/api/study/wsd-demo/progress"
        assert json.loads(answer(progress)[1]) == {"read": 0, "of": of}
        answer(f"{place}/api/study/wsd-demo/document")
        assert json.loads(answer(progress)[1]) == {"read": of, "of": of}
        assert json.loads(answer(f"{place}/api/study/none/progress")[1]) == {"read": 0, "of": 0}


def test_the_link_to_a_study_is_told_when_it_is_read(ledger: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "autosched", "serve", "wsd-demo", "--port", str(port), "--ledger", ledger]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("reading wsd-demo of ")
            assert f" on http://127.0.0.1:{port}/study/wsd-demo; " in process.stdout.readline()
            found = json.loads(answer(f"http://127.0.0.1:{port}/api/study/wsd-demo/progress")[1])
            assert found["read"] == found["of"] > 0
        finally:
            process.terminate()


def test_the_page_may_load_from_its_server_alone(place: str) -> None:
    status, text, headers = answer(f"{place}/study/%3Cb%3E")
    assert status == 200
    assert "<b>" not in text
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_from_elsewhere_cannot_read_through_a_browser_here(place: str) -> None:
    assert answer(f"{place}/api/studies", Host="elsewhere.example")[0] == 421
    request = urllib.request.Request(f"{place}/api/studies", method="POST", data=b"")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(request, timeout=60)


def test_off_loopback_a_token_is_asked_for(ledger: str) -> None:
    with serving(ledger, host="0.0.0.0") as (place, access):
        assert answer(f"{place}/api/studies")[0] == 403
        assert answer(f"{place}/?token=wrong")[0] == 403
        status, _, headers = answer(f"{place}/study/wsd-demo{access.query}&trial=3")
        assert (status, headers["Location"]) == (303, "/study/wsd-demo?trial=3")
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in headers["Set-Cookie"].split(";")}
        assert answer(f"{place}/api/studies", Cookie=cookie)[0] == 200
        assert answer(f"{place}/api/studies", Cookie=cookie + "x")[0] == 403


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.0.1", "localhost.example", "")))
    assert Access.on("127.0.0.1").query == ""
    assert len(Access.on("::").query) > 30


def test_looking_writes_nothing(ledger: str, tmp_path: Path) -> None:
    file = Path(ledger.removeprefix("sqlite:///"))
    copy = shutil.copy(file, tmp_path / "ledger.db")
    before = copy.read_bytes()
    with serving(f"sqlite:///{copy}") as (place, _):
        answer(f"{place}/api/studies")
        answer(f"{place}/api/study/begun/document")
    assert copy.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.db", "ledger.db-shm", "ledger.db-wal"}


def test_a_story_that_goes_on_is_that_of_all_its_events() -> None:
    events = example_study().events
    story = Story.of("wsd-demo", events[:100])
    assert story.read(events[100:]) == len(events) - 100
    assert story.moments == Story.of("wsd-demo", events).moments


def test_what_one_reader_was_told_is_kept_for_the_next(tmp_path: Path) -> None:
    url, events = f"sqlite:///{tmp_path / 'ledger.db'}", example_study().events
    store = Ledger(url)
    append(store, "wsd-demo", events[:120])
    watched = Watched(url)
    is_read = threading.Event()
    watched.read_ahead("there is none", is_read)
    assert is_read.is_set()
    whole = watched.whole("wsd-demo")
    assert watched.whole("wsd-demo") is whole
    assert watched.news("wsd-demo", whole.events) is None
    append(store, "wsd-demo", events[120:])
    news = watched.news("wsd-demo", whole.events)
    assert news is not None
    assert (news.events, news.finished) == (len(events), True)
    assert watched.news("wsd-demo", whole.events) is news
    assert len(news.document) < len(watched.whole("wsd-demo").document)
    store.close()
