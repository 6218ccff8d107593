"""Ledgers, folders, disks, ports and servers that fail: one clear line, exit code 1 or 2, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import PREFIX, TUNE, events, files, interrupted, refuse, run, write_space

from autosched.ledger.events import StudyCreated, TrialProposed
from autosched.ledger.store import Ledger

Capture = pytest.CaptureFixture[str]
CLOSED = "127.0.0.1:1"
"""Nobody listens on port 1."""


# -- the ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("status",), ("resume", "s"), ("best", "s"), ("ui",)], ids=lambda c: c[0])
def test_no_ledger_yet(folder: Path, capsys: Capture, command: tuple[str, ...]) -> None:
    refuse(
        capsys, command, "there is no ledger autosched.db: run `autosched tune` first, or name another with --ledger."
    )
    assert not Path("autosched.db").exists()


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("autosched.db", 2, "the ledger must be a URL such as sqlite:///autosched.db, but got 'autosched.db'."),
        ("redis://h/0", 2, "the ledger must be sqlite or postgresql, but got 'redis'."),
        ("sqlite:///absent/ledger.db", 2, "there is no ledger absent/ledger.db"),
        ("sqlite:///space.yaml", 1, "cannot open the ledger sqlite:///space.yaml: file is not a database."),
        ("sqlite:///space.yaml/ledger.db", 2, "there is no ledger space.yaml/ledger.db"),
        (f"postgresql://user:secret@{CLOSED}/db", 1, "cannot open the ledger postgresql://***@127.0.0.1:1/db: "),
        (
            f"postgresql://{CLOSED}/db?password=secret",
            1,
            "cannot open the ledger postgresql://127.0.0.1:1/db?password=***: ",
        ),
        ("postgresql://127.0.0.1/db?connect_timeout=zzz", 1, "cannot open the ledger "),
        ("postgresql://127.0.0.1/db?nope=zzz", 1, 'invalid connection option "nope"'),
        ("postgresql://user:secret@h:port/db", 2, "the ledger must have a whole number as its port"),
        ("sqlite+nope:///x.db", 2, "names a driver that SQLAlchemy does not know, 'sqlite+nope'."),
        ("sqlite:///space.yaml?zzz=1", 2, "the driver of the ledger sqlite:///space.yaml?zzz=*** refuses an option: "),
        ("sqlite://", 2, "the ledger must name a file, as in sqlite:///autosched.db, but got 'sqlite://'."),
        ("sqlite:///:memory:", 2, "the ledger must name a file"),
    ],
)
def test_a_ledger_that_cannot_be_used(folder: Path, capsys: Capture, url: str, code: int, says: str) -> None:
    shown = refuse(capsys, ("status", "--ledger", url), says, code=code)
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("sqlite:///absent/ledger.db", 2, "the ledger's folder absent does not exist."),
        ("sqlite:///space.yaml/ledger.db", 2, "the ledger's folder space.yaml does not exist."),
        ("sqlite:///space.yaml", 1, "cannot open the ledger sqlite:///space.yaml: file is not a database."),
        ("mysql://h/db", 2, "storage.ledger must be a URL with a scheme of sqlite, postgresql, but got 'mysql://h/db'"),
        (f"postgresql://user:secret@{CLOSED}/db", 1, "cannot open the ledger postgresql://***@127.0.0.1:1/db: "),
    ],
)
def test_a_study_cannot_start_on_such_a_ledger(folder: Path, capsys: Capture, url: str, code: int, says: str) -> None:
    shown = refuse(capsys, (*TUNE, "--ledger", url), says, code=code)
    assert "secret" not in shown


def test_a_ledger_from_the_environment_is_checked_like_any_other(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOSCHED_LEDGER", "redis://h/0")
    refuse(capsys, TUNE, "storage.ledger must be a URL with a scheme of sqlite, postgresql, but got 'redis://h/0'.")
    refuse(capsys, ("status",), "the ledger must be sqlite or postgresql, but got 'redis'.")


def test_a_ledger_that_may_only_be_read(finished: Path, capsys: Capture) -> None:
    before = events()
    read_only = "sqlite:///file:autosched.db?mode=ro&uri=true"
    refuse(capsys, (*TUNE, "--ledger", read_only), "cannot write the ledger", "readonly database", code=1)
    assert events() == before


def damage(statement: str) -> None:
    with closing(sqlite3.connect("autosched.db")) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE autosched_events SET payload = '{' WHERE number = 3", "event 3 ("),
        (
            "UPDATE autosched_events SET kind = 'trial_teleported' WHERE number = 3",
            "event 3 (trial_teleported) of study",
        ),
        ("DELETE FROM autosched_events WHERE number = 3", "event 3 of study 's' is missing: found 4."),
        (
            'UPDATE autosched_events SET payload = \'{"space": {}, "versions": {}}\' WHERE number = 0',
            "event 1 (session_started) or an earlier one of study 's'",
        ),
        ("DROP TABLE autosched_segments", ""),
    ],
)
@pytest.mark.parametrize("command", [("status", "s"), ("resume", "s"), ("best", "s")], ids=lambda c: c[0])
def test_a_ledger_with_a_damaged_event(
    finished: Path, capsys: Capture, statement: str, says: str, command: tuple[str, ...]
) -> None:
    damage(statement)
    if "DROP" in statement:  # an index only: it is made again, empty
        assert run(list(command)) == 0
        return
    refuse(capsys, command, says, code=1)


def test_a_ledger_cut_in_half(finished: Path, capsys: Capture) -> None:
    whole = Path("autosched.db").read_bytes()
    Path("autosched.db").write_bytes(whole[: len(whole) // 2])
    for command in ("status", "resume"):
        refuse(capsys, (command, "s"), "cannot ", "ledger sqlite:///autosched.db: ", code=1)


def outcome() -> list[tuple[object, ...]]:
    """What every trial of the study was and became."""
    ledger = Ledger("sqlite:///autosched.db")
    try:
        trials = ledger.state("s").trials
        return [(dict(trial.params), trial.status, trial.value, trial.points) for trial in trials]
    finally:
        ledger.close()


@pytest.mark.parametrize(("share", "results"), [(0.1, "gone"), (0.5, "kept"), (0.97, "gone")])
def test_a_ledger_that_lost_its_end_is_gone_on_with_to_the_same_end(
    finished: Path, capsys: Capture, share: float, results: str
) -> None:
    """An older copy, or one whose last pages were lost; what it does not know any more is trained again."""
    whole, many = outcome(), len(events()["s"])
    with closing(sqlite3.connect("autosched.db")) as ledger:
        ledger.execute("DELETE FROM autosched_events WHERE number >= ?", (int(share * many),))
        if results == "gone":
            ledger.execute("DELETE FROM autosched_segments")
        ledger.commit()
    assert run(["resume", "s"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert outcome() == whole


@pytest.mark.parametrize(
    ("space", "says", "code"),
    [
        ({"study": 7, "horizon_steps": 200}, "the space of study 's' in the ledger: study must be 1 to 64 letters", 2),
        ({}, "says no horizon_steps: it is damaged.", 1),
    ],
)
def test_a_space_in_the_ledger_that_is_none(
    folder: Path, capsys: Capture, space: dict[str, object], says: str, code: int
) -> None:
    ledger = Ledger("sqlite:///autosched.db")
    proposed = TrialProposed(
        trial=0, role="search", family="constant", params={}, seed=0, fingerprint="f", at=0, until=None
    )
    ledger.append("s", 0, [StudyCreated(space=space, versions={}), proposed])
    ledger.close()
    refuse(capsys, ("status", "s"), says, code=code)


def test_a_study_that_runs_already(finished: Path, capsys: Capture) -> None:
    ledger = Ledger("sqlite:///autosched.db")
    before = events()
    with ledger.lease("s"):
        refuse(
            capsys, ("resume", "s"), "another process is running the study 's' (process ", "); wait for it or stop it."
        )
    ledger.close()
    assert events() == before


def test_a_study_that_tried_nothing_yet_is_replaced(folder: Path, capsys: Capture) -> None:
    interrupted(after=1)
    write_space({"budget: {trials: 5}": "budget: {trials: 2}"})
    assert run(list(TUNE)) == 0
    assert json.loads(capsys.readouterr().out)["trials"]["proposed"] == 2
    assert list(events()) == ["s"]


def test_a_study_that_begins_at_this_moment_is_not_replaced(folder: Path, capsys: Capture) -> None:
    interrupted(after=1)
    ledger = Ledger("sqlite:///autosched.db")
    with ledger.lease("s"):
        refuse(capsys, TUNE, "another process is running the study 's' (process ", "); wait for it or stop it.")
    ledger.close()


def test_a_name_that_an_unfinished_study_has(folder: Path, capsys: Capture) -> None:
    interrupted()
    before = events()
    refuse(capsys, TUNE, "the study 's' is unfinished: go on with `autosched resume s`, or start another with --name.")
    assert events() == before


def test_no_trial_completed_yet(folder: Path, capsys: Capture) -> None:
    interrupted(after=3)
    for command in (("best", "s"), ("export", "s")):
        refuse(capsys, command, "the study 's' has no complete trial yet; see `autosched status s`.")


# -- folders, disks, ports, servers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["reports", "checkpoints"])
def test_a_folder_that_cannot_be_written(folder: Path, capsys: Capture, what: str) -> None:
    """Below a regular file, so that it cannot be made even by root."""
    write_space({"tracking: none": f"tracking: none\nstorage: {{{what}: space.yaml/inside}}"})
    refuse(capsys, TUNE, f"cannot write into storage.{what} 'space.yaml/inside': Not a directory.")
    assert not Path("autosched.db").exists()


def test_checkpoints_behind_an_unknown_protocol(folder: Path, capsys: Capture) -> None:
    write_space({"tracking: none": "tracking: none\nstorage: {checkpoints: 'teleport://here'}"})
    refuse(capsys, TUNE, "checkpoints must be a folder or an installed fsspec URL, but got 'teleport://here'")
    assert not Path("autosched.db").exists()


def test_a_folder_that_became_unwritable_after_the_interruption(folder: Path, capsys: Capture) -> None:
    interrupted()
    before = events()
    shutil.rmtree(".autosched")
    Path(".autosched").write_text("a file where the folder was")
    refuse(capsys, ("resume", "s"), "cannot write into storage.checkpoints '.autosched/checkpoints': Not a directory.")
    assert events() == before


@pytest.mark.parametrize("after", [15, 30])
def test_lost_checkpoints_are_trained_again(folder: Path, capsys: Capture, calm: dict[str, Any], after: int) -> None:
    """Not an error at all: the study ends as if nothing had happened."""
    write_space({"study: s": "study: s\nstorage: {ledger: 'sqlite:///other.db', checkpoints: lost}"})
    interrupted(after)
    shutil.rmtree("lost")
    capsys.readouterr()
    assert run(["resume", "s", "--ledger", "sqlite:///other.db", "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert resumed["best"] == calm["best"]
    assert resumed["trials"] == calm["trials"]


def test_a_damaged_checkpoint_is_trained_again(folder: Path, capsys: Capture, calm: dict[str, Any]) -> None:
    write_space({"study: s": "study: s\nstorage: {ledger: 'sqlite:///other.db', checkpoints: lost}"})
    interrupted(30)
    damaged = list(Path("lost").glob("*.ckpt"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:10])
    assert damaged
    capsys.readouterr()
    assert run(["resume", "s", "--ledger", "sqlite:///other.db", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == calm["best"]


def test_a_trainer_that_always_fails(folder: Path, capsys: Capture) -> None:
    """The work fails, trial by trial; the ledger says why."""
    write_space({"noise: 0.0": "fail_at: 7", "budget: {trials: 5}": "budget: {trials: 2}"})
    assert run([*TUNE, "--set", "resources.retries=0"]) == 1
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == f"{PREFIX}no trial of 's' completed; see `autosched status s`."
    assert "update 7 fails, as asked by fail_at" in shown.err
    assert "Traceback" not in shown.err
    assert json.loads(shown.out)["trials"]["failed"] == 2
    assert run(["show", "s", "0", "--json"]) == 0
    reason = json.loads(capsys.readouterr().out)["reason"]
    assert reason.startswith("error: RuntimeError: update 7 fails, as asked by fail_at.")


def test_a_port_that_is_taken(folder: Path, capsys: Capture) -> None:
    Path("mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = ("ui", "--tracking", "sqlite:///mlflow.db", "--port", port)
        refuse(
            capsys, command, f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port."
        )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--tracking", "sqlite:///absent.db"), 1, "absent.db; run `autosched tune`"),
        (("--tracking", "teleport://here"), 2, "the tracking uri must be sqlite:///FILE, postgresql://"),
        (("--tracking", "sqlite:///mlflow.db", "--host", "no such host"), 2, "cannot listen on no such host:5000:"),
    ],
)
def test_a_store_or_address_that_ui_cannot_use(
    folder: Path, capsys: Capture, arguments: tuple[str, ...], code: int, says: str
) -> None:
    Path("mlflow.db").touch()
    refuse(capsys, ("ui", *arguments), says, code=code)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("sqlite:///damaged.db", "damaged.db"),
        ("sqlite:///space.yaml/inside/mlflow.db", "space.yaml/inside"),
        (f"postgresql://user:secret@{CLOSED}/mlflow", CLOSED.partition(":")[0]),
    ],
)
def test_a_tracking_store_that_is_away_or_damaged(folder: Path, capsys: Capture, uri: str, says: str) -> None:
    Path("damaged.db").write_bytes(b"this is no database, it only has the name of one" * 100)
    write_space({"tracking: none": f"tracking: {{uri: '{uri}'}}"})
    shown = refuse(capsys, TUNE, says, code=1)
    assert "secret" not in shown
    assert Path("damaged.db").read_bytes().startswith(b"this is no database")
    assert not Path("autosched.db").exists()


# -- in processes of their own: nothing else on stderr, no traceback -------------------------------------------------


def autosched(*arguments: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a shell would, with at most `limit` bytes in any file it writes."""
    bound = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); " if limit else ""
    code = f"{bound}from autosched.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tune", "--space", "absent.yaml"), 2, "absent.yaml: there is no such file."),
        (("tnue",), 2, "No such command 'tnue'"),
        ((*TUNE, "--set", "trainer={use: gpt, with: {data: absent.txt}}"), 2, "absent.txt"),
        ((*TUNE, "--ledger", "sqlite:///space.yaml"), 1, "file is not a database"),
    ],
)
def test_a_real_process_says_one_line(folder: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    before = files()
    done = autosched(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(PREFIX)
    assert done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr
    assert files().items() >= before.items()


@pytest.mark.slow
def test_a_disk_that_is_full_for_checkpoints_ends_the_work_and_loses_nothing(folder: Path) -> None:
    write_space({"noise: 0.0": "noise: 0.0, checkpoint_bytes: 1000000"})
    done = autosched(*TUNE, limit=500_000)
    assert done.returncode == 1, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"{PREFIX}cannot store the checkpoint ")
    assert last.endswith(
        "File too large; free some space or store checkpoints elsewhere; nothing is lost: make room, then resume."
    )
    assert "Traceback" not in done.stderr
    kept = events()["s"]
    assert len(kept) > 3
    again = autosched("resume", "s", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["trials"]["complete"] == 5
    assert events()["s"][: len(kept)] == kept


@pytest.mark.slow
def test_a_disk_that_is_full_for_the_ledger_ends_the_work_and_it_can_be_resumed(
    folder: Path, calm: dict[str, Any]
) -> None:
    done = autosched(*TUNE, limit=60_000)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"{PREFIX}cannot write the ledger sqlite:///autosched.db: "), (
        done.stderr
    )
    assert "Traceback" not in done.stderr
    kept = events()["s"]
    assert len(kept) > 3
    resumed = autosched("resume", "s", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert events()["s"][: len(kept)] == kept
    assert json.loads(resumed.stdout)["best"] == calm["best"]
