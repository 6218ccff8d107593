"""What the long benchmarks' command lines have in common."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autosched.errors import AutoschedError
from autosched.study.run import terminable


def whole(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, but got {text!r}.")
    return int(text)


def ended(run: Callable[[], tuple[Mapping[str, Any], Sequence[str]]], *, as_json: bool) -> int:
    """Run a benchmark that goes on where it was interrupted, print its result, and give the exit code.

    Args:
        run: gives the result as JSON data, and as lines for a person.
    """
    try:
        with terminable():
            document, lines = run()
    except AutoschedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on.", file=sys.stderr)
        return 130
    print(json.dumps(document, indent=2, allow_nan=False) if as_json else "\n".join(lines))
    return 0
