"""Fingerprints of a trainer's code and data: what changes them, and what does not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autosched.trainer.fingerprints import WHOLE_BYTES, code_fingerprints, data_fingerprints, named_paths

FILES = {
    "kind/__init__.py": "",
    "kind/train.py": "import json, torch\nfrom . import parts\nfrom .deep.net import Net\nimport beside\n",
    "kind/parts.py": "def late():\n    from kind.later import thing\n",
    "kind/later.py": "thing = 1\n",
    "kind/deep/net.py": "import kind.train  # a circle\nclass Net: ...\n",
    "kind/alone.py": "nobody = 'imports this'\n",
    "beside.py": "import numpy\n",
    "apart.py": "",
}
NAMES = ["beside", "kind", "kind.deep.net", "kind.later", "kind.parts", "kind.train"]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that Python finds; ``kind.deep`` is a package without a file of its own."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_modules_of_ones_own_that_a_trainer_imports_count_and_no_others(code: Path) -> None:
    found = code_fingerprints("kind.train")
    assert list(found) == NAMES
    assert not {"kind", "beside"} & set(sys.modules)  # nothing was executed


@pytest.mark.parametrize("name", FILES)
def test_an_edit_changes_the_fingerprint_of_the_module_that_was_edited(code: Path, name: str) -> None:
    before = code_fingerprints("kind.train")
    (code / name).write_text(FILES[name] + "# an edit\n")
    after = code_fingerprints("kind.train")
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert {n for n in before if before[n] != after[n]} == {module} & set(NAMES)


def test_modules_that_no_source_explains_are_left_out(code: Path) -> None:
    (code / "beside.py").write_text("import no_such_module\nfrom ..... import x\ndef broken(:\n")
    assert list(code_fingerprints("kind.train")) == NAMES
    assert code_fingerprints("yaml.loader").keys() > {
        "yaml",
        "yaml.loader",
    }  # a trainer's own package may be installed
    assert code_fingerprints("workers.simulated") == {}


def test_paths_are_found_at_any_depth_of_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a")
    Path("data").mkdir()
    options = {"x": "a.txt", "deep": [{"y": "data"}, "none.txt", 3, None, ""], "z": "n" * 9999, "zero": "a\0b"}
    assert list(named_paths(options)) == ["a.txt", "data"]


def _append(path: Path) -> None:
    path.write_text(path.read_text() + "more")


def _flip(path: Path) -> None:
    path.write_text(path.read_text().swapcase())


def _touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(("change", "changes"), [(_append, True), (_flip, True), (Path.unlink, True), (_touch, False)])
@pytest.mark.parametrize("named", ["corpus.txt", "folder"])
def test_content_counts_and_time_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, change: Callable[[Path], None], changes: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder/inside").mkdir(parents=True)
    for name in ("corpus.txt", "folder/inside/part.txt", "folder/b.txt"):
        Path(name).write_text("text")
    before = data_fingerprints([named])
    assert list(before) == [named]
    change(Path("corpus.txt" if named == "corpus.txt" else "folder/inside/part.txt"))
    assert (data_fingerprints([named]) != before) == changes


def test_of_a_file_too_large_to_read_size_time_and_blocks_count(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(4 * WHOLE_BYTES)  # a hole: it takes no place
    os.utime(path, ns=(1, 1))
    before = data_fingerprints([path])
    assert list(before) == ["large.bin"]
    os.utime(path, ns=(2, 2))
    assert data_fingerprints([path]) != before
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(path, ns=(1, 1))
    assert data_fingerprints([path]) != before


def test_a_copy_elsewhere_has_the_same_fingerprint_and_what_is_no_file_has_none(tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "corpus.txt").write_text("text")
    assert data_fingerprints([tmp_path / "old/corpus.txt"]) == data_fingerprints([tmp_path / "new/corpus.txt"])
    os.mkfifo(tmp_path / "pipe")
    assert data_fingerprints([tmp_path / "pipe", tmp_path / "none", "/dev/zero"]) == {}
