"""The `autosched` program: commands, exit codes, and one clear line for whatever goes wrong.

Exit codes: 0 success, 1 the work failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from autosched.cli.commands import CommandGroup
from autosched.errors import AutoschedError
from autosched.printed import tell_error

app = CommandGroup()


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the program; returns its exit code. Errors are one line on stderr."""
    try:
        result = app.main(arguments or ["--help"], standalone_mode=False)
    except AutoschedError as error:
        return _say(str(error), error.exit_code)
    except TyperException as error:
        return _say(_usage(error), 2)
    except OSError as error:
        return _machine(error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    if not arguments:  # the help was shown to somebody who asked for nothing
        return 2
    return result if isinstance(result, int) else 0


def _usage(error: TyperException) -> str:
    """What is wrong with the arguments; Typer leaves out a value that is of the wrong type or out of range."""
    from pydantic import ValidationError

    cause, text = error.__cause__, error.format_message().rstrip(".")
    return f"{text}, but got {cause.errors()[0]['input']!r:.80}." if isinstance(cause, ValidationError) else f"{text}."


def _machine(error: OSError) -> int:
    """A full disk, a file that vanished, a pipe that nobody reads: of the machine, not a mistake in the program."""
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # nobody is left to tell
        return 0
    where = f"{error.filename}: " if error.filename else ""
    return _say(f"{where}{error.strerror or error}.", 1)


def _say(text: str, code: int) -> int:
    tell_error(text)
    return code
