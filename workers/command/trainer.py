"""The trainer ``command``: every run is a process of the user's own, which is told its LRs and whose losses are read.

A command with checkpoints, which names ``{checkpoint_in}`` and ``{checkpoint_out}`` or whose script takes them from
``attach`` (``checkpoints: true``), is run once per segment. One without is run once per trial: its losses are read as
it goes, segment after segment, while it trains on ahead; it is ended when its trial is.
"""

from __future__ import annotations

import os
import shlex
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from autosched.errors import AutoschedError, CheckpointError
from autosched.ledger.records import Point, Segment
from autosched.space.records import Space
from autosched.trainer import Diverged
from workers.command import attachment, template
from workers.command.log_file import LogFile
from workers.command.losses import EventFiles, File, Lines, Report, line_reader
from workers.command.options import STDOUT, read_command_options
from workers.command.points import Evaluations, MissingLossError
from workers.command.process import Launch, Process, in_words
from workers.command.sources import named_files
from workers.command.space_check import check_command_space, names_lrs
from workers.command.workplace import Workplace

_SAVED, _STEP = "checkpoint_out", "step"
POLL_SECONDS = 0.02
"""How often a file of losses is looked at: a small part of what starting a process takes."""


class CommandError(AutoschedError):
    """The command failed; the text says how, and where its log is."""


@dataclass(slots=True)
class _Run:
    """A command at work.

    Attributes:
        told_at: file of what comes by ``attach``.
        heard: reports found in its output, by another thread.
        told: when it last reported, or began to be waited for.
    """

    process: Process
    log: LogFile
    log_path: str
    told_at: Path
    evaluations: Evaluations
    file: File | EventFiles | None
    heard: list[Report]
    lines: Lines | None
    asked: bool = False
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def take_in(self, *, last: bool = False) -> None:
        """Read what is new."""
        found = [] if self.file is None else self.file.news(last=last)
        while self.heard:
            found.append(self.heard.pop(0))
        if last and self.lines is not None:
            found += self.lines.feed(b"", last=True)
        if found:
            self.told = time.monotonic()
            self.evaluations.add(found)

    def close(self) -> None:
        """End the command, and take in what it has printed and reported until then."""
        self.process.close()
        self.log.close()
        self.take_in(last=True)


