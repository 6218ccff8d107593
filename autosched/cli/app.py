"""The `autosched` program: commands, exit codes, and one clear line for whatever goes wrong.

Exit codes: 0 success, 1 the work failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import sys

import click
import typer

from autosched.cli import inspect_commands, schedule_commands, server_commands, study_commands
from autosched.errors import AutoschedError

app = typer.Typer(
    help="Find the learning-rate schedule a training run should use, for the cost of a few runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
study_commands.register(app)
inspect_commands.register(app)
schedule_commands.register(app)
server_commands.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the program; returns its exit code. Errors are one line on stderr."""
    try:
        result = app(arguments, standalone_mode=False)
    except AutoschedError as error:
        return _say(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 2
    except click.ClickException as error:
        return _say(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe went away; nobody is left to tell
        return 0
    return result if isinstance(result, int) else 0


def _say(text: str, code: int) -> int:
    print(f"autosched: error: {' '.join(text.split())}", file=sys.stderr)
    return code
