"""Whatever a person gets wrong ends in one clear line and exit code 2 (or 1 when the work failed); nothing is lost."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from command_line import PREFIX, SPACE, TUNE, events, files, interrupted, refuse, run, write_space

from autosched.ledger.store import Ledger

Capture = pytest.CaptureFixture[str]
CLOSED = "127.0.0.1:1"
"""Nobody listens on port 1."""


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


# -- space files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [TUNE, ("validate", "space.yaml", "--json")], ids=["tune", "validate"])
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("study: s", "study: a b", "space.yaml:1: study must be 1 to 64 letters"),
        ("study: s", "studdy: s", "space.yaml:1: studdy is not a known key"),
        ("use: simulated", "use: simulator", "space.yaml:3: trainer.use must be one of gpt, vision, simulated"),
        (
            "use: simulated",
            "use: nowhere.at:All",
            "space.yaml:3: trainer 'nowhere.at:All' cannot be imported: No module",
        ),
        ("use: simulated", "use: workers.simulated:None_", "trainer 'workers.simulated:None_': the module"),
        ("noise: 0.0", "nose: 1", "space.yaml:4: simulated trainer: unknown option 'nose'; allowed are floor,"),
        ("noise: 0.0", "noise: -1", "space.yaml:4: simulated trainer: noise must be a finite number >= 0, but got -1."),
        (
            "horizon_steps: 40",
            "horizon_steps: none",
            "space.yaml:5: horizon_steps must be a whole number >= 1, but got",
        ),
        ("eval_every: 10", "eval_every: 7", "space.yaml:6: eval_every must divide horizon_steps (40) without rest"),
        (
            "low: 1e-3, high",
            "low: 1, high",
            "space.yaml:10: schedule.wsd.peak_lr.low must be below high (0.1), but got 1",
        ),
        ("low: 1e-3, high", "low: 0, high", "space.yaml:10: schedule.wsd.peak_lr.low must be > 0, but got 0."),
        (
            "    warmup_steps: 4",
            "    warmup_steps: 40",
            "space.yaml:11: schedule.wsd.warmup_steps must be below the 40",
        ),
        ("[linear, sqrt]", "[linear, root]", "space.yaml:13: schedule.wsd.cooldown_shape[1] must be one of linear,"),
        ("  wsd: {peak_lr: 1e-2, warm", "  wsd: {warm", "space.yaml:15: default.wsd.peak_lr is missing"),
        ("controller: random", "controller: rand", "space.yaml:16: controller must be one of tpe, gp, random"),
        (
            "controller: random",
            "controller: {use: tpe, gamma: 1}",
            "space.yaml:16: controller 'tpe' has no option 'gamma'",
        ),
        (
            "pruner: none",
            "pruner:\n  use: asha\n  min_resource: 0",
            "space.yaml:19: pruner 'asha': min_resource must be a",
        ),
        ("pruner: none", "pruner: {use: law, audits: 1}", "space.yaml:17: pruner law has no option 'audits'; it has"),
        ("budget: {trials: 5}", "budget: {trials: 0}", "space.yaml:18: budget.trials must be a whole number >= 1"),
        ("workers: 2", "gpus: -1", "space.yaml:19: resources.gpus must be a number >= 0, but got -1."),
        ("tracking: none", "tracking: {uri: ftp://h}", "space.yaml:20: tracking.uri must be a URL with a scheme of"),
        ("tracking: none", "tracking: none\nstorage: {ledger: a.db}", "space.yaml:21: storage.ledger must be a URL"),
        ("tracking: none", "tracking: [", "space.yaml:21: not valid YAML: while parsing a flow node"),
        ("tracking: none", "tracking: none\nstudy: t", "space.yaml:21: 'study' is already given in line 1"),
    ],
)
def test_a_fault_in_a_space_file(
    folder: Path, capsys: Capture, command: tuple[str, ...], old: str, new: str, says: str
) -> None:
    Path("space.yaml").write_text(change(SPACE, old, new))
    refuse(capsys, command, says)
    assert not Path("autosched.db").exists()
    assert not Path(".autosched").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "space.yaml: there is no such file."),
        (b"", "space.yaml:1: must hold a search space, but is empty."),
        (b"\x89PNG\r\n\x1a\n\0\0", "space.yaml:3: must be a text file in UTF-8, but has a zero byte here"),
        (b"study: \xe9t\xe9", "space.yaml:1: must be UTF-8 text, but has byte 0xe9 here."),
    ],
    ids=["missing", "empty", "binary", "latin-1"],
)
@pytest.mark.parametrize("command", [TUNE, ("validate", "space.yaml"), ("plot", "space.yaml")], ids=lambda c: c[0])
def test_a_file_that_is_no_space(
    folder: Path, capsys: Capture, content: bytes | None, says: str, command: tuple[str, ...]
) -> None:
    Path("space.yaml").unlink() if content is None else Path("space.yaml").write_bytes(content)
    refuse(capsys, command, says)


def test_a_folder_instead_of_a_space_file(folder: Path, capsys: Capture) -> None:
    refuse(capsys, ("tune", "--space", "."), ".: must be a YAML file, but is a folder.")


# -- flags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tune",), "Missing option '--space'"),
        (("tune", "--spaec", "space.yaml"), "No such option: --spaec"),
        (("tune", "--space"), "Option '--space' requires an argument"),
        ((*TUNE, "more"), "unexpected extra argument"),
        (("tnue",), "No such command 'tnue'"),
        ((*TUNE, "--backend", "slurm"), "--backend must be one of ray, local, but got 'slurm'."),
        ((*TUNE, "--address", "auto"), "--address belongs to --backend ray, but the backend is local."),
        ((*TUNE, "--workers", "0"), "'--workers': Input should be greater than or equal to 1, but got '0'."),
        (
            (*TUNE, "--workers", "two"),
            "'--workers': Input should be a valid integer, unable to parse string as an integer, but got 'two'.",
        ),
        ((*TUNE, "--seed", "-1"), "'--seed': Input should be greater than or equal to 0, but got '-1'."),
        ((*TUNE, "--set", "seed"), "--set: an override must be key=value, e.g. seed=1, but got 'seed'."),
        ((*TUNE, "--set", "sede=1"), "--set: sede is not a known key, must be one of study,"),
        ((*TUNE, "--set", "seed=[1"), "--set: seed: not valid YAML"),
        ((*TUNE, "--set", "budget.trials=-1"), "--set: budget.trials must be a whole number >= 1, but got -1."),
        ((*TUNE, "--set", "controller.n=1"), "--set: controller.n does not exist: controller is 'random'"),
        ((*TUNE, "--set", "controller={use: tpe, group: 1}"), "--set: controller 'tpe': group must be true or false"),
        ((*TUNE, "--name", "../up"), "--set: study must be 1 to 64 letters"),
        ((*TUNE, "--name", "a: b"), "--set: study must be 1 to 64 letters"),
        ((*TUNE, "--ledger", "autosched.db"), "--set: storage.ledger must be a URL with a scheme of"),
        (("validate", "space.yaml", "--set", "seed=-1"), "--set: seed must be a whole number >= 0, but got -1."),
        (("show", "s"), "Missing argument 'TRIAL'"),
        (("plot",), "Missing argument 'FILE"),
        (("plot", "space.yaml", "--draws", "0"), "'--draws': Input should be greater than or equal to 1, but got '0'."),
        (("ui", "--port", "0"), "'--port': Input should be greater than or equal to 1, but got '0'."),
        (("ui", "--port", "70000"), "'--port': Input should be less than or equal to 65535, but got '70000'."),
        (("doctor", "--fast"), "No such option: --fast"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_a_wrong_flag(folder: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    refuse(capsys, arguments, says)
    assert not Path("autosched.db").exists()


def test_no_command_prints_the_help(folder: Path, capsys: Capture) -> None:
    assert run([]) == 2
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("status", "t"), "there is no study 't' in sqlite:///autosched.db; it has: s."),
        (("resume", "t"), "there is no study 't'"),
        (("best", "t"), "there is no study 't'"),
        (("show", "t", "0"), "there is no study 't'"),
        (("export", "t"), "there is no study 't'"),
        (("ui", "t"), "there is no study 't'"),
        (("show", "s", "99"), "TRIAL must be 0 to 4 for the study 's', but got 99."),
        (("show", "s", "--", "-1"), "TRIAL must be 0 to 4 for the study 's', but got -1."),
        (
            ("show", "s", "first"),
            "'TRIAL': Input should be a valid integer, unable to parse string as an integer, but got 'first'.",
        ),
        (("export", "s", "--to", "jax"), "--to must be one of json, csv, torch, but got 'jax'."),
        (
            ("export", "s", "--out", "absent/schedule.json"),
            "cannot write absent/schedule.json: No such file or directory.",
        ),
        (("export", "s", "--out", "."), "cannot write .: Is a directory."),
        (("resume", "s", "--backend", "slurm"), "--backend must be one of ray, local, but got 'slurm'."),
        (("resume", "s", "--address", "auto"), "--address belongs to --backend ray, but the backend is local."),
        (("ui",), "the study 's' is not tracked (tracking: none)."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_name_on_a_sound_ledger(finished: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    before = events()
    refuse(capsys, arguments, says)
    assert events() == before


# -- schedule files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "lr.json: cannot read a schedule file: No such file or directory"),
        ("folder", "lr.json: cannot read a schedule file: Is a directory"),
        (b"\xff\xfe\x00", "lr.json: this is no text file; a schedule file is expected"),
        (b"{\n\n,", "lr.json: not a schedule file: no JSON at line 3"),
        (b"[1, 2]", 'lr.json: not a schedule file: "format" must be "autosched.schedule".'),
        (b'{"format": "autosched.schedule", "version": 99}', "lr.json: schedule version must be 1, but got 99."),
    ],
    ids=["missing", "folder", "binary", "no JSON", "other format", "other version"],
)
@pytest.mark.parametrize("command", [("export", "lr.json"), ("plot", "lr.json")], ids=lambda c: c[0])
def test_a_file_that_is_no_schedule(
    folder: Path, capsys: Capture, content: bytes | str | None, says: str, command: tuple[str, ...]
) -> None:
    if content == "folder":
        Path("lr.json").mkdir()
    elif isinstance(content, bytes):
        Path("lr.json").write_bytes(content)
    refuse(capsys, command, says)


def test_a_schedule_file_that_was_edited(finished: Path, capsys: Capture) -> None:
    document = json.loads(Path("reports/s/schedule.json").read_text())
    document["lrs"][0] *= 2
    Path("edited.json").write_text(json.dumps(document))
    refuse(capsys, ("export", "edited.json"), 'edited.json: "lrs" does not match "fingerprint"')


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
        (f"postgresql://user:secret@{CLOSED}/db", 1, "cannot open the ledger postgresql+psycopg://user:***@"),
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
        (f"postgresql://user:secret@{CLOSED}/db", 1, "cannot open the ledger postgresql+psycopg://user:***@"),
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
        ("UPDATE autosched_events SET payload = '{' WHERE number = 3", "damaged '"),
        ("UPDATE autosched_events SET payload = '{}' WHERE number = 3", "damaged '"),
        ("UPDATE autosched_events SET kind = 'trial_teleported' WHERE number = 3", "unknown event 'trial_teleported'"),
        ("DELETE FROM autosched_events WHERE number = 3", "event 3 of study 's' is missing: found 4."),
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
    refuse(capsys, ("status", "s"), "cannot ", "ledger sqlite:///autosched.db: ", code=1)


def test_a_space_in_the_ledger_that_is_none(finished: Path, capsys: Capture) -> None:
    damage('UPDATE autosched_events SET payload = \'{"space": {"study": 7}, "versions": {}}\' WHERE number = 0')
    refuse(capsys, ("status", "s"), "study must be 1 to 64 letters")


def test_a_study_that_runs_already(finished: Path, capsys: Capture) -> None:
    ledger = Ledger("sqlite:///autosched.db")
    before = events()
    with ledger.lease("s"):
        refuse(capsys, ("resume", "s"), "another process is running the study 's'; wait for it or stop it.")
    ledger.close()
    assert events() == before


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
def test_lost_checkpoints_are_trained_again(folder: Path, capsys: Capture, after: int) -> None:
    """Not an error at all: the study ends as if nothing had happened."""
    assert run([*TUNE, "--name", "calm"]) == 0
    calm = json.loads(capsys.readouterr().out)
    write_space({"study: s": "study: s\nstorage: {ledger: 'sqlite:///other.db', checkpoints: lost}"})
    interrupted(after)
    shutil.rmtree("lost")
    assert run(["resume", "s", "--ledger", "sqlite:///other.db", "--json"]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert resumed["best"] == calm["best"]
    assert resumed["trials"] == calm["trials"]


def test_a_damaged_checkpoint_is_trained_again(folder: Path, capsys: Capture) -> None:
    assert run([*TUNE, "--name", "calm"]) == 0
    calm = json.loads(capsys.readouterr().out)
    write_space({"study: s": "study: s\nstorage: {ledger: 'sqlite:///other.db', checkpoints: lost}"})
    interrupted(30)
    damaged = list(Path("lost").glob("*.ckpt"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:10])
    assert damaged
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
        (("--tracking", "sqlite:///absent.db"), 1, "there is no tracking store absent.db; run `autosched tune`"),
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
        (("status",), 2, "there is no ledger autosched.db"),
        ((*TUNE, "--set", "trainer={use: gpt, with: {width: 65}}"), 2, "--set: gpt trainer: "),
        ((*TUNE, "--set", "trainer={use: gpt, with: {data: absent.txt}}"), 2, "absent.txt"),
        (
            (*TUNE, "--set", "trainer={use: vision, with: {widht: 8}}"),
            2,
            "--set: vision trainer: unknown option 'widht'",
        ),
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
def test_a_disk_that_is_full_for_the_ledger_ends_the_work_and_it_can_be_resumed(folder: Path) -> None:
    assert autosched(*TUNE, "--name", "calm", "--ledger", "sqlite:///calm.db").returncode == 0
    done = autosched(*TUNE, limit=60_000)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"{PREFIX}cannot write the ledger sqlite:///autosched.db: "), (
        done.stderr
    )
    assert "Traceback" not in done.stderr
    kept = events()["s"]
    assert len(kept) > 3
    assert autosched("resume", "s").returncode == 0
    assert events()["s"][: len(kept)] == kept
    finals = [
        json.loads(autosched("best", *names, "--json").stdout)["best"]
        for names in (("s",), ("calm", "--ledger", "sqlite:///calm.db"))
    ]
    assert finals[0] == finals[1]
