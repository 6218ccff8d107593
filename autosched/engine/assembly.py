"""From a space, a ledger and a backend to a study that runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from autosched.engine.backend import Backend
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.dispatcher import Dispatcher
from autosched.engine.journal import Journal
from autosched.engine.loop import Loop
from autosched.engine.plan import Plans
from autosched.engine.range_test import find_bounds, swept_space
from autosched.engine.retention import Retention
from autosched.errors import SpaceError, StudyError
from autosched.ledger.events import SessionStarted, StudyFinished
from autosched.ledger.store import Ledger
from autosched.search.select import make_policy
from autosched.space.auto_bounds import auto_bounds, has_auto_bounds, with_bounds
from autosched.space.records import Space


def run_study(
    space: Space,
    ledger: Ledger,
    journal: Journal,
    backend: Backend,
    *,
    reuse: bool = True,
    now: Callable[[], float] = time.time,
) -> None:
    """Run one study from where it is to its end: the range test if bounds are ``auto``, then the loop.

    A range test that finds no bounds ends the study, with its reason.

    Args:
        journal: of a study that was created in `ledger` from `space`.
        reuse: take segments that other studies of the ledger have finished.
        now: wall-clock in seconds.

    Raises:
        SpaceError: the controller or the pruner has a fault.
        StudyError: an earlier version began the study, and did not note why its trials were trained.
        WorkError: the ledger, the checkpoints or the workers failed; resume when that is mended.
    """
    if not journal.state.records_roles:
        raise StudyError(
            f"the study {space.study!r} was begun by an older autosched, which did not note why each trial is trained: "
            "finish it with that version, or begin a new one that takes over its runs with --warm-start."
        )
    tested = journal.state.range_test
    if tested is None and has_auto_bounds(space):
        journal.commit(SessionStarted(backend=backend.name, workers=backend.workers))
        tested = find_bounds(space, _dispatcher(swept_space(space), ledger, journal, backend, reuse=reuse, now=now))
        journal.commit(tested)
    if tested is not None:
        if tested.bounds is None:
            journal.commit(StudyFinished(reason=f"the range test found no bounds: {tested.reason}"))
            return
        space = with_bounds(space, *tested.bounds)
    make_loop(space, ledger, journal, backend, reuse=reuse, now=now).run()


def make_loop(
    space: Space,
    ledger: Ledger,
    journal: Journal,
    backend: Backend,
    *,
    reuse: bool = True,
    now: Callable[[], float] = time.time,
) -> Loop:
    """The loop of one study whose bounds are all known.

    Args:
        journal: of a study that was created in `ledger` from `space`.
        reuse: take segments that other studies of the ledger have finished.
        now: wall-clock in seconds.

    Raises:
        SpaceError: the controller or the pruner has a fault, or a bound is still ``auto``.
    """
    for family, _ in auto_bounds(space):
        raise SpaceError(f"the bounds of {family}.peak_lr are auto: a range test must find them first.")
    dispatcher = _dispatcher(space, ledger, journal, backend, reuse=reuse, now=now)
    policy = make_policy(space)
    plans = Plans(space, policy.cuts())
    retention = Retention(space=space, store=dispatcher.store, dispatcher=dispatcher, plans=plans, policy=policy)
    return Loop(dispatcher=dispatcher, retention=retention, policy=policy)


def _dispatcher(
    space: Space, ledger: Ledger, journal: Journal, backend: Backend, *, reuse: bool, now: Callable[[], float]
) -> Dispatcher:
    store = CheckpointStore(space.storage.checkpoints)
    return Dispatcher(space=space, ledger=ledger, journal=journal, backend=backend, store=store, reuse=reuse, now=now)
