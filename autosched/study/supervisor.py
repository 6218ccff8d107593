"""Runs a study's driver on a cluster, and starts it again when it dies.

    python -m autosched.study.supervisor [--restarts N] [--ledger URL] -- tune --space FILE --resume …

Ray does not start a job again whose driver was killed (ray#64104). What a driver has committed is in the ledger, so the
same command goes on where it was; one that ends by itself, well or with a reason, is left as it is.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from autosched.errors import AutoschedError, UsageError
from autosched.guarded import SIGNALLED, run_guarded
from autosched.printed import tell, tell_error
from autosched.study.start import ledger_url
from autosched.study.submission import is_in_folder
from workers.ray_jobs import job_is_kept

RESTARTS = 3
"""As often as Ray starts a task again whose worker died."""


def supervise(command: Sequence[str], environment: Mapping[str, str], *, folder: Path, restarts: int) -> int:
    """Run `autosched` with these arguments to its own end; returns its exit code.

    Args:
        environment: added to this process's.
        folder: to run it in.
        restarts: how often a driver that is killed, or crashes in native code, is started again.

    Raises:
        KeyboardInterrupt: this process was told to stop, and the driver has stopped.
    """
    for tries in range(restarts + 1):
        os.chdir(folder)  # Ray lays a job's folder anew whenever a driver of it connects
        code = run_guarded([sys.executable, "-m", "autosched", *command], environment)
        if code <= SIGNALLED or code == SIGNALLED + signal.SIGINT:
            return code
        died = f"the driver was ended by {_name(code - SIGNALLED)}"
        again = f"starting it again ({tries + 1} of {restarts})" if tries < restarts else "that was the last try"
        tell_error(f"{died}; {again}.")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and supervise; returns the exit code."""
    parser = argparse.ArgumentParser(prog="autosched.study.supervisor", description=__doc__)
    parser.add_argument("--restarts", type=int, default=RESTARTS)
    parser.add_argument("--ledger")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        ledger = os.environ.get("AUTOSCHED_LEDGER") or ledger_url(options.ledger)
        if is_in_folder(ledger):
            raise UsageError(
                "the ledger would vanish with the job's folder: name a server's with --ledger, or set AUTOSCHED_LEDGER "
                "where the cluster's head is started."
            )
        folder = Path.cwd()
        with job_is_kept():
            return supervise(options.command, {"AUTOSCHED_LEDGER": ledger}, folder=folder, restarts=options.restarts)
    except AutoschedError as error:
        tell_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        tell("autosched: the job was told to stop.", sys.stderr)
        return SIGNALLED + signal.SIGINT


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    sys.exit(main())
