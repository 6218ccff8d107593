import sys
from dataclasses import replace

import pytest

from autosched.errors import UsageError
from autosched.space import load_space
from autosched.space.records import Component
from autosched.space.trainer_spec import TrainerSpec
from autosched.study.command_space import command_space
from tests.workers.command.commands import options, points, runner, segment
from workers.command.sources import named_files
from workers.command.template import fill, filled
from workers.registry import check_trainer_space


def space_for(run, tmp_path, **changes):
    path = tmp_path / "space.yaml"
    path.write_text(command_space(run, steps=200, peak_lr="1e-4:1e-2")[1])
    return replace(load_space(path), **changes)


def test_a_command_line_becomes_a_space_that_is_sound(tmp_path):
    space = space_for("python 'my train.py' --lrs {lrs}", tmp_path)
    check_trainer_space(space)
    assert (space.study, space.controller.name, space.horizon_steps) == ("my-train", "tpe", 200)
    resuming = space_for("python train.py {lrs} {checkpoint_in} {checkpoint_out}", tmp_path)
    assert resuming.controller.name == "law"


@pytest.mark.parametrize("peak_lr", ["1e-2", "1e-2:1e-4", "0:1", "a:b", "1e-4:inf"])
def test_bounds_of_another_form_are_refused(peak_lr):
    with pytest.raises(UsageError, match=r"--peak-lr must be LOW:HIGH with 0 < LOW < HIGH, e\.g\. 1e-4:1e-2, but got"):
        command_space("train", steps=10, peak_lr=peak_lr)


REFUSED = {
    "no such field": ("train {lrz}", "tpe", "run has no field {lrz}; it has checkpoint_in"),
    "pilots": ("train {peak_lr}", "law", "which the pilot runs of controller law do not have"),
    "autolrs": (
        "train {lrs}",
        "autolrs",
        "run must have {checkpoint_in} and {checkpoint_out}, or checkpoints: true, for",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_command_that_cannot_run_what_its_space_tries_is_refused(case, tmp_path):
    run, controller, message = REFUSED[case]
    with pytest.raises(UsageError) as refusal:
        check_trainer_space(space_for(run, tmp_path, controller=Component(name=controller)))
    assert message in str(refusal.value)


OPTIONS = {
    "run is missing": {},
    "run cannot be split into words": {"run": "train 'it"},
    "must have both": {"run": "train {checkpoint_in}"},
    "losses.pattern must be": {"run": "train", "losses": {"format": "text", "pattern": "loss (.*)"}},
    "losses.pattern belongs": {"run": "train", "losses": {"format": "csv", "pattern": "x"}},
    "losses: format must be": {"run": "train", "losses": {"format": "xml"}},
    "losses.path must be the folder": {"run": "train", "losses": {"format": "tensorboard"}},
    "env must be": {"run": "train", "env": {"A": 1}},
    "run must be one text when shell": {"run": ["train"], "shell": True},
}


@pytest.mark.parametrize("message", OPTIONS)
def test_options_that_mean_nothing_are_refused(message, tmp_path):
    space = space_for("train {lrs}", tmp_path, trainer=TrainerSpec(use="command", options=OPTIONS[message]))
    with pytest.raises(UsageError) as refusal:
        check_trainer_space(space)
    assert message in str(refusal.value)


def test_a_value_stays_one_word_and_is_quoted_for_a_shell():
    values = {"out": "a b; rm -rf /"}
    assert filled(["--out={out}", "{{out}}"], values) == ["--out=a b; rm -rf /", "{out}"]
    assert filled("train {out}", values) == "train 'a b; rm -rf /'"
    assert fill('{"json": 1}', values) == '{"json": 1}'


def test_the_files_of_a_command_are_its_scripts_with_the_modules_beside_them(tmp_path):
    (tmp_path / "train.py").write_text("import os, model\nfrom data import tokens\n")
    (tmp_path / "model.py").write_text("import train\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").write_text("")
    (tmp_path / "data" / "tokens.py").write_text("")
    found = named_files(["/bin/sh", "train.py", "--lrs", "{lrs}"], tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in found}
    assert names == {"train.py", "model.py", "data/__init__.py", "data/tokens.py"}
    assert [path.name for path in named_files(["python", "-m", "data.tokens"], tmp_path)] == ["tokens.py"]


FORMATS = {
    "csv": ("print('step,loss,lr')\nfor i in range(1, 41): print('%d,%g,0' % (i, i / 8))", {}),
    "text": (
        "for i in range(1, 41): print('noise\\nstep %d: loss %g' % (i, i / 8))",
        {"pattern": r"step (?P<step>\d+): loss (?P<loss>\S+)"},
    ),
    "json_lines": ("import json\nfor i in range(1, 41): print(json.dumps({'step': i, 'loss': i / 8}))", {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_losses_is_averaged_between_evaluations(name, tmp_path):
    source, further = FORMATS[name]
    given = options(source) | {"losses": {"format": name, **further}}
    held = runner()
    assert points(held.run(segment(given, 0, 40, folder=tmp_path)))[10] == sum(range(6, 11)) / 5 / 8
    held.forget()


def test_losses_are_read_from_a_file_while_the_command_runs(tmp_path):
    source = """
import sys, time
with open(sys.argv[2], "w", buffering=1) as file:
    file.write("step,loss\\n")
    file.write("5,2.5\\n")
    time.sleep(1000)
"""
    given = options(source, "{lrs}", "{out}/losses.csv") | {"losses": {"format": "csv", "path": "{out}/losses.csv"}}
    held = runner()
    assert points(held.run(segment(given, 0, 5, folder=tmp_path))) == {5: 2.5}
    held.forget()


def test_losses_are_read_from_event_files_while_the_command_runs(tmp_path):
    source = """
import sys, time
from tensorboardX import SummaryWriter
with SummaryWriter(sys.argv[2] + "/run") as writer:
    for step in range(1, 6):
        writer.add_scalar("val/loss", step / 2, step)
        writer.add_scalar("other", 9.0, step)
time.sleep(1000)
"""
    losses = {"format": "tensorboard", "path": "{out}/events", "loss": "val/loss"}
    given = {"run": [sys.executable, "-c", source, "{lrs}", "{out}/events"], "losses": losses, "grace_seconds": 5}
    held = runner()
    assert points(held.run(segment(given, 0, 5, folder=tmp_path))) == {5: 1.5}
    held.forget()


def test_a_script_that_never_asks_for_its_lrs_is_told_so(tmp_path):
    source = 'print(\'{"step": 5, "loss": 1}\')'
    held = runner()
    outcome = held.run(segment(options(source, "no field"), 0, 5, folder=tmp_path))
    assert "it never asked for an LR: write {lrs} into run" in outcome.reason
