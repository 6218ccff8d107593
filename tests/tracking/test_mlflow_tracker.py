import multiprocessing
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from autosched.errors import AutoschedError, TrackingError, TrackingRefusal
from autosched.testing.mlflow_picture import mlflow_picture
from autosched.testing.tracker_contract import TrackerContract, losses, trial_run
from autosched.tracking import mlflow_store
from autosched.tracking.memory_tracker import MemoryTracker, RunPicture
from autosched.tracking.mirror import Mirror
from autosched.tracking.mlflow_store import connect, parse_address
from autosched.tracking.mlflow_tracker import MlflowTracker
from autosched.tracking.tracker import STUDY, Metric, StudyRun
from autosched.tracking.translation import study_run

pytestmark = pytest.mark.slow
EXPERIMENT = "schedules"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow store #1")


@pytest.fixture(scope="module")
def uri(folder: Path, new_store: Callable[[Path], str]) -> str:
    return new_store(folder)


def study(identity: str) -> StudyRun:
    return StudyRun(name="demo", identity=identity, params={}, tags={}, time=100.0)


class TestMlflowTrackerOnSqlite(TrackerContract):
    @pytest.fixture
    def connect(self, uri: str) -> Callable[[], MlflowTracker]:
        return lambda: MlflowTracker(uri, experiment=EXPERIMENT)

    @pytest.fixture
    def look(self, uri: str) -> Callable[[str], dict[int, RunPicture]]:
        return lambda identity: mlflow_picture(uri, EXPERIMENT, identity)


def essence(picture: dict[int, RunPicture]) -> dict[int, dict[str, object]]:
    """What both trackers must agree on: MLflow adds tags of its own."""
    return {
        run: {
            "name": shown.name,
            "status": shown.status,
            "params": shown.params,
            "metrics": shown.metrics,
            "artifacts": shown.artifacts,
            "reason": shown.tags.get("autosched.reason"),
            "started": shown.started,
            "ended": shown.ended,
        }
        for run, shown in picture.items()
    }


def test_a_mirrored_study_looks_in_mlflow_as_it_does_in_memory(uri, story, schedule_of):
    memory, mlflow = MemoryTracker(), MlflowTracker(uri, experiment="mirrored")
    for tracker in (memory, mlflow):
        for events in (story[:17], story):
            mirror = Mirror(tracker, "demo", schedule_of)
            mirror.start(events)
            assert mirror.close(60) == 0, mirror.last_error
    seen = mlflow_picture(uri, "mirrored", study_run("demo", story[0], tags={}).identity)
    assert essence(seen) == essence(memory.picture())


def test_trials_are_nested_under_the_study(uri):
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    parent = tracker.open(study("nested"))
    child = connect(parse_address(uri)).get_run(tracker.start_trial(trial_run(4)))
    assert child.data.tags["mlflow.parentRunId"] == parent
    assert child.data.tags["autosched.study"] == "demo"
    assert child.data.tags["autosched.trial"] == "4"
    assert child.data.tags["mlflow.runName"] == "0004 wsd"


def test_artifacts_of_a_local_store_lie_beside_the_database(uri, folder):
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    run_id = tracker.open(study("artifacts"))
    tracker.artifact(STUDY, "plots/lr.txt", b"lr")
    assert (folder / "mlartifacts" / run_id / "artifacts" / "plots" / "lr.txt").read_bytes() == b"lr"


def test_a_relative_store_does_not_move_with_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracker = MlflowTracker("sqlite:///mlflow.db", experiment=EXPERIMENT)
    assert tracker.uri == f"sqlite:///{tmp_path}/mlflow.db"


def test_deleted_runs_are_brought_back_instead_of_doubled(uri):
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    ids = [tracker.open(study("deleted")), tracker.start_trial(trial_run(0)), tracker.start_trial(trial_run(1))]
    client = connect(parse_address(uri))
    for run_id in ids:
        client.delete_run(run_id)
    with pytest.raises(TrackingError, match="active"):
        tracker.log(0, losses(1))
    again = [tracker.open(study("deleted")), tracker.start_trial(trial_run(0))]
    tracker.log(1, losses(1))
    assert again == ids[:2]
    assert list(mlflow_picture(uri, EXPERIMENT, "deleted")) == [STUDY, 0, 1]


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(uri):
    tracker = MlflowTracker(uri, experiment="thrown away")
    tracker.check()
    client = connect(parse_address(uri))
    client.delete_experiment(client.get_experiment_by_name("thrown away").experiment_id)
    with pytest.raises(TrackingError, match=r"mlflow experiments restore --experiment-id \d+"):
        tracker.check()


def test_no_state_of_mlflow_itself_is_changed(uri):
    import mlflow

    before = mlflow.get_tracking_uri()
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    tracker.open(study("state"))
    tracker.log(STUDY, losses(1))
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None


