"""`tune` and `resume`: the commands that train."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.cluster_commands import resubmit
from autosched.cli.live_link import live_link
from autosched.cli.options import JsonOption, LedgerOption, StudyArgument, kept_for_json, show, tell_shipped
from autosched.errors import UsageError
from autosched.printed import tell, tell_error
from autosched.report.text import final_lines
from autosched.space import load_space, space_to_json
from autosched.space.auto_bounds import has_auto_bounds
from autosched.space.json_form import without_secrets_in
from autosched.space.records import Space
from autosched.study.command_space import written_space
from autosched.study.ladder import ladder_of
from autosched.study.progress import make_progress
from autosched.study.run import RunOptions, run_study, space_of
from autosched.study.sources import SpaceSource
from autosched.study.start import CHECKS, Settings, Started, reopen, start
from autosched.urls import without_secrets
from workers.ray_jobs import is_jobs_address

AddressOption = Annotated[
    str | None, typer.Option("--address", help="Ray cluster to use, e.g. ray://head:10001 or auto.", metavar="ADDRESS")
]
ResumeAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Ray cluster to use, e.g. auto; http://head:8265 goes on there, as a job.",
        metavar="ADDRESS",
    ),
]
OverrideOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override one value, e.g. budget.trials=8.", metavar="KEY=VALUE")
]
WarmOption = Annotated[
    list[str] | None,
    typer.Option(
        "--warm-start",
        help="Old runs of the same model and data: a study, a CSV curve, a folder of them. Needs controller law.",
        metavar="SOURCE",
    ),
]
OtherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--warm-start-other",
        help="Old runs of another model or other data: only their best peak LR is carried over.",
        metavar="SOURCE",
    ),
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Train everything anew: take nothing from other studies of the ledger.")
]

AnywayOption = Annotated[
    bool, typer.Option("--reuse-anyway", help="Let results count although the trainer's code or data have changed.")
]
TrustOption = Annotated[
    bool, typer.Option("--trust-trainer", help="Do not check a new trainer of your own before its first study.")
]


def tune(
    space: Annotated[
        Path | None,
        typer.Option("--space", help="The space file, or the name of one of `autosched spaces`.", metavar="FILE"),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="Instead of a space: a command, as 'python train.py --lrs {lrs}'; its space file is written.",
            metavar="COMMAND",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="With --run: updates of a run.")] = None,
    peak_lr: Annotated[
        str | None, typer.Option("--peak-lr", help="With --run: the peak LRs to search.", metavar="LOW:HIGH")
    ] = None,
    override: OverrideOption = None,
    name: Annotated[str | None, typer.Option("--name", help="Study name; default: the file's.")] = None,
    backend: Annotated[str, typer.Option("--backend", help="ray or local (this process).")] = "ray",
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Segments trained at the same time.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the study.")] = None,
    address: AddressOption = None,
    ledger: LedgerOption = None,
    warm_start: WarmOption = None,
    warm_start_other: OtherOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the study if it exists; only budget and workers may be other than they were."
        ),
    ] = False,
    fresh: FreshOption = False,
    reuse_anyway: AnywayOption = False,
    trust_trainer: TrustOption = False,
    ladder: Annotated[
        int | None,
        typer.Option(
            "--ladder", help="Tune at so many horizons (or widths), each half of the next, and fit the rule to them."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Find the best schedule of a space: propose, train, prune, confirm, report.

    Example: autosched tune --space search_spaces/wsd.yaml --workers 2
    """
    if address is not None and is_jobs_address(address):
        raise UsageError(
            f"--address {without_secrets(address)} takes jobs: use `autosched submit`, or ray://HOST:10001."
        )
    space = _space_of(space, run, steps=steps, peak_lr=peak_lr, name=name)
    options = _options(backend=backend, address=address, fresh=fresh, reuse_anyway=reuse_anyway)
    settings = Settings(
        overrides=override or [],
        name=name,
        seed=seed,
        workers=workers,
        ledger=ledger,
        warm_start=warm_start or [],
        warm_start_other=warm_start_other or [],
    )
    enter = partial(
        _start,
        reuse_anyway=reuse_anyway,
        trust_trainer=trust_trainer,
        on_cluster=address is not None,
        as_json=as_json,
    )
    code = 0
    for rung in ladder_of(space, settings, ladder, resume=resume):
        started = enter(rung.source, rung.settings, resume=rung.resume)
        code = _run(started, options, as_json, shown=rung.is_own or not as_json)
        if code:
            break
    return code


def _start(source: SpaceSource, settings: Settings, *, as_json: bool, **how: bool) -> Started:
    with kept_for_json(as_json):
        started = start(source, settings, **how)
    for note in started.notes:
        tell(f"autosched: {note}", sys.stderr)
    return started


