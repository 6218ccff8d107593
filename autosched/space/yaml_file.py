"""A search space from a YAML file, every fault as one line: ``file:line: what is wrong, what is allowed``.

The same reader makes a space from a file, from a file with ``--set`` overrides, and from the JSON in the ledger, so
that whatever is accepted once is accepted everywhere. Keys are documented in ``search_spaces/wsd.yaml``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from autosched.errors import SpaceError, UsageError
from autosched.schedules.schedule import MOST_UPDATES
from autosched.space import names
from autosched.space.auto_bounds import check_use, has_auto_bounds, read_sweep
from autosched.space.budget import read_budget
from autosched.space.candidates import families_of, hyperparameters_of, read_candidates
from autosched.space.document import Document, KeyPath, read_document, shown
from autosched.space.hyperparameters import GROUPS, LR_RATIO, beside, divided, read_hyperparameters, searched_in
from autosched.space.objective import read_objective
from autosched.space.records import (
    Component,
    Confirm,
    FamilySpace,
    Order,
    Resources,
    ScheduleSpec,
    SearchParameter,
    Space,
    Storage,
    Tracking,
)
from autosched.space.schedule_section import read_default, read_families
from autosched.space.section import MAX_COUNT, Faults, Section, closest, dotted, is_number
from autosched.space.target import check_target, read_target
from autosched.space.trainer_spec import TrainerSpec
from autosched.space.warm_start import read_warm_start
from autosched.urls import without_secrets

STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TRAINER_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.-]*)(?:\+\w+)?:")
EVALUATIONS = 30
"""Evaluations of a run when `eval_every` is not given, as near as the divisors of the horizon come to it."""
FEWEST_EVALUATIONS, MOST_EVALUATIONS = 10, 100
CHECKPOINTS = 15


Check = Callable[[Space], object]


def load_space(path: str | Path, overrides: Sequence[str] = (), checks: Mapping[str, Check] | None = None) -> Space:
    """Read and check a search space.

    Args:
        path: a YAML file.
        overrides: texts like ``schedule.wsd.peak_lr.high=0.03``, applied in order before anything is checked.
        checks: further checks by the top-level key they are about, e.g. ``{"controller": make_controller}``; what one
            of them raises is reported at the line of that key, or of the option in it that the text names.

    Raises:
        SpaceError: the file cannot be read or has a fault; of several faults, the one on the lowest line.

    Example:
        >>> load_space("search_spaces/wsd.yaml", ["seed=7"]).seed
        7
    """
    return checked_space(read_document(path), overrides, checks)


def checked_space(
    document: Document, overrides: Sequence[str] = (), checks: Mapping[str, Check] | None = None
) -> Space:
    """Turn a document into a space, see :func:`load_space`."""
    document = document.with_overrides(overrides)
    space = read_space(document)
    for key, check in (checks or {}).items():
        run_check(document, key, partial(check, space))
    return space


def run_check(document: Document, key: str, check: Callable[[], object]) -> None:
    """Make a check that knows no lines; what it raises is reported where the top-level `key` was written.

    Raises:
        SpaceError: the check raised a UsageError; the line is that of the option below `key` that the text names.
    """
    try:
        check()
    except UsageError as error:
        place = document.place(_named(document, key, str(error)))
        if place is None:
            raise
        raise SpaceError(str(error), file=place.file, line=place.line) from None


def _named(document: Document, key: str, message: str) -> KeyPath:
    """What a message is about: the option below `key` that it names first, or the name given there; else `key`."""
    words = [word for word in re.findall(r"\w+", message) if word not in {key, "use", "with"}]
    below = [path for path in document.places if path[:1] == (key,)]
    words_of = {path: path[-1] for path in below}
    words_of |= {path: f"{path[-1]}_{LR_RATIO}" for path in document.places if path[:-1] == (GROUPS,)}
    named = sorted((path for path in words_of if words_of[path] in words), key=lambda path: words.index(words_of[path]))
    named += [path for path in below if path[-1] == "use" and shown(document.value(path)) in message]
    return next(iter(named), (key,))


def read_space(document: Document) -> Space:
    """Turn a document into a space, see :func:`load_space`."""
    faults = Faults(document)
    top = Section(dict(document.data), (), faults)
    study, seed, trainer = _study(top), read_seed(top), read_trainer(top)
    objective = read_objective(top)
    horizon = _horizon(top)
    eval_every, checkpoint_every = _cadence(top, horizon)
    candidates = read_candidates(top, horizon, trainer)
    families, searched = _searched(top, horizon, candidates)
    default = read_default(top, horizon, searched, trainer)
    controller = _component(top, "controller", names.CONTROLLERS, Component(name="law"))
    own = Component(name="none" if controller.name in names.SELF_PRUNING else "law")
    pruner = _component(top, "pruner", names.PRUNERS, own)
    budget, resources, storage = read_budget(top, horizon, controller.name), _resources(top), _storage(top)
    tracking, confirm, sweep = _tracking(top), _confirm(top), read_sweep(top)
    warm, target = read_warm_start(top, controller.name), read_target(top, trainer)
    top.close()
    if faults or study is None or trainer is None or horizon is None:
        raise faults.first()
    space = Space(
        study=study,
        seed=seed,
        trainer=replace(trainer, objective=objective),
        horizon_steps=horizon,
        eval_every=eval_every,
        checkpoint_every=checkpoint_every,
        schedule=families,
        default=default,
        controller=controller,
        pruner=pruner,
        budget=budget,
        resources=resources,
        storage=storage,
        tracking=tracking,
        confirm=confirm,
        candidates=candidates,
        range_test=sweep,
        warm_start=warm,
        target=target,
        hyperparameters=searched,
    )
    check_use(space, top)
    _check_confirm(space, top)
    check_target(space, top)
    if faults:
        raise faults.first()
    return space


def _searched(
    top: Section, horizon: int | None, candidates: tuple[ScheduleSpec, ...]
) -> tuple[tuple[FamilySpace, ...], dict[str, SearchParameter]]:
    """The families that compete, each with the hyperparameters, and these."""
    if candidates:
        own = dict.fromkeys(hyperparameters_of(top.raw("candidates")))
        found = searched_in([divided(spec.params, own)[1] for spec in candidates])
        families = families_of(candidates)
    else:
        found, families = read_hyperparameters(top), read_families(top, horizon)
    return tuple(beside(family, found) for family in families), found


def _study(top: Section) -> str | None:
    rule = "1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"
    if not top.require("study", rule):
        return None
    value = top.raw("study")
    if isinstance(value, str) and STUDY.fullmatch(value):
        return value
    top.fault("study", f"must be {rule}, but got {shown(value)}.")
    return None


def read_seed(top: Section) -> int:
    """The ``seed`` key."""
    return top.integer("seed", at_least=0, default=0)


def read_trainer(top: Section) -> TrainerSpec | None:
    """The ``trainer`` key; None after a fault."""
    known = ", ".join(names.TRAINERS)
    form = f"a mapping like {{use: {names.TRAINERS[0]}}}"
    if not top.require("trainer", form):
        return None
    section = top.section("trainer", form=form)
    use = section.text("use") if section.require("use", f"one of {known}, or package.module:Class") else None
    options = section.section("with")
    section.close()
    _check_json(options)
    if use is None:
        return None
    if use not in names.TRAINERS and not TRAINER_CLASS.fullmatch(use):
        hint = closest(use, names.TRAINERS)
        section.fault("use", f"must be one of {known}, or package.module:Class, but got {shown(use)}{hint or '.'}")
        return None
    return TrainerSpec(use=use, options=dict(options.data))


def _check_json(options: Section) -> None:
    """Options go into identities as JSON, which has no nan or inf."""

    def check(value: Any, path: tuple[str | int, ...]) -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                check(part, (*path, key))
        elif isinstance(value, list):
            for index, part in enumerate(value):
                check(part, (*path, index))
        elif isinstance(value, float) and not is_number(value):
            options.faults.add(path, f"{dotted(path)} must be a finite number, but got {value}.")

    check(options.data, options.path)


def _horizon(top: Section) -> int | None:
    if not top.require("horizon_steps", "a whole number >= 1, the updates of a full run"):
        return None
    return top.integer("horizon_steps", at_least=1, at_most=MOST_UPDATES)


def _cadence(top: Section, horizon: int | None) -> tuple[int, int]:
    """`eval_every` and `checkpoint_every`; about 30 evaluations and 15 checkpoints when they are not given."""
    known = horizon or MAX_COUNT
    fitting = _eval_every(known)
    if fitting is None and not top.has("eval_every"):
        message = f"is missing, and no {FEWEST_EVALUATIONS} to {MOST_EVALUATIONS} evaluations divide horizon_steps"
        top.faults.missing((), f"eval_every {message} ({known}); write eval_every, or a rounder horizon_steps.")
    eval_every = top.integer("eval_every", at_least=1, default=fitting or known)
    if eval_every > known:
        message = f"must be at most horizon_steps ({known}), but got {eval_every}."
        top.fault("eval_every", message, related=["horizon_steps"])
    elif horizon is not None and horizon % eval_every and top.has("eval_every"):
        message = f"must divide horizon_steps ({horizon}) without rest, but got {eval_every}."
        top.fault("eval_every", message, related=["horizon_steps"])
    multiple = -(-known // (CHECKPOINTS * eval_every)) * eval_every
    checkpoint_every = top.integer("checkpoint_every", at_least=1, default=multiple)
    if checkpoint_every % eval_every:
        message = f"must be a multiple of eval_every ({eval_every}), but got {checkpoint_every}."
        top.fault("checkpoint_every", message, related=["eval_every"])
    elif checkpoint_every > known and top.has("checkpoint_every"):
        message = f"must be at most horizon_steps ({known}), but got {checkpoint_every}."
        top.fault("checkpoint_every", message, related=["horizon_steps"])
    return eval_every, checkpoint_every


def _eval_every(horizon: int) -> int | None:
    """The divisor of the horizon that evaluates nearest to 30 times; None when none evaluates 10 to 100 times."""
    if horizon < FEWEST_EVALUATIONS:
        return 1
    counts = [n for n in range(FEWEST_EVALUATIONS, MOST_EVALUATIONS + 1) if horizon % n == 0]
    return horizon // min(counts, key=lambda n: abs(math.log(n / EVALUATIONS))) if counts else None


def _component(top: Section, key: str, known: tuple[str, ...], default: Component) -> Component:
    """A name, or a mapping ``{use: name, option: value, …}``."""
    if not top.has(key):
        return default
    value, rule = top.raw(key), f"one of {', '.join(known)}"
    options: dict[str, Any] = {}
    if isinstance(value, dict):
        section = top.section(key)
        _check_json(section)
        options = {name: option for name, option in value.items() if name != "use"}
        if not section.require("use", rule):
            return default
        value = value["use"]
    else:
        section = top
    if isinstance(value, str) and value in known:
        return Component(name=value, options=options)
    hint = closest(value, known) if isinstance(value, str) else ""
    section.fault(key if section is top else "use", f"must be {rule}, but got {shown(value)}{hint or '.'}")
    return default


def _resources(top: Section) -> Resources:
    """Several GPUs must be whole ones: that is how Ray hands them out."""
    section, default = top.section("resources"), Resources()
    resources = Resources(
        workers=section.integer("workers", at_least=1, default=default.workers),
        cpus=section.number("cpus", above_zero=True, default=default.cpus),
        gpus=section.number("gpus", above_zero=False, default=default.gpus),
        retries=section.integer("retries", at_least=0, default=default.retries),
        order=_order(section),
    )
    if resources.gpus > 1 and not resources.gpus.is_integer():
        section.fault("gpus", f"must be a share up to 1 or a whole number, but got {shown(resources.gpus)}.")
    section.close()
    return resources


def _order(section: Section) -> Order | None:
    known: dict[str, Order] = {order: order for order in get_args(Order)}
    order = section.text("order")
    if order is not None and order not in known:
        section.fault("order", f"must be one of {', '.join(known)}, but got {shown(order)}.")
    return None if order is None else known.get(order)


def _storage(top: Section) -> Storage:
    section, default = top.section("storage"), Storage()
    ledger = section.text("ledger", default=default.ledger)
    _check_scheme(section, "ledger", ledger, names.LEDGER_SCHEMES, "")
    storage = Storage(
        ledger=ledger,
        checkpoints=section.text("checkpoints", default=default.checkpoints),
        checkpoints_gib=section.number("checkpoints_gib", above_zero=True, default=default.checkpoints_gib),
        reports=section.text("reports", default=default.reports),
    )
    section.close()
    return storage


def _tracking(top: Section) -> Tracking:
    """A mapping, or the word ``none``."""
    if top.raw("tracking") == "none":
        return Tracking(uri="none")
    section, default = top.section("tracking", form="a mapping like {uri: …, experiment: …}, or none"), Tracking()
    uri = section.text("uri", default=default.uri)
    if uri != "none":
        _check_scheme(section, "uri", uri, names.TRACKING_SCHEMES, ", or none to switch tracking off")
    experiment = section.text("experiment", default=default.experiment)
    section.close()
    return Tracking(uri=uri, experiment=experiment)


def _check_scheme(section: Section, key: str, url: str, schemes: tuple[str, ...], also: str) -> None:
    match = SCHEME.match(url)
    if match is None or match[1] not in schemes:
        section.fault(
            key, f"must be a URL with a scheme of {', '.join(schemes)}{also}, but got {shown(without_secrets(url))}."
        )


def _confirm(top: Section) -> Confirm:
    section, default = top.section("confirm"), Confirm()
    confirm = Confirm(
        finalists=section.integer("finalists", at_least=1, default=default.finalists),
        seeds=section.integer("seeds", at_least=0, default=default.seeds),
        in_budget=section.flag("in_budget", default=default.in_budget),
    )
    section.close()
    return confirm


def _check_confirm(space: Space, top: Section) -> None:
    """Note confirming runs that a budget is to pay for which has no updates, or too few."""
    if not space.confirm.in_budget:
        return
    sweep = space.range_test.steps if has_auto_bounds(space) else 0
    needed = space.horizon_steps + space.confirming_steps + sweep
    if space.budget.steps is None or space.budget.steps < needed:
        runs = math.ceil(100 * needed / space.horizon_steps) / 100
        got = "no limit in updates" if space.budget.steps is None else f"{space.budget.steps} steps"
        message = f"confirm.in_budget needs a budget of at least {needed} steps (full_runs: {runs:g}), but got {got}."
        top.faults.add(("confirm", "in_budget"), message, related=[("budget", "steps"), ("budget", "full_runs")])
