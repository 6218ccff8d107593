"""A real MLflow server on loopback, killed in the middle."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autosched.testing.mlflow_picture import mlflow_picture
from autosched.testing.tracker_contract import TrackerContract
from autosched.tracking.memory_tracker import MemoryTracker, RunPicture
from autosched.tracking.mirror import Mirror, Waits
from autosched.tracking.mlflow_tracker import MlflowTracker
from autosched.tracking.tracker import STUDY
from autosched.tracking.translation import study_run

pytestmark = pytest.mark.slow
LONG = 200.0
QUICK = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Server:
    """An MLflow server in processes of its own, on one port and one store however often it is started."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        store += ["--artifacts-destination", str(self._folder / "artifacts")]
        place = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *store, *place],
            env={**os.environ, **QUICK},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self._process, ready), daemon=True).start()
        assert ready.wait(LONG), "the server did not start"
        assert self._process.poll() is None

    @staticmethod
    def _read(process: subprocess.Popen[str], ready: threading.Event) -> None:
        """Reads the log to its end, or the server would stop when the pipe is full."""
        assert process.stderr is not None
        with process.stderr as log:
            for line in log:
                if "Uvicorn running on" in line:  # the port answers only now
                    ready.set()

    def kill(self) -> None:
        """kill -9 to all of its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(LONG)
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    new_store(folder)
    server = Server(folder)
    server.start()
    yield server
    server.kill()


class TestMlflowTrackerOnAServer(TrackerContract):
    @pytest.fixture
    def connect(self, server: Server) -> Callable[[], MlflowTracker]:
        return lambda: MlflowTracker(server.uri, experiment="contract")

    @pytest.fixture
    def look(self, server: Server) -> Callable[[str], dict[int, RunPicture]]:
        return lambda identity: mlflow_picture(server.uri, "contract", identity)


def test_a_session_prints_no_links_to_stdout(server, story, schedule_of, capfd):
    mirror = Mirror(MlflowTracker(server.uri, experiment="silent"), "demo", schedule_of)
    mirror.start(story)
    assert mirror.close(LONG) == 0
    assert capfd.readouterr() == ("", "")


def test_a_server_killed_in_the_middle_loses_and_doubles_nothing(server, story, schedule_of):
    memory = MemoryTracker()
    expected = Mirror(memory, "demo", schedule_of)
    expected.start(story)
    assert expected.close(LONG) == 0

    mirror = Mirror(
        MlflowTracker(server.uri, experiment="killed"), "demo", schedule_of, waits=Waits(first=0.05, longest=0.5)
    )
    mirror.start(story[:1])
    for part in (story[1:12], story[12:25]):
        mirror.flush(LONG)
        for stamped in part[:-1]:
            mirror.put(stamped)
        server.kill()  # while it is being written to
        mirror.put(part[-1])
        assert mirror.flush(0.5) > 0
        server.start()
        assert mirror.flush(LONG) == 0
        assert mirror.last_error is None
    for stamped in story[25:]:
        mirror.put(stamped)
    mirror.put_artifact(STUDY, "report.html", b"<html>")
    assert mirror.close(LONG) == 0

    seen = mlflow_picture(server.uri, "killed", study_run("demo", story[0], tags={}).identity)
    assert seen[STUDY].artifacts["report.html"] == b"<html>"
    assert list(seen) == list(memory.picture())
    for run, shown in memory.picture().items():
        assert (seen[run].status, seen[run].ended) == (shown.status, shown.ended)
        assert seen[run].metrics == shown.metrics
        assert seen[run].params == shown.params
