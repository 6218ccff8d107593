import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from autosched.ledger.records import Failure, Observation
from tests.workers.command.commands import (
    EVERY,
    HORIZON,
    PYTHON,
    losses_of,
    options,
    points,
    runner,
    schedule,
    segment,
)
from workers.command import ending

EVALUATED = range(EVERY, HORIZON + 1, EVERY)
RESUMES = """
import json, os, sys
lrs, start, stop, load, save = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
w = float(open(load + "/w").read()) if load else 3.0
for step, lr in list(enumerate(map(float, open(lrs))))[start:stop]:
    w -= lr * w
    print(json.dumps({"step": step + 1, "loss": 0.1 + w * w}))
os.mkdir(save)
open(save + "/w", "w").write(repr(w))
"""
RESUMING = options(RESUMES, "{lrs}", "{start}", "{stop}", "{checkpoint_in}", "{checkpoint_out}")


@pytest.fixture(autouse=True)
def nothing_remains(tmp_path, monkeypatch):
    """Every test leaves no temporary folder and no process with a token behind."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []


@pytest.fixture
def worker():
    held = runner()
    yield held
    held.forget()


def test_a_whole_run_gives_the_losses_that_its_script_reports(worker, tmp_path):
    seen = worker.run(segment(options(), 0, HORIZON, folder=tmp_path))
    expected = losses_of(schedule().lrs)
    assert points(seen) == {step: expected[step] for step in EVALUATED}
    assert (seen.trained, seen.checkpoint) == (HORIZON, None)


def test_a_run_without_checkpoints_is_one_process_for_all_its_segments(worker, tmp_path):
    whole = points(worker.run(segment(options(), 0, HORIZON, folder=tmp_path)))
    parts = [worker.run(segment(options(), start, start + 10, folder=tmp_path / "parts")) for start in range(0, 40, 10)]
    assert {step: loss for part in parts for step, loss in points(part).items()} == whole
    assert [part.trained for part in parts] == [10, 10, 10, 10]
    assert (tmp_path / "parts/logs/trial-7.log").read_text().count("== updates") == 1


def test_another_worker_trains_a_run_without_checkpoints_from_its_start_and_reports_what_is_new(worker, tmp_path):
    seen = worker.run(segment(options(), 20, 30, folder=tmp_path))
    assert (list(points(seen)), seen.start, seen.trained) == ([25, 30], 0, 30)


def test_runs_without_checkpoints_share_no_prefix(tmp_path):
    long, short = (schedule().lrs.copy() for _ in range(2))
    short[30:] = 0
    first, second = (
        segment(options(), 0, 10, folder=tmp_path, plan=type(schedule())(lrs=lrs)) for lrs in (long, short)
    )
    assert first.id != second.id


def test_a_command_with_checkpoints_is_run_for_every_segment_and_gives_the_losses_of_an_uncut_run(worker, tmp_path):
    expected = losses_of(schedule().lrs)
    parts = [worker.run(segment(RESUMING, start, start + 10, folder=tmp_path)) for start in range(0, 40, 10)]
    assert {s: loss for part in parts for s, loss in points(part).items()} == {s: expected[s] for s in EVALUATED}
    again = runner()
    assert points(again.run(segment(RESUMING, 30, 40, folder=tmp_path))) == points(parts[-1])
    again.forget()


ATTACHED = """
import os, autosched
lr, w = autosched.attach(), 3.0
if lr.checkpoint_in:
    w = float(open(lr.checkpoint_in).read())
for step in range(lr.start, lr.stop):
    w -= lr(step) * w
    lr.report(step + 1, 0.1 + w * w)
if lr.checkpoint_out:
    open(lr.checkpoint_out, "w").write(repr(w))
