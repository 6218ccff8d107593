"""Everything autosched raises on purpose.

::

    AutoschedError
    ├── UsageError              bad input: the command ends with exit code 2
    │   ├── ScheduleError       a schedule that cannot exist (length, sign, parameter)
    │   ├── SpaceError          a space file with a fault: file, line, value, what is allowed
    │   ├── CurveError          a curve file with a fault: file and line
    │   ├── LawFileError        a law file that is damaged or of another version
    │   └── StudyError          a study that is unknown, finished, or already being written
    └── WorkError               the work itself failed: the command ends with exit code 1
        ├── LedgerError         the event log cannot be read or written
        ├── CheckpointError     a checkpoint is missing, damaged or cannot be stored
        ├── BackendError        workers cannot be started or were lost for good
        └── TrackingError       the tracking server cannot be reached, or what it says makes no sense
            └── TrackingRefusal what was to be written will not be taken, however often it is tried

A failed fit or a diverged trial is not here: it is a value with a reason.
"""

from __future__ import annotations

from pathlib import Path


class AutoschedError(Exception):
    """Base of all errors raised on purpose; the text is one line for a person."""

    exit_code = 1


class UsageError(AutoschedError):
    """The caller's input is wrong; nothing was changed."""

    exit_code = 2


class ScheduleError(UsageError, ValueError):
    """A schedule that cannot exist, e.g. ``"cooldown_fraction must be in (0, 1], but got 1.4."``."""


class LocatedError(UsageError):
    """Bad input at a place in a file: ``file:line: message``."""

    def __init__(self, message: str, *, file: str | Path | None = None, line: int | None = None) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        place = "" if self.file is None else (f"{self.file}: " if line is None else f"{self.file}:{line}: ")
        super().__init__(f"{place}{message}")


class SpaceError(LocatedError):
    """A space file with a fault."""


class CurveError(LocatedError):
    """A curve file with a fault."""


class LawFileError(LocatedError):
    """A law file that is damaged or of another version."""


class StudyError(UsageError):
    """A study that is unknown, already finished, or being written by another process."""


class WorkError(AutoschedError):
    """The work failed although the input was sound."""


class LedgerError(WorkError):
    """The event log cannot be read or written."""


class CheckpointError(WorkError):
    """A checkpoint is missing, damaged or cannot be stored."""


class BackendError(WorkError):
    """Workers cannot be started, or were lost for good."""


class TrackingError(WorkError):
    """The tracking server refused or cannot be reached."""


class TrackingRefusal(TrackingError):
    """The tracking server refuses what was to be written, and would again."""