class CommandTrainer:
    """Trains by running a command; see the module.

    Args:
        options: of the space file, see :class:`CommandOptions`.
        seed: for the command's ``{seed}``.
        horizon: updates of a run.

    Raises:
        UsageError: options that are not allowed.
    """

    def __init__(self, options: Mapping[str, Any], *, seed: int, horizon: int) -> None:
        self._options = read_command_options(options)
        self._losses = self._options.loss_options
        self._seed, self._horizon = seed, horizon
        self._resumes = self._options.resumes
        self._run: _Run | None = None
        self._place: Workplace | None = None
        self.step = 0

    @staticmethod
    def check_options(options: Mapping[str, Any]) -> None:
        """Whether the options are allowed.

        Raises:
            UsageError: they are not.
        """
        read_command_options(options)

    @staticmethod
    def check_space(space: Space) -> None:
        """Whether the command can be run for all that a space lets be tried.

        Raises:
            UsageError: it cannot.
        """
        check_command_space(space)

    @staticmethod
    def data_files(options: Mapping[str, Any]) -> list[Path]:
        """Files whose content decides the results: those that the command and its option `identity` name."""
        read = read_command_options(options)
        words = shlex.split(read.run) if isinstance(read.run, str) else read.run
        files = named_files(words, Path(read.cwd).expanduser())
        return [*files, *(Path(read.cwd, path).expanduser() for path in read.identity)]

    def start(self) -> None:
        """Make ready for update 0; ends what runs."""
        self.close()
        self.step = 0

    def train_segment(self, segment: Segment) -> Iterator[Point]:
        """Run the command, or go on reading the one that runs; see :class:`autosched.trainer.SegmentTrainer`.

        Raises:
            Diverged: a reported loss is NaN or infinite.
            CommandError: the command failed, hangs, takes too long or reports nothing; it is ended.
        """
        if self._run is None:
            self._run = self._launch(segment)
        run = self._run
        run.told = time.monotonic()
        ends = self._resumes or segment.stop == segment.horizon
        try:
            for step in _evaluated(segment, segment.stop):
                yield self._await(run, step)
            if ends:
                self._await_end(run)
        except (Diverged, CommandError):
            self.close()
            raise
        self.step = segment.stop

    def _launch(self, segment: Segment) -> _Run:
        """Start the command for a segment, or for a whole run from update 0."""
        options, purpose, old = self._options, segment.known_purpose, self._place
        place = self._place = Workplace(options.grace_seconds, options.scratch)
        checkpoint = ""
        if segment.start and old is not None:
            checkpoint = str(place.folder / "checkpoint_in")
            (old.folder / _SAVED).rename(checkpoint)
        if old is not None:
            old.close()
        stop = segment.stop if self._resumes else segment.horizon
        values = {
            **template.hyperparameters(options.hyperparameters),
            **template.parameters(purpose.schedule),
            **template.write_lrs(place.folder, purpose.schedule, options.fields),
            "start": str(segment.start),
            "stop": str(stop),
            "horizon": str(segment.horizon),
            "eval_every": str(segment.eval_every),
            "seed": str(segment.seed),
            "trial": "" if purpose.trial is None else str(purpose.trial),
            "out": str(place.folder / "out"),
            "checkpoint_in": checkpoint,
            "checkpoint_out": str(place.folder / _SAVED) if self._resumes else "",
        }
        (place.folder / "out").mkdir()
        told = attachment.write(place.folder, segment, stop=stop, values=values)
        environment = {**os.environ, **told.environment}
        environment |= {name: template.fill(value, values) for name, value in options.env.items()}
        return self._start(place, segment, values, environment, told.reports)

    def _start(
        self, place: Workplace, segment: Segment, values: Mapping[str, str], environment: Mapping[str, str], told: Path
    ) -> _Run:
        """Start the command with everything filled in."""
        options, losses, log_path = self._options, self._losses, segment.known_purpose.log
        command = template.filled(options.command, values)
        cwd = Path(options.cwd).expanduser()
        path = told if losses.format == "attach" else Path(cwd, template.fill(losses.path, values))
        listens = losses.format != "attach" and losses.path == STDOUT
        lines, heard = Lines(line_reader(losses)), list[Report]()
        title = f"updates {values['start']} to {values['stop']}: {_shown(command)}"
        log = LogFile(Path(log_path) if log_path else None, round(options.log_mib * 2**20), title)

        def hear(data: bytes) -> None:
            log.write(data)
            if listens:
                heard.extend(lines.feed(data))

        launch = Launch(command=command, cwd=cwd, environment=environment, grace=options.grace_seconds)
        try:
            process = Process(launch, place, hear)
        except OSError as error:
            log.close()
            raise CommandError(f"the command cannot be started: {error.strerror}: {error.filename}") from None
        return _Run(
            process=process,
            log=log,
            log_path=log_path,
            told_at=told,
            evaluations=Evaluations(segment.start, _evaluated(segment, int(values["stop"])), take=losses.take),
            file=None if listens else self._source(path, lines),
            heard=heard,
            lines=lines if listens else None,
        )

    def _source(self, path: Path, lines: Lines) -> File | EventFiles:
        losses = self._losses
        return EventFiles(path, losses.loss) if losses.format == "tensorboard" else File(path, lines)

    def _await(self, run: _Run, step: int) -> Point:
        """Wait until the command has reported what the point at `step` needs."""
        while True:
            ended = run.process.exit_code is not None
            run.close() if ended else run.take_in()
            try:
                point = run.evaluations.next_point(ended=ended and run.process.exit_code == 0)
            except MissingLossError as missing:
                raise self._failure(run, str(missing)) from None
            if point is not None:
                self._check_asked(run)
                return point
            if ended:
                raise self._failure(run, in_words(run.process.exit_code or 0))
            self._check_time(run)
            run.process.news.wait(POLL_SECONDS)
            run.process.news.clear()

    def _await_end(self, run: _Run) -> None:
        """Wait until the command has ended, well."""
        while run.process.exit_code is None:
            self._check_time(run)
            run.process.news.wait(POLL_SECONDS)
            run.process.news.clear()
        run.close()
        if run.process.exit_code != 0:
            raise self._failure(run, in_words(run.process.exit_code))
        self._run = None
        if self._resumes and self._place is not None and not (self._place.folder / _SAVED).exists():
            raise self._failure(run, "it ended well, but saved nothing as {checkpoint_out}")

    def _check_asked(self, run: _Run) -> None:
        """A script that has reported a loss must have got its LRs by then, by a field or by asking for them."""
        run.asked = run.asked or names_lrs(self._options.given_fields) or attachment.has_asked(run.told_at)
        if not run.asked:
            raise self._failure(
                run, "it never asked for an LR: write {lrs} into run, or call `autosched.attach()` and lr(step)"
            )

    def _check_time(self, run: _Run) -> None:
        now, limit = time.monotonic(), self._options.time_limit_minutes
        if limit is not None and now - run.began > 60 * limit:
            raise self._failure(run, f"it ran longer than its time limit of {limit:g} minutes")
        if now - run.told > 60 * self._options.silence_minutes:
            raise self._failure(run, f"it reported no loss for {self._options.silence_minutes:g} minutes: it hangs")

    def _failure(self, run: _Run, what: str) -> CommandError:
        self.close()
        said = run.log.last_lines(1)
        end = f"; its last line: {said[0]}" if said else "; it printed nothing"
        return CommandError(f"the command failed: {what}{end}{f' (log: {run.log_path})' if run.log_path else ''}")

    def save(self, file: BinaryIO) -> None:
        """Write the command's checkpoint, a file or a folder, as an archive."""
        if self._place is None:
            raise CheckpointError("the command has saved nothing yet.")
        (self._place.folder / _STEP).write_text(str(self.step))
        with tarfile.open(fileobj=file, mode="w|") as archive:
            for name in (_STEP, _SAVED):
                archive.add(self._place.folder / name, arcname=name)

    def load(self, file: BinaryIO) -> None:
        """Unpack a checkpoint for the next command.

        Raises:
            CheckpointError: the file is damaged.
        """
        self.close()
        self._place = Workplace(self._options.grace_seconds, self._options.scratch)
        with tarfile.open(fileobj=file, mode="r|") as archive:
            archive.extractall(self._place.folder, filter="data")
        self.step = int((self._place.folder / _STEP).read_text())

    def close(self) -> None:
        """End the command and remove its folder."""
        run, self._run = self._run, None
        if run is not None:
            run.close()
        if self._place is not None:
            self._place.close()
            self._place = None


def _evaluated(segment: Segment, stop: int) -> list[int]:
    """Updates from the segment's start up to `stop` after which a loss is wanted."""
    return [step for step in range(segment.start + 1, stop + 1) if segment.is_evaluated(step)]


def _shown(command: Sequence[str] | str) -> str:
    return command if isinstance(command, str) else shlex.join(command)
