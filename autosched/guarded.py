"""Runs another program that ends with this one, whatever ends this one.

A guard between both, in a process group of its own, reads a pipe of which only this process holds the other end. When
that closes, even by ``kill -9``, the kernel tells the guard, and it ends the whole group: servers that start further
processes leave none behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from autosched.interruption import terminable

SIGNALLED = 128
"""What is added to the number of a signal that ended a program, for its exit code."""
LEAVE_SECONDS = 3.0
"""For a program to leave by itself after SIGTERM, before it is killed."""


def run_guarded(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    heard: Callable[[str], None] | None = None,
) -> int:
    """Run a program to its end; returns its exit code, or 128 and the number of the signal that ended it.

    Args:
        heard: takes each line that the program prints; None to let it print by itself.

    Raises:
        KeyboardInterrupt: this process was told to stop; the program and all that it started are gone.
    """
    guard = subprocess.Popen(  # noqa: S603 - what is run is ours
        [sys.executable, "-m", "autosched.guarded", *command],
        stdin=subprocess.PIPE,
        stdout=None if heard is None else subprocess.PIPE,
        stderr=None if heard is None else subprocess.STDOUT,
        env=None if environment is None else {**os.environ, **environment},
        start_new_session=True,
    )
    hearing = None if heard is None else threading.Thread(target=_hear, args=(guard.stdout, heard), daemon=True)
    if hearing is not None:
        hearing.start()
    try:
        with terminable():
            return shown_code(guard.wait())
    finally:
        if guard.stdin is not None:
            guard.stdin.close()
        guard.wait(2 * LEAVE_SECONDS)
        if hearing is not None:
            hearing.join(LEAVE_SECONDS)


def _hear(stream: IO[bytes], heard: Callable[[str], None]) -> None:
    for line in stream:
        heard(line.decode("utf-8", "replace").rstrip())


def shown_code(code: int) -> int:
    """A child's exit code as shells show it, where 128 and a signal's number say what ended it."""
    return code if code >= 0 else SIGNALLED - code


def guard(command: Sequence[str]) -> int:
    """Run a program until it ends, or standard input does; returns its exit code, when its whole group is gone."""
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 - as above
    threading.Thread(target=_end_with_input, args=(program.pid,), daemon=True).start()
    code = program.wait()
    _end(program.pid)
    return shown_code(code)


def _end_with_input(group: int) -> None:
    while os.read(0, 1024):
        pass
    _end(group)


def _end(group: int) -> None:
    """Ask all processes of a group to end, and kill those that stay."""
    deadline = time.monotonic() + LEAVE_SECONDS
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