def _space_of(space: Path | None, run: str | None, *, steps: int | None, peak_lr: str | None, name: str | None) -> Path:
    """The space file that was given, or that is written for a command."""
    if run is None:
        if space is None:
            raise UsageError("give --space FILE, or --run COMMAND with --steps N and --peak-lr LOW:HIGH.")
        if steps is not None or peak_lr is not None:
            raise UsageError("--steps and --peak-lr belong to --run; a space file has them inside, see --set.")
        return space
    if space is not None or steps is None or peak_lr is None:
        raise UsageError("--run needs --steps N and --peak-lr LOW:HIGH, and no --space.")
    path = written_space(run, steps=steps, peak_lr=peak_lr, name=name)
    tell(f"autosched: wrote {path}, the space of this study.", sys.stderr)
    return path


def resume(
    study: StudyArgument,
    backend: Annotated[str | None, typer.Option("--backend", help="ray or local; default: as before.")] = None,
    address: ResumeAddress = None,
    ledger: LedgerOption = None,
    fresh: FreshOption = False,
    reuse_anyway: AnywayOption = False,
    tracking: Annotated[
        str | None,
        typer.Option(
            "--tracking", help="Store to show runs in, when it has moved; none for no tracking.", metavar="URI"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Go on with a study that was interrupted; bring a finished one's tracker and report up to date.

    Example: autosched resume wsd-demo
    """
    if address is not None and is_jobs_address(address):
        kept = ["--fresh"] * fresh + ["--reuse-anyway"] * reuse_anyway
        kept += [] if tracking is None else ["--tracking", tracking]
        return resubmit(study, address, ledger, kept, as_json=as_json)
    with kept_for_json(as_json):
        started = reopen(study, ledger, tracking=tracking)
    options = _options(
        backend=backend or started.backend or "ray", address=address, fresh=fresh, reuse_anyway=reuse_anyway
    )
    return _run(started, dataclasses.replace(options, tracking=tracking), as_json)


def _options(*, backend: str, address: str | None, fresh: bool, reuse_anyway: bool) -> RunOptions:
    try:
        return RunOptions(backend=backend, address=address, reuse=not fresh, reuse_anyway=reuse_anyway)
    except UsageError as error:
        raise UsageError(f"--{error}") from None


def _run(started: Started, options: RunOptions, as_json: bool, *, shown: bool = True) -> int:
    store, study = started.ledger, started.study
    state = store.state(study)
    if not store.lease(study).is_held():  # else run_study says who runs it
        tell(f"autosched: {live_link(study, store.place)}", sys.stderr)
    progress = make_progress(space_of(state), state, sys.stderr if as_json else sys.stdout)
    try:
        with kept_for_json(as_json):
            outcome = run_study(store, study, options, progress)
    except KeyboardInterrupt:
        progress.close()
        tell(f"autosched: interrupted; go on with `autosched resume {study}`.", sys.stderr)
        return 130
    finally:
        progress.close()
        store.close()
    if shown:
        show(as_json, outcome.summary, final_lines(outcome.summary))
    if outcome.untracked:
        tell_error(
            f"the study is finished, but {outcome.untracked} events are not in the tracker "
            f"({outcome.tracking_error}); run `autosched resume {study}` when it is back."
        )
        return 1
    if outcome.summary["best"] is None:
        tested = outcome.summary["range_test"]
        unbounded = tested is not None and tested["low"] is None
        reason = outcome.summary["reason"] if unbounded else f"no trial of {study!r} completed"
        tell_error(f"{reason.rstrip('.')}; see `autosched status {study}`.")
        return 1
    return 0


def validate(
    space: Annotated[Path, typer.Argument(help="The space file.", metavar="FILE")],
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Override one value.", metavar="KEY=VALUE")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check a space file and say what it would do, without training.

    Example: autosched validate search_spaces/wsd.yaml
    """
    tell_shipped(space)
    with kept_for_json(as_json):
        loaded = load_space(space, override or [], CHECKS)
    show(as_json, without_secrets_in(space_to_json(loaded)), _description(space, loaded))
    return 0


def _description(path: Path, space: Space) -> list[str]:
    budget = {name: value for name, value in dataclasses.asdict(space.budget).items() if value is not None}
    worth = budget.pop("stop_when", None)
    limits = ", ".join(f"{value:g} {name}" for name, value in budget.items())
    families = ", ".join(family.family for family in space.schedule)
    sweep = space.range_test
    sources = ", ".join(warm.source for warm in space.warm_start)
    tested = f"first a range test from LR {sweep.low:g} to {sweep.high:g}, at most {sweep.steps} updates, for peak_lr,"
    return [
        f"{path}: sound.",
        f"study {space.study}: {families} on the {space.trainer.use} trainer, {space.horizon_steps} updates a run,",
        *([f"with {', '.join(space.hyperparameters)} of the trainer,"] if space.hyperparameters else []),
        *([tested] if has_auto_bounds(space) else []),
        *([f"first the runs of {sources} are read,"] if sources else []),
        f"controller {space.controller.name}, pruner {space.pruner.name}, at most {limits}.",
        *([] if worth is None else [f"ends when no run is expected to gain {worth['gain_below']:g} nats."]),
    ]