SESSION = """
import sys
from autosched.tracking.mlflow_tracker import MlflowTracker
from autosched.tracking.tracker import STUDY, Metric, StudyRun
from autosched.tracking.translation import study_run
assert "mlflow" not in sys.modules
tracker = MlflowTracker(sys.argv[1], experiment="quiet")
tracker.open(StudyRun(name="demo", identity="1", params={"a": "1"}, tags={}, time=0.0))
tracker.artifact(STUDY, "a.txt", b"a")
tracker.end(STUDY, "FINISHED", time=1.0, tags={})
tracker.close()
"""


def test_a_session_on_a_new_store_prints_nothing_and_imports_mlflow_late(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SESSION, f"sqlite:///{tmp_path}/new/mlflow.db"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("", "")


def refused(uri: str) -> str:
    """The one line a tracker gives up with."""
    began = time.monotonic()
    with pytest.raises(AutoschedError) as caught:
        MlflowTracker(uri, experiment=EXPERIMENT).check()
    assert time.monotonic() - began < 10
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "uri", ["./mlruns", "file:///tmp/x", "mlflow.db", "http://", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_mlflow_cannot_write_to_says_what_is_allowed(uri):
    assert repr(uri) in refused(uri)


def test_processes_that_begin_on_a_new_store_together_all_find_it(tmp_path):
    """MLflow's own making of tables does not bear two at once."""
    uri, context = f"sqlite:///{tmp_path}/new/mlflow.db", multiprocessing.get_context("fork")
    barrier = context.Barrier(3)

    def begin() -> None:
        barrier.wait()
        MlflowTracker(uri, experiment="shared").check()

    racers = [context.Process(target=begin) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0, 0, 0]


def test_a_store_that_another_process_makes_for_ever_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(mlflow_store, "TABLES_SECONDS", 0.01)
    with FileLock(f"{tmp_path}/mlflow.db.lock"), pytest.raises(TrackingError, match=r"mlflow\.db\.lock"):
        MlflowTracker(f"sqlite:///{tmp_path}/mlflow.db", experiment="e").check()


def test_a_server_that_is_not_there_is_told_within_seconds():
    text = refused(f"http://127.0.0.1:{free_port()}")
    assert "Connection refused" in text


def test_a_database_server_that_is_not_there_is_told_within_seconds_and_without_its_password():
    text = refused(f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/mlflow")
    assert "refused" in text
    assert "secret" not in text


@pytest.mark.parametrize("scheme", ["http", "postgres"])
def test_a_password_is_never_shown(scheme):
    text = refused(f"{scheme}://me:secret@127.0.0.1:{free_port()}/x")
    assert "secret" not in text
    assert "***@127.0.0.1" in text


def test_a_file_that_is_no_database_is_told_at_once_and_left_as_it_is(tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"this is a text file" * 100)
    assert "file is not a database" in refused(f"sqlite:///{file}")
    assert file.read_bytes() == b"this is a text file" * 100


def test_a_damaged_database_is_told_at_once(tmp_path, uri, folder):
    MlflowTracker(uri, experiment=EXPERIMENT).check()
    with sqlite3.connect(folder / "mlflow.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = (folder / "mlflow.db").read_bytes()
    (tmp_path / "mlflow.db").write_bytes(whole[: len(whole) // 3])
    assert "malformed" in refused(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_store_in_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "taken").write_text("")
    assert "taken" in refused(f"sqlite:///{tmp_path}/taken/mlflow.db")


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>not mlflow</html>")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_server_that_is_not_mlflow_is_told():
    with serving() as uri:
        assert "JSON" in refused(uri)


def test_a_server_that_never_answers_is_given_up_after_the_users_own_time_out(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "timed out" in refused(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_names_of_any_length_and_kind_are_taken_and_stay_apart(uri):
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    run = tracker.open(replace(study("names"), params={"p" * 300: "1"}, tags={"t" * 300: "1"}))
    keys = ["n" * 300, "n" * 299 + "m", "a/b/../c", "..", "ä/ö", "a//b", "/", "", "loss\n"]
    for key in keys:
        tracker.log(STUDY, losses(1, key=key))
    logged = connect(parse_address(uri)).get_run(run).data.metrics
    assert len(logged) == len(keys) - 2  # "..", "/" and "" are one
    assert max(map(len, logged)) == 250


def test_what_mlflow_will_never_take_is_told_apart_from_its_absence(uri):
    tracker = MlflowTracker(uri, experiment=EXPERIMENT)
    tracker.open(study("refused"))
    with pytest.raises(TrackingRefusal):
        tracker.log(STUDY, [Metric(key=3, value=1.0, step=0, time=0.0)])
    connect(parse_address(uri)).delete_run(tracker._id(STUDY))
    with pytest.raises(TrackingRefusal, match="active"):
        tracker.log(STUDY, losses(1))
    tracker.open(study("refused"))
    tracker.log(STUDY, losses(1))
