"""The command line. The only package that may import `workers`."""

from __future__ import annotations

from autosched.cli.app import main

__all__ = ["main"]
