"""`tune` and `resume`: what the commands of these names do, as functions that return a :class:`Study`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from autosched.errors import SpaceError
from autosched.printed import tell
from autosched.space.document import OVERRIDES
from autosched.study.ladder import ladder_of
from autosched.study.progress import NoProgress, make_progress
from autosched.study.results import Study
from autosched.study.run import RunOptions, run_study, space_of
from autosched.study.sources import SpaceSource
from autosched.study.start import Settings, Started, reopen, start


def tune(
    space: SpaceSource,
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    name: str | None = None,
    backend: str = "ray",
    workers: int | None = None,
    seed: int | None = None,
    address: str | None = None,
    ledger: str | None = None,
    warm_start: Sequence[str] = (),
    warm_start_other: Sequence[str] = (),
    resume: bool = False,
    fresh: bool = False,
    reuse_anyway: bool = False,
    trust_trainer: bool = False,
    ladder: int | None = None,
    progress: bool = True,
) -> Study:
    """Find the best schedule of a space: propose, train, prune, confirm, report.

    Args:
        space: path of a space file, a mapping with its keys, or a `Space`. In a mapping, ``trainer: {use: …}`` may be a
            class that stands at the top of a module.
        overrides: ``key.path=value`` texts, or a mapping from dotted keys to values, e.g. ``{"budget.trials": 8}``.
        name: the study's name; default: the space's. A finished study keeps its name, and a new one is numbered.
        backend: ``ray``, or ``local``: everything in this process.
        workers: segments trained at the same time.
        seed: of the study.
        address: a Ray cluster to use, e.g. ``ray://head:10001`` or ``auto``; default: a Ray of its own. A study that
            begins there decides about results as they come, unless the space's ``resources.order`` says otherwise.
        ledger: URL, e.g. ``sqlite:///autosched.db``; default: AUTOSCHED_LEDGER, else the space's.
        warm_start: old runs of the same model and data: studies, CSV curves, folders of them. Needs controller law.
        warm_start_other: old runs of another model or other data: only their best peak LR is carried over.
        resume: go on with the study of this name if it exists; one that was begun with another space is refused, but
            for its budget and number of workers, which may change until it is finished.
        fresh: train everything anew: take nothing from other studies of the ledger.
        reuse_anyway: let results of other code or data count: those of the ledger's newest study with this trainer and
            these options.
        trust_trainer: do not train the few updates that show, before the first study of a trainer of your own, whether
            it keeps its promises. With an `address` they are not trained: the cluster may have what this machine lacks.
        ladder: tune at this many horizons first, each half of the next and the space's own the last (or widths, where
            the space's target names a width alone), and fit to their best peak LRs the rule that carries them on.
        progress: print a line for each trial that ended; a bar on a terminal, a table in a notebook.

    Returns:
        The study. Its report, schedule and law are in ``reports/NAME`` (the space's ``storage.reports``).

    Raises:
        UsageError: bad input, one line; nothing was changed. SpaceError and StudyError are such.
        WorkError: the ledger, the checkpoints or the workers failed; `resume` goes on when that is mended.
        KeyboardInterrupt: interrupted, by Ctrl-C, SIGTERM or SIGHUP; everything is put away, and `resume` goes on.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> space = {
        ...     "study": "first",
        ...     "trainer": {"use": "simulated"},
        ...     "horizon_steps": 60,
        ...     "schedule": {"wsd": {"peak_lr": {"low": 1e-3, "high": 0.1, "scale": "log"}, "warmup_steps": 6}},
        ...     "controller": "random",
        ...     "pruner": "none",
        ...     "budget": {"trials": 4},
        ...     "storage": {"checkpoints": folder, "reports": folder},
        ...     "tracking": "none",
        ... }
        >>> study = tune(space, backend="local", ledger=f"sqlite:///{folder}/autosched.db", progress=False)
        >>> study.status, len(study.trials), study.schedule().family
        ('finished', 4, 'wsd')
    """
    options = RunOptions(backend=backend, address=address, reuse=not fresh, reuse_anyway=reuse_anyway)
    settings = Settings(
        overrides=overrides,
        name=name,
        seed=seed,
        workers=workers,
        ledger=ledger,
        warm_start=warm_start,
        warm_start_other=warm_start_other,
    )
    entered = partial(start, reuse_anyway=reuse_anyway, trust_trainer=trust_trainer, on_cluster=address is not None)
    try:
        *below, own = ladder_of(space, settings, ladder, resume=resume)
        for rung in below:
            _run(entered(rung.source, rung.settings, resume=rung.resume), options, progress=progress)
        started = entered(own.source, own.settings, resume=own.resume)
    except SpaceError as error:
        if error.file != OVERRIDES:
            raise
        raise SpaceError(error.message, file="overrides") from None  # here they are no option of a command
    return _run(started, options, progress=progress)


def resume(
    name: str,
    *,
    ledger: str | None = None,
    backend: str | None = None,
    address: str | None = None,
    fresh: bool = False,
    reuse_anyway: bool = False,
    tracking: str | None = None,
    progress: bool = True,
) -> Study:
    """Go on with a study that was interrupted; bring a finished one's tracker and report up to date.

    Args:
        name: a study of the ledger.
        backend: ``ray`` or ``local``; default: as before.
        reuse_anyway: go on although the trainer's code or data are others than when the study began.
        tracking: the store to show runs in, when it has moved (or ``none``); default: the space's.
        ledger, address, fresh, progress: see :func:`tune`.

    Raises:
        UsageError: no such study or ledger, bad options, or other code or data (StudyError).
        WorkError, KeyboardInterrupt: see :func:`tune`.
    """
    started = reopen(name, ledger, tracking=tracking)
    options = RunOptions(
        backend=backend or started.backend or "ray",
        address=address,
        reuse=not fresh,
        reuse_anyway=reuse_anyway,
        tracking=tracking,
    )
    return _run(started, options, progress=progress)


def _run(started: Started, options: RunOptions, *, progress: bool) -> Study:
    name, store = started.study, started.ledger
    try:
        state = store.state(name)
        shown = make_progress(space_of(state), state, sys.stdout) if progress else NoProgress()
        for note in started.notes if progress else ():
            tell(f"autosched: {note}", sys.stderr)
        try:
            outcome = run_study(store, name, options, shown)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"the study {name!r} can go on: autosched.resume({name!r})")
            raise
        finally:
            shown.close()
    finally:
        store.close()
    if outcome.untracked:
        text = (
            f"the study is finished, but {outcome.untracked} events are not in the tracker "
            f"({outcome.tracking_error}); autosched.resume({name!r}) brings them there."
        )
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    return Study.of(outcome.state, folder=store.folder, summary=outcome.summary)
