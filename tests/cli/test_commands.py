"""Commands are known without being loaded, and what is known of them is true."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import run

from autosched.cli.commands import COMMANDS, load_command

HEAVY = ("numpy", "pydantic", "scipy", "sqlalchemy", "yaml", "matplotlib", "ray", "torch", "optuna", "mlflow")


def loaded_by(*arguments: str) -> set[str]:
    """The modules that are in memory after a command of the program."""
    code = (
        "import sys; from autosched.cli.app import run; code = run(sys.argv[1:]);"
        "print('\\0', *sys.modules, sep='\\n'); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\0\n")[1].split())


def test_the_help_loads_no_command_and_no_library_of_one() -> None:
    loaded = loaded_by("--help")
    assert loaded.isdisjoint(HEAVY)
    ours = {name for name in loaded if name.startswith("autosched.")}
    commands = {name for name in ours if name.startswith("autosched.cli.")}
    assert commands == {"autosched.cli.app", "autosched.cli.commands"}
    assert not {name for name in ours - commands if name.count(".") > 1}  # modules of no package are small


def test_a_command_loads_its_own_module_only() -> None:
    loaded = loaded_by("schedules", "--help")
    commands = {name for name in loaded if name.startswith("autosched.cli.") and "_command" in name}
    assert commands == {"autosched.cli.family_command"}
    assert loaded.isdisjoint({"sqlalchemy", "ray", "torch", "optuna", "mlflow", "matplotlib"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_the_first_line_of_its_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name].summary


def test_a_misspelled_command_is_refused_with_the_nearest_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tunes"]) == 2
    assert capsys.readouterr().err == "autosched: error: No such command 'tunes'. Did you mean 'tune'?.\n"
