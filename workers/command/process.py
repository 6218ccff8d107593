"""A command that runs beside this process: its output taken in, ended without remains."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.command import ending
from workers.command.workplace import Workplace

_READ_BYTES = 1 << 16
_STARTED = {126: "not executable", 127: "command not found"}
_WHY = {"SIGKILL": "out of memory?", "SIGSEGV": "it crashed in native code", "SIGABRT": "it crashed in native code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a command.

    Attributes:
        command: its words; one text for a shell.
        cwd: where it runs.
        environment: its variables, all of them.
        grace: seconds between SIGTERM and SIGKILL when it is ended.
    """

    command: Sequence[str] | str
    cwd: Path
    environment: Mapping[str, str]
    grace: float


class Process:
    """A running command; `close` ends it, whatever state it is in.

    Args:
        launch: how to start it.
        workplace: where its guard is.
        hear: is given its output, standard output and errors together, in a thread of its own.

    Attributes:
        news: set when there is output, and when the output has ended.

    Raises:
        OSError: it cannot be started, e.g. because there is no such program.
    """

    def __init__(self, launch: Launch, workplace: Workplace, hear: Callable[[bytes], object]) -> None:
        self.news = threading.Event()
        self._hear, self._grace, self._token = hear, launch.grace, workplace.token
        self._closed = False
        self._popen = subprocess.Popen(  # noqa: S603
            launch.command,
            shell=isinstance(launch.command, str),
            cwd=launch.cwd,
            env={**launch.environment, ending.TOKEN: workplace.token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self._popen.stdout is None:
            raise OSError("the command has no output")
        workplace.occupy(self._popen.pid)
        self._pump = threading.Thread(target=self._take_in, args=[self._popen.stdout], daemon=True)
        self._pump.start()

    @property
    def exit_code(self) -> int | None:
        """How it ended: 0 and above as it said itself, -N for signal N, None while it runs."""
        return self._popen.poll()

    def close(self) -> None:
        """End it and all that it has started, and take in what it has printed until then."""
        if self._closed:
            return
        self._closed = True
        ending.end(self._popen.pid, self._token, self._grace, self._popen.poll)
        self._popen.wait()
        self._pump.join(ending.KILLED_SECONDS)  # ends with the output, which nobody holds open any more

    def _take_in(self, output: IO[bytes]) -> None:
        with output:
            while data := os.read(output.fileno(), _READ_BYTES):
                self._hear(data)
                self.news.set()
        self.news.set()


def in_words(code: int) -> str:
    """How a command ended, from its exit code; a shell adds 128 to a signal."""
    number = -code if code < 0 else code - 128
    with suppress(ValueError):
        name = signal.Signals(number).name
        why = f": {_WHY[name]}" if name in _WHY else ""
        return f"it was ended by {name} (exit code {128 + number}){why}"
    return f"it ended with exit code {code}{f': {_STARTED[code]}' if code in _STARTED else ''}"
