"""What happens to a file behind a program's back."""

from __future__ import annotations

import os
from pathlib import Path


def flipped(path: Path) -> None:
    """One bit near its beginning is another."""
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    """Its last bytes are missing."""
    path.write_bytes(path.read_bytes()[:-40])


def replaced(path: Path) -> None:
    """It holds what another file beside it holds."""
    others = sorted(other for other in path.parent.glob(f"*{path.suffix}") if other != path and other.is_file())
    path.write_bytes(others[0].read_bytes())


def made_folder(path: Path) -> None:
    """A folder has its name."""
    path.unlink()
    path.mkdir()


def made_pipe(path: Path) -> None:
    """A pipe has its name, which nobody writes into."""
    path.unlink()
    os.mkfifo(path)
