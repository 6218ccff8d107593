"""Ends a command with all processes it has started, wherever they went.

A process group is not enough: ``torchrun`` gives each of its workers a session of its own. So every command gets a
token in its environment, which its processes inherit, and all that carry it are ended: SIGTERM, time to save, SIGKILL.
(Continuous integration servers find stray processes in the same way.) Where there is no /proc, as on macOS, the
process group has to do.

Run as a program this file is a command's guard: it waits for the end of its standard input, which comes when whoever
started the command is gone, however it went, and ends the command then. It imports the standard library only, so that
it starts in 10 ms.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TOKEN = "AUTOSCHED_COMMAND"  # noqa: S105 - the name of an environment variable, and no secret
POLL_SECONDS = 0.01
KILLED_SECONDS = 5.0
"""How long a killed process may take to vanish: it may sit in a call to a disk or a device."""
DONE = b"done\n"
_PROCESSES = Path("/proc")


def end(group: int, token: str, grace: float, reap: Callable[[], object] = lambda: None) -> None:
    """End a process group and all processes that carry a token; returns when they are gone.

    Args:
        group: id of the process group that the command was started in.
        token: value of :data:`TOKEN` in the environments of the command's processes.
        grace: seconds between SIGTERM and SIGKILL.
        reap: takes in the exit code of the group's leader, for the process that has started it.
    """
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, KILLED_SECONDS)):
        for process in running(group, token):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        deadline = time.monotonic() + seconds
        while running(group, token):
            reap()
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            reap()
            return


def running(group: int, token: str) -> list[int]:
    """Processes of a group and those that carry a token, in any group; those that only wait to be reaped are none.

    Without /proc: ``[-group]`` when the group has any process, which :func:`os.kill` takes for all of them.
    """
    if not (_PROCESSES / "self" / "environ").exists():
        return [-group] if _exists(group) else []
    entry = f"{TOKEN}={token}".encode()
    found = []
    for process in _PROCESSES.iterdir():
        if process.name.isdecimal() and process.name != str(os.getpid()):
            with suppress(OSError):  # gone meanwhile, or somebody else's
                state, _, process_group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
                theirs = (process / "environ").read_bytes()
                if state not in "ZX" and (int(process_group) == group or entry in theirs.split(b"\0")):
                    found.append(int(process.name))
    return found


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def guard(token: str, grace: float, folder: str) -> None:
    """Wait until the starter says that all is done, or is gone; then end the command and remove its folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it has to outlive the starter
    group = 0
    for said in sys.stdin.buffer:
        if said == DONE:
            return
        group = int(said)
    if group:
        end(group, token, grace)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    guard(sys.argv[1], float(sys.argv[2]), sys.argv[3])
