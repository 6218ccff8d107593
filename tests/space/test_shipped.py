"""The spaces that come with the package: found by bare name from any folder, and said to be such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import refuse, run

from autosched.errors import SpaceError
from autosched.space.shipped import FOLDER, about, shipped_note, shipped_spaces, space_file
from autosched.study.sources import read_source

SHIPPED = shipped_spaces()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_they_lie_inside_the_package_so_that_an_installed_one_has_them() -> None:
    import autosched

    assert FOLDER.parent == Path(autosched.__file__).parent
    assert {"wsd", "cosine", "vision"} <= SHIPPED.keys()
    assert all(about(file).endswith((".", "?")) for file in SHIPPED.values())


@pytest.mark.parametrize("name", ["wsd", "wsd.yaml"])
def test_a_bare_name_means_one_of_them_where_no_file_has_it(name: str) -> None:
    assert space_file(name) == SHIPPED["wsd"]
    assert shipped_note(name) == f"{name} is the space that comes with autosched, {SHIPPED['wsd']}."
    assert read_source(name).data["study"] == "wsd-demo"
    Path(name).write_text("study: mine")
    assert space_file(name) == Path(name)
    assert shipped_note(name) is None


def test_a_path_means_a_file_alone() -> None:
    assert space_file("here/wsd.yaml") == Path("here/wsd.yaml")
    with pytest.raises(
        SpaceError, match=r"^absent\.yaml: there is no such file\. Spaces that come along: `autosched sp"
    ):
        space_file("absent.yaml")


def test_they_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["spaces"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(SHIPPED)
    assert run(["spaces", "--json"]) == 0
    assert {row["space"]: Path(row["file"]) for row in json.loads(capsys.readouterr().out)} == SHIPPED
    assert run(["spaces", "wsd"]) == 0
    assert capsys.readouterr().out == SHIPPED["wsd"].read_text()
    refuse(capsys, ("spaces", "wds"), "NAME must be one of autolrs, ", "but got 'wds'", "wsd")


def test_a_command_says_on_stderr_that_it_took_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "vision", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith("autosched: vision is the space that comes with autosched, ")
    assert json.loads(shown.out)["study"] == "vision"
