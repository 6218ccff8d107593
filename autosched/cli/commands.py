"""Which commands there are; the module of one is imported when that command is called, or asked for its own help."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from autosched.errors import UsageError

HELP = "Find the learning-rate schedule a training run should use, for the cost of a few runs."


class Place(NamedTuple):
    """Where a command is, and the first line of its help, which a test holds equal to that of the function."""

    module: str
    function: str
    summary: str


COMMANDS: dict[str, Place] = {
    "tune": Place(
        "study_commands", "tune", "Find the best schedule of a space: propose, train, prune, confirm, report."
    ),
    "resume": Place(
        "study_commands",
        "resume",
        "Go on with a study that was interrupted; bring a finished one's tracker and report up to date.",
    ),
    "submit": Place(
        "cluster_commands",
        "submit",
        "Run a study as a job of a Ray cluster; a study that is there under this name goes on.",
    ),
    "logs": Place("cluster_commands", "logs", "Print what the last job of a study has printed."),
    "stop": Place(
        "cluster_commands",
        "stop",
        "End the job of a study; what it has committed stays, and `resume` goes on from there.",
    ),
    "validate": Place("study_commands", "validate", "Check a space file and say what it would do, without training."),
    "spaces": Place(
        "space_command", "spaces", "List the search spaces that come with autosched, or print one, to change and keep."
    ),
    "new": Place("new_command", "new", "Write the beginning of a trainer of your own, and a space that tunes it."),
    "check-trainer": Place(
        "trainer_command", "check_trainer", "Train a few updates to see whether a trainer keeps its promises."
    ),
    "status": Place("inspect_commands", "status", "List the studies of a ledger, or tell how one stands."),
    "watch": Place(
        "watch_command", "watch", "Follow a study that another process runs, from its ledger, until it ends."
    ),
    "show": Place(
        "inspect_commands",
        "explain",
        "Explain one trial: its schedule, what was forecast, what was decided and why.",
    ),
    "best": Place("inspect_commands", "best", "Print the winner of a study and where its files are."),
    "schedules": Place(
        "family_command",
        "schedules",
        "List the schedule families, or explain one: formula, source, parameters with defaults and search bounds.",
    ),
    "plot": Place("plot_command", "plot", "Draw schedules, families, or what a space would try."),
    "export": Place(
        "schedule_commands",
        "export",
        "Take a schedule away in the form another program reads, or the winner's trained model.",
    ),
    "range-test": Place(
        "range_command",
        "range_test",
        "Train once while the LR rises exponentially; suggest bounds for the peak LR.",
    ),
    "import": Place(
        "import_command",
        "import_schedule",
        "Make a schedule file from logged LRs, to plot, export, compare or predict.",
    ),
    "inspect": Place("log_command", "inspect_logs", "Say what logs are understood as, before a law is fitted to them."),
    "fit": Place("law_commands", "fit", "Fit a loss law to logged runs."),
    "predict": Place(
        "law_commands", "predict", "Predict the loss curve of a schedule, with its standard deviation (nats)."
    ),
    "evaluate": Place(
        "law_commands",
        "evaluate",
        "Errors of a fitted law on logged runs, after their warmup; a run that was fitted in part is known as such.",
    ),
    "optimize": Place(
        "law_commands",
        "optimize",
        "Find the schedule with the lowest predicted final loss, and by how much it beats cosine, linear and WSD.",
    ),
    "refine": Place(
        "refine_command",
        "refine",
        "Refine a schedule from the gradient norms that a finished pilot run logged (Defazio et al. 2023).",
    ),
    "transfer": Place(
        "transfer_command",
        "transfer",
        "Carry a tuned schedule over to another horizon, cooldown, batch size or width, by published rules.",
    ),
    "compare": Place(
        "compare_command",
        "compare",
        "Compare controllers and pruners side by side at equal budget; call it again to go on or to add methods.",
    ),
    "serve": Place(
        "serve_command", "serve", "Show studies as they run: a live page, read-only, from the ledger alone."
    ),
    "ui": Place("server_commands", "ui", "Open MLflow on the store a study is tracked in."),
    "doctor": Place(
        "server_commands",
        "doctor",
        "Check the installation: versions, devices, disk, ledger, a checkpoint, Ray, MLflow, and what is open to whom.",
    ),
}
"""In the order of the help."""
SETTINGS = {"help_option_names": ["-h", "--help"]}
SMALLEST, LARGEST = 1e-30, 1e30
"""Of LRs, batches and widths, any power of which that a rule or a law takes is a number, too."""
MOST = 10**12
"""Of whole numbers, as in spaces."""


class CommandGroup(TyperGroup):
    """The program. What it holds are names and summaries; what it runs is loaded then."""

    def __init__(self) -> None:
        shown = {name: TyperCommand(name, help=place.summary) for name, place in COMMANDS.items()}
        super().__init__(name="autosched", help=HELP, commands=dict(shown), context_settings=SETTINGS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Which command is meant, loaded, and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else load_command(str(name)), rest


class Command(TyperCommand):
    """A command whose numbers lie where one can compute with them."""

    def invoke(self, ctx: Any) -> Any:
        """Run it.

        Raises:
            UsageError: a number is none, or too large or too small for any computation.
        """
        for parameter in self.params:
            _check_number(parameter.opts[-1], ctx.params.get(str(parameter.name)))
        return super().invoke(ctx)


def _check_number(option: str, value: Any) -> None:
    if isinstance(value, float) and value != 0 and not SMALLEST <= abs(value) <= LARGEST:
        raise UsageError(f"{option} must be 0 or from {SMALLEST:g} to {LARGEST:g} in size, but got {value!r}.")
    if isinstance(value, int) and abs(value) > MOST:
        raise UsageError(f"{option} must be <= 10**12 in size, but got {value!s:.40}.")


def load_command(name: str) -> TyperCommand:
    """The whole command of this name, with its arguments and options."""
    place = COMMANDS[name]
    function = getattr(import_module(f"autosched.cli.{place.module}"), place.function)
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    single.command(name, cls=Command)(function)
    return cast(TyperCommand, get_command(single))  # one command makes no group
