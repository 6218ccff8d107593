"""What files and names say is shown on a terminal, and never obeyed by it."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.cli.app import run
from autosched.printed import LONGEST_ERROR, one_line, printable, tell
from autosched.schedules import Schedule

ROOT = Path(__file__).parents[1]
ESCAPE = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e"


@given(st.text())
def test_whatever_the_text_only_printable_characters_and_line_breaks_stay(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in printable(text))
    assert one_line(text).isprintable()
    assert len(one_line(text * 50)) < LONGEST_ERROR + 10


@pytest.mark.parametrize("text", ["wsd(peak 0.01)", "größer als 10 µs", "⣿⡇ ██ ─┐", "two\nlines"])
def test_what_is_printable_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stream_that_lacks_a_character_gets_another(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    tell("⣿ µ \udcff", stream)
    assert raw.getvalue().decode(encoding).rstrip("\n").endswith("\\udcff")


def test_the_program_prints_by_one_function_alone() -> None:
    """So that nothing a file says can reach a terminal by another way."""
    package = ROOT / "autosched"
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITING and path != package / "printed.py"
    ]
    assert found == []


WRITING = ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.secho", "click.echo")


def commands(folder: Path) -> list[list[str]]:
    """Commands whose files, names and values hold escapes."""
    schedule = folder / "lr.json"
    schedule.write_text(Schedule([0.1, 0.2], family=ESCAPE, params={ESCAPE: ESCAPE}).to_json())
    (folder / "head.csv").write_text(f"step,lr,{ESCAPE}\n1,1,1\n")
    (folder / "cell.csv").write_text(f"step,lr,loss\n1,1,{ESCAPE}\n")
    (folder / "key.yaml").write_text('"a\\e[31mb": 1\n')
    (folder / f"{ESCAPE}.csv").write_text("step,lr\n1,1\n2,1\n")
    (folder / "key.json").write_text('{"format": "\\u001b[31m", "version": 1}')
    return [
        ["plot", str(schedule)],
        ["fit", str(folder / "head.csv")],
        ["fit", str(folder / "cell.csv")],
        ["fit", str(folder / f"{ESCAPE}.csv")],
        ["import", str(folder / f"{ESCAPE}.csv"), "--out", str(folder / f"{ESCAPE}.json")],
        ["validate", str(folder / "key.yaml")],
        ["plot", str(folder / "key.json")],
        ["fit", "x" * 6_000 + ESCAPE],
        ["schedules", ESCAPE],
    ]


def test_escapes_in_files_and_names_never_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands(tmp_path):
        assert run(command) in (0, 1, 2), command
        told = capsys.readouterr()
        assert printable(told.out + told.err) == told.out + told.err, command
        assert told.out + told.err, command
        assert len(told.err) < 2 * LONGEST_ERROR, command
