"""Whatever a person gets wrong in a space file, a flag or a schedule file ends in one clear line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import SPACE, TUNE, events, refuse, run

Capture = pytest.CaptureFixture[str]


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
        ("controller: random", "controller: rand", "space.yaml:16: controller must be one of law, tpe, gp, random"),
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
        (
            "pruner: none",
            "pruner: {use: law, holdouts: 1}",
            "space.yaml:17: pruner law has no option 'holdouts'; it has",
        ),
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
        (b"\x89PNG\r\n\x1a\n\0\0", "space.yaml: must be a YAML file, but is a picture."),
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
        (("tune",), "give --space FILE, or --run COMMAND with --steps N and --peak-lr LOW:HIGH."),
        (("tune", "--run", "train {lrs}"), "--run needs --steps N and --peak-lr LOW:HIGH, and no --space."),
        (("tune", "--space", "a.yaml", "--steps", "3"), "--steps and --peak-lr belong to --run"),
        (("tune", "--spaec", "space.yaml"), "No such option: --spaec"),
        (("tune", "--space"), "Option '--space' requires an argument"),
        ((*TUNE, "more"), "unexpected extra argument"),
        (("tnue",), "No such command 'tnue'"),
        ((*TUNE, "--backend", "slurm"), "--backend must be one of ray, local, but got 'slurm'."),
        ((*TUNE, "--address", "auto"), "--address belongs to backend ray, but the backend is local."),
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
        (
            ("export", "s", "--to", "jax"),
            "csv, torch, huggingface, lightning, keras, optax, megatron, nemo, checkpoint, but got 'jax'.",
        ),
        (
            ("export", "s", "--out", "absent/schedule.json"),
            "cannot write absent/schedule.json: No such file or directory.",
        ),
        (("export", "s", "--out", "."), "cannot write .: Is a directory."),
        (("resume", "s", "--backend", "slurm"), "--backend must be one of ray, local, but got 'slurm'."),
        (("resume", "s", "--address", "auto"), "--address belongs to backend ray, but the backend is local."),
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
        (None, "lr.json: there is no such file."),
        ("folder", "lr.json: must be a schedule file, but is a folder."),
        (b"\xff\xfe\x00", "lr.json: must be a schedule file, but is UTF-16 text: save it as UTF-8."),
        (b"{\n\n,", "lr.json: not a schedule file at line 3: no JSON"),
        (b"[1, 2]", "lr.json: not a schedule file: it must be an object, but is [1, 2]."),
        (
            b'{"format": "autosched.schedule", "version": 99}',
            'lr.json: not a schedule file: "version" must be 1 or 2, but got 99.',
        ),
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