"""


@pytest.mark.parametrize("fields", [[], ["{checkpoint_in}", "{checkpoint_out}"]], ids=["whole", "resuming"])
def test_a_script_that_is_attached_gets_its_lrs_and_says_its_losses(worker, tmp_path, fields):
    given = {"run": [sys.executable, "-c", ATTACHED, *fields], "losses": {"take": "last"}}
    parts = [worker.run(segment(given, start, start + 20, folder=tmp_path)) for start in (0, 20)]
    expected = losses_of(schedule().lrs)
    assert {s: loss for part in parts for s, loss in points(part).items()} == {s: expected[s] for s in EVALUATED}


def test_what_a_command_prints_is_in_the_trials_log(worker, tmp_path):
    worker.run(segment(options(), 0, HORIZON, folder=tmp_path))
    lines = (tmp_path / "logs/trial-7.log").read_text().splitlines()
    assert lines[0].startswith("== updates 0 to 40: ")
    assert lines[-1].startswith('{"step": 40, ')


def ended(outcome):
    assert isinstance(outcome, Failure), outcome
    return outcome.reason


WRONG = {
    "raise ValueError('no data')": "it ended with exit code 1; its last line: ValueError: no data",
    "import sys; sys.exit('the text')": "it ended with exit code 1; its last line: the text",
    "import os; os._exit(3)": "it ended with exit code 3; it printed nothing",
    "import os; os.kill(os.getpid(), 9)": "it was ended by SIGKILL (exit code 137): out of memory?",
    "import os; os.abort()": "it was ended by SIGABRT (exit code 134): it crashed in native code",
    "pass": "it reported no loss at all",
    'print(\'{"step": 5, "loss": 1}\')': "it reported its last loss at update 5 of 10",
}


@pytest.mark.parametrize(("source", "reason"), WRONG.items(), ids=lambda text: text[:30])
def test_a_command_that_goes_wrong_is_a_failure_in_words(worker, tmp_path, source, reason):
    outcome = worker.run(segment(options(source), 0, HORIZON, folder=tmp_path))
    assert reason in ended(outcome)
    assert "trial-7.log" in outcome.reason


def test_a_program_that_is_not_there_is_named(worker, tmp_path):
    outcome = worker.run(segment({**options(), "run": ["no-such-program"]}, 0, HORIZON, folder=tmp_path))
    assert "the command cannot be started: No such file or directory: no-such-program" in ended(outcome)


def test_a_loss_that_is_not_a_number_is_a_divergence(worker, tmp_path):
    source = 'print(\'{"step": 5, "loss": 1}\'); print(\'{"step": 8, "loss": NaN}\')'
    outcome = worker.run(segment(options(source), 0, HORIZON, folder=tmp_path))
    assert isinstance(outcome, Observation)
    assert (outcome.divergence.step, outcome.divergence.reason) == (8, "the loss is nan.")


def test_a_command_that_hangs_is_ended(worker, tmp_path):
    hanging = options("import time; time.sleep(1000)", silence_minutes=0.002)
    assert "it reported no loss for 0.002 minutes" in ended(worker.run(segment(hanging, 0, 10, folder=tmp_path)))
    slow = options("import time; time.sleep(1000)", time_limit_minutes=0.002)
    assert "longer than its time limit of 0.002 minutes" in ended(worker.run(segment(slow, 0, 10, folder=tmp_path)))


def test_a_flood_of_output_is_taken_in_and_its_end_kept(worker, tmp_path):
    flood = options("import os\nfor _ in range(512): os.write(1, b'x' * 65535 + b'\\n')\nprint('the end')", log_mib=0.1)
    ended(worker.run(segment(flood, 0, HORIZON, folder=tmp_path)))
    log = (tmp_path / "logs/trial-7.log").read_bytes()
    assert len(log) < 200_000
    assert log.endswith(b"the end\n")
    assert b"bytes are left out here" in log


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(1000)"], start_new_session=True)
print('{"step": 10, "loss": 1}', flush=True)
time.sleep(1000)
"""


def test_a_command_that_ignores_sigterm_is_killed_with_children_of_other_sessions(worker, tmp_path):
    stubborn = options(STUBBORN, grace_seconds=0.1)
    first = segment({**stubborn, "losses": {"format": "json_lines"}}, 0, 10, folder=tmp_path)
    outcome = worker.run(first)
    assert "between updates 0 and 5 it reported no loss" in ended(outcome)


def test_a_trial_that_ends_takes_its_command_with_it(worker, tmp_path):
    running = options('import time; print(\'{"step": 5, "loss": 1}\', flush=True); time.sleep(1000)')
    seen = worker.run(segment(running, 0, 5, folder=tmp_path))
    assert points(seen) == {5: 1.0}
    worker.release("another state")
    assert worker.state == seen.segment
    worker.release(seen.segment)
    assert worker.state == ""


def test_many_trials_leave_no_process_thread_or_open_file(worker, tmp_path):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    def children():
        return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

    worker.run(segment(options(), 0, HORIZON, folder=tmp_path, plan=schedule(0.5)))  # opens what the first one opens
    worker.forget()
    before, threads, processes = open_files(), threading.active_count(), children()
    for trial in range(12):
        worker.run(segment(options(), 0, HORIZON, folder=tmp_path, plan=schedule(0.01 * (trial + 1))))
        worker.run(segment(options('print(\'{"step": 5, "loss": NaN}\')'), 0, HORIZON, folder=tmp_path))
    worker.forget()
    assert (open_files(), threading.active_count()) == (before, threads)
    assert children() <= processes  # other tests of this process may have some


def test_the_guard_ends_a_command_whose_starter_was_killed(tmp_path):
    source = f"""
import subprocess, sys, time
from pathlib import Path
from workers.command.process import Launch, Process
from workers.command.workplace import Workplace
import os
place = Workplace(0.1)
command = {[*PYTHON, "-c", "import time; print(1); time.sleep(1000)"]!r}
process = Process(Launch(command=command, cwd=Path("."), environment=dict(os.environ), grace=0.1), place, print)
process.news.wait()
print(place.token, place.folder, flush=True)
time.sleep(1000)
"""
    starter = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    lines = iter(starter.stdout.readline, "")
    token, folder = next(line.split() for line in lines if "autosched-" in line)
    carriers = ending.running(0, token)
    assert carriers
    starter.kill()
    starter.wait()
    starter.stdout.close()
    for _ in range(500):
        if not ending.running(0, token) and not Path(folder).exists():
            break
        time.sleep(0.01)
    assert ending.running(0, token) == []
    assert not Path(folder).exists()
