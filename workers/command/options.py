"""Options of ``trainer: {use: command, with: {…}}``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from autosched.errors import UsageError
from autosched.trainer import Rule, flag, number, one_of, positive, read_record, text
from workers.command import template

STDOUT = "stdout"
FORMATS = ("attach", "json_lines", "csv", "text", "tensorboard")


def _words() -> Rule:
    def read(value: Any) -> Any:
        if isinstance(value, str):
            return value.strip() or None
        fine = isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value)
        return tuple(value) if fine else None

    return Rule("a text like 'python train.py --lrs {lrs}', or a list of its words", read)


def _texts() -> Rule:
    def read(value: Any) -> Any:
        fine = isinstance(value, list | tuple) and all(isinstance(word, str) and word for word in value)
        return tuple(value) if fine else None

    return Rule("a list of texts", read)


def _mapping(of: str) -> Rule:
    return Rule(f"a mapping of {of}", lambda value: dict(value) if isinstance(value, Mapping) else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOptions:
    """Where a command's losses are read.

    Attributes:
        format: ``attach`` (what the script gives to ``autosched.attach().report``), ``json_lines``, ``csv``,
            ``text`` or ``tensorboard``.
        path: the file; ``stdout`` for what the command prints; of ``tensorboard`` the folder of its event files. May
            have fields, e.g. ``{out}/losses.csv``.
        step, loss: the columns or keys that hold the updates done and the loss; of ``tensorboard`` the loss's tag.
        pattern: of ``text``: a regular expression with the named groups `step` and `loss`, searched in every line.
        take: what becomes of several losses between two evaluations: their ``mean``, or the ``last``.
    """

    format: Annotated[str, one_of(*FORMATS)] = "attach"
    path: Annotated[str, text()] = STDOUT
    step: Annotated[str, text()] = "step"
    loss: Annotated[str, text()] = "loss"
    pattern: Annotated[str | None, text()] = None
    take: Annotated[str, one_of("mean", "last")] = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOptions:
    """What to run, and how.

    Attributes:
        run: the command, with fields in braces (:mod:`workers.command.template`).
        losses: see :class:`LossOptions`.
        checkpoints: the script takes `checkpoint_in` and `checkpoint_out` from ``autosched.attach()``, so that `run`
            need not name them.
        shell: run it by ``/bin/sh -c``; the values of fields are quoted.
        env: environment variables besides those that are there; values may have fields.
        cwd: the folder to run in; default: where autosched was started.
        time_limit_minutes: of one process; default: none.
        silence_minutes: how long it may report no loss before it counts as hung.
        grace_seconds: between SIGTERM and SIGKILL when a trial ends.
        log_mib: size of a trial's log, which the tracker gets, too; of what is printed beyond, the end is kept.
        identity: further files and folders, of data or code, whose content decides the results: with another content
            nothing of an earlier study counts. The files that `run` names count anyway, with the modules beside them.
        scratch: where temporary folders are made; default: the system's place.
        hyperparameters: values of further fields, by name; the space's `hyperparameters` are such fields.
    """

    run: Annotated[str | tuple[str, ...], _words()] = ""
    losses: Annotated[Mapping[str, Any], _mapping("options")] = field(default_factory=dict)
    checkpoints: Annotated[bool, flag()] = False
    shell: Annotated[bool, flag()] = False
    env: Annotated[Mapping[str, str], _mapping("texts")] = field(default_factory=dict)
    cwd: Annotated[str, text()] = "."
    time_limit_minutes: Annotated[float | None, positive()] = None
    silence_minutes: Annotated[float, positive()] = 30.0
    grace_seconds: Annotated[float, number(0)] = 10.0
    log_mib: Annotated[float, positive()] = 1.0
    identity: Annotated[tuple[str, ...], _texts()] = ()
    scratch: Annotated[str | None, text()] = None
    hyperparameters: Annotated[Mapping[str, Any], _mapping("values by the name of a field")] = field(
        default_factory=dict
    )

    @property
    def command(self) -> Sequence[str] | str:
        """The words to fill in; one text for a shell."""
        if self.shell and isinstance(self.run, str):
            return self.run
        return shlex.split(self.run) if isinstance(self.run, str) else list(self.run)

    @property
    def resumes(self) -> bool:
        """Whether a run goes on from what it has saved."""
        return self.checkpoints or "checkpoint_in" in self.fields

    @property
    def loss_options(self) -> LossOptions:
        """The losses' options as a record."""
        return read_record(LossOptions, self.losses, of="command trainer: losses")

    @property
    def fields(self) -> list[str]:
        """Every name in braces, of the command, its environment and the losses' path."""
        words = [self.run] if isinstance(self.run, str) else [*self.run]
        return [
            name for part in (*words, *self.env.values(), self.loss_options.path) for name in template.fields_of(part)
        ]

    @property
    def given_fields(self) -> list[str]:
        """Those of them that autosched fills in by itself, without the command's hyperparameters."""
        return [name for name in self.fields if name not in self.hyperparameters]


def read_command_options(options: Mapping[str, Any]) -> CommandOptions:
    """Check the options of a command.

    Raises:
        UsageError: one line that says what is wrong, and what is allowed.
    """
    read = read_record(CommandOptions, options, of="command trainer")
    if not read.run:
        raise UsageError("command trainer: run is missing, e.g. 'python train.py --lrs {lrs}'.")
    if read.shell and not isinstance(read.run, str):
        raise UsageError("command trainer: run must be one text when shell is true.")
    try:
        if not read.command:
            raise ValueError("it has no words")
    except ValueError as error:
        raise UsageError(f"command trainer: run cannot be split into words: {error}; got {read.run!r}.") from None
    for name, value in read.env.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise UsageError(f"command trainer: env must be a mapping of texts, but {name!r} is {value!r}.")
    _check_losses(read.loss_options)
    fields = read.fields
    if ("checkpoint_in" in fields) != ("checkpoint_out" in fields):
        raise UsageError("command trainer: run must have both {checkpoint_in} and {checkpoint_out}, or neither.")
    return read


def _check_losses(losses: LossOptions) -> None:
    if losses.format == "tensorboard" and losses.path == STDOUT:
        raise UsageError("command trainer: losses.path must be the folder of event files for format tensorboard.")
    if losses.format != "text":
        if losses.pattern is not None:
            raise UsageError("command trainer: losses.pattern belongs to format text.")
        return
    needed = r"a regular expression with (?P<step>…) and (?P<loss>…)"
    try:
        groups = re.compile(losses.pattern or "").groupindex
    except re.error as error:
        raise UsageError(f"command trainer: losses.pattern must be {needed}, but: {error}.") from None
    if not {"step", "loss"} <= groups.keys():
        raise UsageError(f"command trainer: losses.pattern must be {needed}, but got {losses.pattern!r}.")
