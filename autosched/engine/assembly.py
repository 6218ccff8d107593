"""From a space, a ledger and a backend to a loop that is ready to run."""

from __future__ import annotations

import time
from collections.abc import Callable

from autosched.engine.backend import Backend
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.dispatcher import Dispatcher
from autosched.engine.journal import Journal
from autosched.engine.loop import Loop
from autosched.engine.plan import Plans
from autosched.engine.retention import Retention
from autosched.ledger.store import Ledger
from autosched.search.select import make_search
from autosched.space.records import Space


def make_loop(
    space: Space,
    ledger: Ledger,
    journal: Journal,
    backend: Backend,
    *,
    reuse: bool = True,
    now: Callable[[], float] = time.time,
) -> Loop:
    """The loop of one study.

    Args:
        journal: of a study that was created in `ledger` from `space`.
        reuse: take segments that other studies of the ledger have finished.
        now: wall-clock in seconds.

    Raises:
        SpaceError: the controller or the pruner has a fault.
    """
    store = CheckpointStore(space.storage.checkpoints)
    dispatcher = Dispatcher(space=space, ledger=ledger, journal=journal, backend=backend, store=store, reuse=reuse)
    retention = Retention(space=space, store=store, dispatcher=dispatcher, plans=Plans(space))
    controller, pruner = make_search(space)
    return Loop(dispatcher=dispatcher, retention=retention, controller=controller, pruner=pruner, now=now)
