import os
import subprocess
import sys

import numpy as np
import pytest

from autosched.errors import UsageError
from workers.gpt import GptTrainer
from workers.registry import BUILT_IN, check_trainer, make_trainer, trainer_class, trainer_fingerprints

REQUIRED = {"command": {"run": "true"}}
"""Options of trainers that cannot be made without any."""
OWN = '''
from workers.simulated import SimulatedTrainer


class Mine(SimulatedTrainer):
    """A trainer of one's own."""


class Unchecked:
    def __init__(self, options, *, seed, horizon):
        self.options, self.seed, self.horizon, self.step = options, seed, horizon, 0

    start = train = evaluate = save = load = print


class Unfinished:
    train = 7

    def start(self): ...


class Positional(Unchecked):
    def __init__(self, options):
        pass


number = 7
'''


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module in the working directory, under a name that no other test uses."""
    name = f"own_{tmp_path.name.translate(str.maketrans('[]-', '___'))}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("use", BUILT_IN)
def test_a_built_in_trainer_is_found_by_its_name(use):
    check_trainer(use, REQUIRED.get(use, {}))
    assert make_trainer(use, REQUIRED.get(use, {}), 0, 10).step == 0


def test_a_name_becomes_its_class():
    assert trainer_class("gpt") is GptTrainer
    assert trainer_class("workers.gpt:GptTrainer") is GptTrainer


def test_a_class_in_the_working_directory_is_found(own_module):
    trainer = make_trainer(f"{own_module}:Mine", {"noise": 0.0}, 3, 10)
    trainer.train(np.full(2, 0.01))
    assert trainer.step == 2
    check_trainer(f"{own_module}:Mine", {"noise": 0.0})


def test_the_working_directory_hides_nothing_that_is_installed(own_module, tmp_path):
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    assert make_trainer(f"{own_module}:Mine", {}, 0, 1)
    assert sys.path[-1] == str(tmp_path)


def test_a_trainer_gets_options_seed_and_horizon(own_module):
    trainer = make_trainer(f"{own_module}:Unchecked", {"a": 1}, 3, 10)
    assert (trainer.options, trainer.seed, trainer.horizon) == ({"a": 1}, 3, 10)


def test_a_trainer_without_a_check_of_its_options_is_allowed(own_module):
    check_trainer(f"{own_module}:Unchecked", {"anything": 1})


def test_options_are_checked_without_making_a_trainer(own_module):
    with pytest.raises(UsageError, match="unknown option 'noize'"):
        check_trainer(f"{own_module}:Mine", {"noize": 1})


@pytest.mark.parametrize("use", BUILT_IN)
def test_a_built_in_trainer_that_names_no_file_has_no_fingerprints(use):
    assert trainer_fingerprints(use, {"run": "true"} if use == "command" else {}) == {}


def test_the_files_of_tokens_are_the_data_of_gpt(tmp_path):
    for name in ("train.bin", "val.bin", "notes.txt"):
        (tmp_path / name).write_bytes(bytes(500))
    assert list(trainer_fingerprints("gpt", {"data": str(tmp_path)})) == ["train.bin", "val.bin"]
    assert list(trainer_fingerprints("gpt", {"data": str(tmp_path / "notes.txt")})) == ["notes.txt"]


def test_a_trainer_of_ones_own_has_fingerprints_of_its_code_and_of_the_files_it_is_given(own_module, tmp_path):
    (tmp_path / "corpus.txt").write_text("text")
    found = trainer_fingerprints(f"{own_module}:Mine", {"deep": {"data": str(tmp_path / "corpus.txt")}})
    assert list(found) == [own_module, "corpus.txt"]


@pytest.mark.parametrize("use", ["", "bert", "own_trainer", ":Class", "module:", ".relative:Class"])
def test_an_unknown_name_is_refused_with_those_that_exist(use):
    with pytest.raises(UsageError, match=r"must be one of gpt, .*, command, or package\.module:Class, but got"):
        trainer_class(use)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Yours", "the module own_.* has no class Yours"),
        ("number", "the module own_.* has no class number"),
        ("Unfinished", "must have the methods start, .* but has no train, evaluate, save, load"),
        ("Positional", r"its constructor must take \(options, \*, seed, horizon\), but: got an unexpected keyword"),
    ],
)
def test_what_is_no_trainer_is_refused_with_what_it_lacks(own_module, name, message):
    with pytest.raises(UsageError, match=message):
        check_trainer(f"{own_module}:{name}", {})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "cannot be imported: No module named"),
        ("import no_such_library", "cannot be imported: No module named 'no_such_library'"),
        ("def f(:", r"cannot be imported: SyntaxError: invalid syntax \(.*\.py, line 1\)"),
        ("print(undefined)", "cannot be imported: NameError: name 'undefined' is not defined"),
        ("import os; os.no_such_name", "cannot be imported: AttributeError: module 'os' has no attribute"),
    ],
)
def test_a_module_that_cannot_be_imported_is_refused_in_one_line(tmp_path, monkeypatch, source, message):
    name = f"broken_{tmp_path.name.translate(str.maketrans('[]-', '___'))}"
    if source is not None:
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(UsageError, match=message) as info:
        check_trainer(f"{name}:Class", {})
    assert "\n" not in str(info.value)


def test_the_simulated_trainer_needs_no_torch():
    code = "import sys; from workers.registry import make_trainer; make_trainer('simulated', {}, 0, 1); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "False"
