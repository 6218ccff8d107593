"""A temporary folder for a command, which is gone when its command is, even when this process is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from workers.command import ending


class Workplace:
    """A temporary folder and its guard, a small process that puts everything away when this one is gone.

    Args:
        grace: seconds between SIGTERM and SIGKILL.
        parent: where to make the folder; None for the system's place for temporary files.

    Attributes:
        folder: the temporary folder.
        token: marks the command's processes, see :mod:`workers.command.ending`.
    """

    def __init__(self, grace: float, parent: str | None = None) -> None:
        self.token = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="autosched-", dir=parent))
        program = [sys.executable, "-I", "-S", ending.__file__, self.token, repr(grace), str(self.folder)]
        self._guard = subprocess.Popen(  # noqa: S603
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def occupy(self, group: int) -> None:
        """A command runs here, as this process group."""
        self._tell(f"{group}\n".encode())

    def close(self) -> None:
        """Remove the folder; its command has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self._guard.communicate(ending.DONE)
        self._guard.wait()

    def _tell(self, said: bytes) -> None:
        if self._guard.stdin is not None:
            with suppress(OSError):  # somebody has ended it
                self._guard.stdin.write(said)
                self._guard.stdin.flush()
