"""The command line."""

from __future__ import annotations

from autosched.cli.app import main

__all__ = ["main"]
