"""The recipes: what each changes of a script, that it does what the script did, and that it is tuned, at tiny size."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from told import HORIZON, Study

from autosched.schedules import build
from autosched.space import load_space
from tests.workers.command.commands import EVERY, runner, segment

EXAMPLES = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent
CHANGED = {"script": 3, "nanogpt": 10, "finetune_huggingface": 3, "lightning_module": 3, "distributed": 3}
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the examples, in which a test works."""
    copied = shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(copied)
    return Path(copied)


def own(source):
    """A script as it was before lines were added to it or changed."""
    lines = re.sub(r"^(\s*).*# changed from: (.*)$", r"\1\2", source, flags=re.MULTILINE).splitlines(keepends=True)
    return "".join(line for line in lines if "# added" not in line)


def code(source):
    """Lines of code without comments of their own, empty ones and docstrings."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Module | ast.FunctionDef)]
    texts = [node.body[0] for node in nodes if ast.get_docstring(node)]
    docstrings = {number for text in texts for number in range(text.lineno, text.end_lineno + 1)}
    lines = enumerate(source.splitlines(), 1)
    return [line for number, line in lines if number not in docstrings and line.strip() and line.strip()[0] != "#"]


def ran(path, *arguments, monkeypatch, capsys):
    """What a script prints, run in this process."""
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runpy.run_path(str(path), run_name="__main__")
    torch.set_num_threads(threads)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", CHANGED)
def test_a_recipe_changes_no_more_lines_of_a_script_than_it_says(name):
    source = (EXAMPLES / f"{name}.py").read_text()
    changed = len(re.findall(r"# added|# changed from", source))
    assert 0 < changed <= CHANGED[name]
    assert "autosched" not in own(source).partition('"""')[2].partition('"""')[2]


def test_the_class_of_a_script_has_at_most_15_lines_more():
    script, trainer = ((EXAMPLES / f"{name}.py").read_text() for name in ("vision_script", "vision"))
    imports = [line for line in code(trainer) if re.match(r"import torch|from (torch|vision_script) import", line)]
    replaced = code(script)[code(script).index("def main():") :]
    assert len(code(trainer)) - len(imports) - len(replaced) <= 15


def test_the_recipe_with_checkpoints_trains_as_its_script_did_on_text_and_on_tokens(folder, monkeypatch, capsys):
    (folder / "own.py").write_text(own((folder / "nanogpt.py").read_text()))
    (folder / "text.txt").write_text("".join(f"line {number}\n" for number in range(400)))
    np.frombuffer((folder / "text.txt").read_bytes(), dtype=np.uint8).astype(np.uint16).tofile(folder / "text.bin")
    runs = [("nanogpt.py", "text.txt"), ("own.py", "text.txt"), ("nanogpt.py", "text.bin")]
    printed = [ran(name, "--data", data, "--steps", 24, monkeypatch=monkeypatch, capsys=capsys) for name, data in runs]
    assert printed[0].count("val loss") == 2
    assert printed[0] == printed[1] == printed[2]


def test_the_recipe_with_checkpoints_goes_on_as_if_it_had_not_been_cut(folder, monkeypatch, capsys):
    whole, cut = (Study(folder / name, monkeypatch) for name in ("whole", "cut"))
    whole.tell(0, HORIZON)
    expected = ran("nanogpt.py", monkeypatch=monkeypatch, capsys=capsys)
    printed = ""
    for start, stop in ((0, 7), (7, HORIZON)):
        cut.tell(start, stop)
        printed += ran("nanogpt.py", monkeypatch=monkeypatch, capsys=capsys)
    assert printed == expected
    assert expected.count("val loss") == 2


def test_files_in_the_layout_of_cifar_10_are_read_and_others_are_made(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    script = runpy.run_path("vision_script.py")
    records = np.arange(2 * 3073, dtype=np.uint64).astype(np.uint8)
    records[[0, 3073]] = 7, 3
    for name in ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"):
        records.tofile(folder / name)
    (images, labels), (test_images, _) = script["data"](folder)
    assert (labels.tolist(), len(test_images)) == ([7, 3, 7, 3], 2)
    assert images[1, 2, 31, 31] == pytest.approx(records[2 * 3073 - 1] / 127.5 - 1)
    (images, labels), (test_images, _) = script["data"](None)
    assert (images.shape, test_images.shape, set(labels.tolist())) == (
        (1297, 3, 32, 32),
        (500, 3, 32, 32),
        {*range(10)},
    )


OWN = {
    "script": 30,
    "nanogpt": 24,
    "finetune_huggingface": 20,
    "lightning_module": 41,  # an epoch, after which it validates
    "distributed": 20,
}
"""Scripts with a schedule of their own, and updates for a short run."""


@pytest.mark.parametrize("name", OWN)
def test_the_default_of_a_recipe_is_the_schedule_of_its_script(name, folder, monkeypatch, capsys):
    steps = OWN[name]
    one_process = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for variable, value in one_process.items() if name == "distributed" else ():
        monkeypatch.setenv(variable, value)
    space = load_space(folder / f"{name}.yaml")
    default = build(space.default.family, space.default.params, steps=steps)
    arguments = (folder / f"{name}.py", "--steps", steps)
    own_losses = losses_in(ran(*arguments, monkeypatch=monkeypatch, capsys=capsys))
    study = Study(folder / "study", monkeypatch, lrs=default.lrs, every=space.eval_every)
    study.tell(0, steps, checkpoints=False, seed=0)
    losses = losses_in(ran(*arguments, monkeypatch=monkeypatch, capsys=capsys))
    assert len(losses) > 0
    assert losses == pytest.approx(own_losses, rel=1e-5)


def losses_in(printed):
    """Test losses that a recipe prints."""
    found = re.findall(r"(?:test loss|val loss|eval_loss'?:|val_loss'?:) '?(?:tensor\()?([\d.]+)", printed)
    return [float(loss) for loss in found]


SMALL = {
    "vision": ("horizon_steps=20", "checkpoint_every=10"),
    "nanogpt": ("horizon_steps=24", "checkpoint_every=12", "controller=tpe", "schedule.wsd.warmup_steps=2"),
}
CHECKED = ("nanogpt",)
"""By a test above, so that the study need not start the script again and again to find it sound."""


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_is_tuned_and_its_gain_over_its_own_schedule_told(name, folder):
    settings = ("tracking=none", "budget={trials: 2}", "confirm.seeds=0", "default.cosine.warmup_steps=0", *SMALL[name])
    options = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "autosched", "tune", "--space", f"{name}.yaml", "--json", "--backend", "local"]
    command += ["--trust-trainer"] if name in CHECKED else []
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    assert (summary["trials"]["failed"], summary["trials"]["complete"]) == (0, 2)
    assert 0 < summary["best"]["value"] <= summary["default"]["value"]


def processes_of(marker):
    """Processes with a text among their words."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes() if process.name.isdecimal() else b""
        except OSError:  # gone meanwhile
            continue
        if marker.encode() in words:
            found.append(process.name)
    return found


def test_a_pruned_torchrun_leaves_no_children(folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    endless = (folder / "distributed.py").read_text().replace("% 20", f"% {EVERY}").replace("args.steps)", "10**9)")
    script = folder / "endless.py"
    script.write_text(endless.replace("    lr(step)", "    lr(min(step, 39))"))
    launch = [
        str(BIN / "torchrun"),
        "--nproc-per-node",
        "2",
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        "localhost:0",
    ]
    losses = {"format": "text", "pattern": r"step (?P<step>\d+) test loss (?P<loss>\S+)"}
    worker = runner()
    seen = worker.run(segment({"run": [*launch, str(script)], "losses": losses}, 0, EVERY, folder=folder))
    assert [point.step for point in seen.points] == [EVERY]
    assert len(processes_of(str(script))) >= 3, "torchrun and its two workers train on"
    worker.release(seen.segment)
    assert processes_of(str(script)) == []


def test_logs_alone_give_a_schedule_and_its_gain(folder):
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "logs_alone.py", "200"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "$ autosched optimize law.json --steps 200" in done.stdout
    assert re.search(
        r"^gain [+-][\d.]+ nats on 3 fresh seeds \(90% interval .*, at 200 updates each$", done.stdout, re.M
    )
