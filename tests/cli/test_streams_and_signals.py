"""Streams that nobody reads, programs that print where a document goes, and signals that come more than once."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import TUNE, run, write_space
from example_study import SPACE, example_study

from autosched.cli.options import kept_for_json, show
from autosched.guarded import run_guarded
from autosched.interruption import STOPS, terminable
from autosched.printed import tell
from autosched.study.progress import PlainProgress


def unread() -> io.TextIOWrapper:
    """A pipe whose reader has gone, as after ``| head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", encoding="utf-8")


def test_what_nobody_reads_is_given_up_and_nothing_is_flushed_later() -> None:
    with unread() as stream:
        assert not tell("a line", stream)
        assert tell("another", stream)  # it goes nowhere
        print("a third", file=stream)


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("stream", "why"), [(unread, "nobody reads it"), (Full, "No space left on device")])
def test_progress_that_cannot_be_told_ends_no_study_and_is_said_once(stream, why, capsys) -> None:
    with stream() as opened:
        progress = PlainProgress(opened, SPACE, example_study().state)
        progress.note("trial 0 complete")
        progress.note("trial 1 complete")
    assert capsys.readouterr().err == f"autosched: progress is not told any more, {why}; the study goes on.\n"


def test_stdout_is_kept_for_the_document_whatever_prints_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    with kept_for_json(True):
        print("by Python")
        os.write(1, b"by a library\n")
        subprocess.run(["echo", "by a process"], check=True)
    show(True, {"a": 1}, [])
    shown = capfd.readouterr()
    assert json.loads(shown.out) == {"a": 1}
    assert {"by Python", "by a library", "by a process"} <= set(shown.err.splitlines())


PRINTS = """\
import os
from workers.simulated import SimulatedTrainer
print("on import")

class Prints(SimulatedTrainer):
    def train(self, lrs):
        print("in training", flush=True)
        os.write(1, b"and past Python\\n")
        return super().train(lrs)
"""


def test_a_trainer_that_prints_leaves_one_document_on_stdout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("prints_much.py").write_text(PRINTS)
    write_space({"use: simulated": "use: prints_much:Prints"})
    assert run([*TUNE, "--set", "budget.trials=1"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["study"] == "s"
    assert {"on import", "in training", "and past Python"} <= set(shown.err.splitlines())
    assert "autosched: `autosched serve s` shows it live: http://127.0.0.1:8377/study/s" in shown.err.splitlines()


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_second_signal_does_not_disturb_what_the_first_began_to_put_away(number: signal.Signals) -> None:
    before = [signal.getsignal(stop) for stop in STOPS]
    put_away = False

    def body() -> None:
        nonlocal put_away
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            for again in STOPS:
                os.kill(os.getpid(), again)
            time.sleep(0.01)
            put_away = True

    with pytest.raises(KeyboardInterrupt), terminable():
        body()
    assert put_away
    assert [signal.getsignal(stop) for stop in STOPS] == before


def test_a_signal_that_is_ignored_already_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


SERVER = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVER}"
RUN = """
import sys
from autosched.guarded import run_guarded
sys.exit(run_guarded([sys.executable, "-c", sys.argv[1]]))
"""


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds; one that is dead and not waited for is gone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_lines_of_a_guarded_program_are_heard_from_both_its_streams() -> None:
    heard: list[str] = []
    said = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert run_guarded([sys.executable, "-S", "-c", said], heard=heard.append) == 3
    assert heard == ["out", "err"]


def test_a_server_and_what_it_started_end_with_the_program_whatever_ends_that() -> None:
    cases = [(signal.SIGTERM, SERVER), (signal.SIGKILL, SERVER), (signal.SIGINT, STUBBORN)]
    begun = [
        subprocess.Popen([sys.executable, "-c", RUN, server], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _, server in cases
    ]
    children = [int(process.stdout.readline()) for process in begun]
    for process, (number, _) in zip(begun, cases, strict=True):
        process.send_signal(number)
    assert [gone(child) for child in children] == [True] * len(cases)
    for process in begun:
        process.wait(20)
        process.stdout.close()
        process.stderr.close()


def test_the_exit_code_of_a_guarded_program_is_its_own() -> None:
    assert subprocess.run([sys.executable, "-c", RUN, "raise SystemExit(7)"], check=False).returncode == 7
