"""Several jobs at a time, each in a process of its own that ends with the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from autosched.errors import WorkError

AnyJob = TypeVar("AnyJob")


def in_processes(
    run: Callable[[AnyJob, Any], object], jobs: Sequence[AnyJob], means: Any, *, processes: int
) -> Iterator[AnyJob]:
    """Call ``run(job, means)`` for every job, at most `processes` at the same time; gives each job when it is done.

    Args:
        run: importable in other processes; leaves nothing half done when it is ended at any moment.

    Raises:
        WorkError: a process died.
    """
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork would take torch's and Ray's threads along half-way
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=spawn, initializer=_follow_parent)
    try:
        futures = {pool.submit(run, job, means): job for job in jobs}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenProcessPool:
        raise WorkError(
            "a process that ran studies was killed or ran out of memory; what is finished stays: run this again."
        ) from None
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # nothing is lost: see `run`
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
