"""A space whose controller is ``autolrs``: what AutoLRS is asked to do, where its trials are cut, and what that costs.

    schedule: {wsd: {peak_lr: {low: 1e-3, high: 1e-1}, warmup_steps: 50, cooldown_fraction: 0.2}}
    controller: {use: autolrs, first_stage: 200, probes: 5}

The bounds of ``peak_lr`` are those of every stage's LR. Warmup and cooldown are the schedule's (``constant`` has no
cooldown), steps are the space's, everything else is an option of the controller under its name in
:class:`~autosched.search.autolrs.settings.Settings`.

Trials are cut where others begin or are compared: after the warmup, where a stage and where its probes and their decays
end, and at the multiples of ``checkpoint_every``. All of these are multiples of ``eval_every``, so that a loss is a
mean over the same updates however a trial was cut.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from autosched.errors import SpaceError, UsageError
from autosched.laws.priors import FEWEST_POINTS
from autosched.ledger.records import cut_points
from autosched.schedules.registry import build
from autosched.schedules.schedule import ParameterValue
from autosched.search.autolrs import Settings, State, Work, stages
from autosched.search.policy import Proposal
from autosched.space.records import Fixed, Range, Space

NAME = "autolrs"
FAMILIES = ("constant", "wsd")
"""Whose warmup, bounds of the peak LR and cooldown it takes."""
_PRESETS: Mapping[str, Callable[..., Settings]] = {
    "paper": Settings,
    "published": Settings.published,
    "far_sighted": Settings.far_sighted,
}
_ELSEWHERE: Mapping[str, str] = {
    "low": "is the lower bound of schedule's peak_lr",
    "high": "is the upper bound of schedule's peak_lr",
    "steps": "is horizon_steps",
    "log_every": "is eval_every",
    "seed": "is the space's seed",
    "warmup_steps": "is written in schedule",
    "cooldown_fraction": "is written in schedule (of the family wsd)",
    "validations": "follows from eval_every",
    "reuse": "does not exist here: no updates are trained twice",
    "message_updates": "does not exist here: nobody sends messages",
}
OPTIONS = tuple(field.name for field in dataclasses.fields(Settings) if field.name not in _ELSEWHERE)
"""The settings that a space file may give."""


def settings_of(space: Space) -> Settings:
    """What AutoLRS is asked to do by a space.

    Raises:
        SpaceError: an unknown option, a value that is not allowed, or a schedule it cannot take its numbers from.
    """
    low, high, known = _schedule(space)
    options = dict(space.controller.options)
    preset = options.pop("preset", "paper")
    if preset not in _PRESETS:
        raise SpaceError(f"controller autolrs: preset must be one of {', '.join(_PRESETS)}, but got {preset!r}.")
    _check_options(options)
    known |= {"steps": space.horizon_steps, "log_every": space.eval_every, "seed": space.seed}
    if known["warmup_steps"]:
        known["warmup_lr"] = math.sqrt(low * high)
    made = _PRESETS[preset]
    if preset == "published":
        known |= {"reuse": True, "message_updates": False}
    named = {"low": low, "high": high, **known, **options}
    _check_stage(named)
    try:
        settings = made(**named)
    except UsageError as error:
        raise SpaceError(f"controller autolrs: {str(error).removeprefix('AutoLRS: ')}") from None
    _check_grid(settings)
    return settings


def trial_cuts(space: Space) -> tuple[int, ...]:
    """Updates after which a trial of this space is cut, increasing; the last is the horizon."""
    ends = set(cut_points(space.horizon_steps, every=space.checkpoint_every))
    for stage in stages(settings_of(space)):
        end = stage.checkpoint + stage.probe
        ends |= {stage.checkpoint, end, end + stage.decay}
    return tuple(sorted(ends - {0}))


def proposal(settings: Settings, state: State, work: Work) -> Proposal:
    """A probe or its decay: the committed run, the work's LR from there on, and the cooldown, as ``piecewise``.

    The decay of a probe is the probe's schedule to its end, and then a value for every update; the last one stays. The
    last update of the warmup is made with its full LR, so that the warmup is the same whatever follows.
    """
    begun = settings.warmup_steps > 0
    values = [settings.warmup_lr] if begun else []
    boundaries = [settings.warmup_steps] if begun else []
    for passed in state.passed:
        values.append(passed.lr)
        boundaries.append(passed.stop)
    if work.kind == "decay":
        values += [next(tried.lr for tried in state.tried if tried.number == work.probe), *work.lrs.tolist()]
        boundaries += range(work.start, work.stop)
    else:
        values.append(work.lr)
    params: dict[str, ParameterValue] = {
        "values": values,
        "boundaries": [float(boundary) for boundary in boundaries],
        "warmup_steps": max(settings.warmup_steps - 1, 0),
    }
    if settings.cooldown_steps:
        fraction = settings.cooldown_fraction
        params |= {"cooldown_shape": "linear", "cooldown_fraction": fraction, "cooldown_final_ratio": 0.0}
    assert settings.steps is not None, "a space has a horizon"  # noqa: S101 - settings_of gives it
    schedule = build("piecewise", params, steps=settings.steps)
    return Proposal(schedule=schedule, until=work.stop, role="annealed_probe" if work.kind == "decay" else "probe")


def updates_left(settings: Settings, state: State, started: int, decays: int = 0) -> int:
    """Updates to be trained from here to the end of the run, if no winner diverges after its probe.

    Args:
        started, decays: probes of the present stage, and decays of these, that have been started; what they train is
            not counted.
    """
    assert settings.steps is not None, "a space has a horizon"  # noqa: S101 - settings_of gives it
    begin = state.position if started or state.passed else 0
    rest = [stage for stage in stages(settings) if stage.stop > state.position]
    left = settings.steps - begin + sum((settings.probes - 1) * one.probe + settings.probes * one.decay for one in rest)
    return left - started * rest[0].probe - decays * rest[0].decay if rest else left


def check_budget(space: Space) -> None:
    """That the budget is enough for the whole run with its probes, beside what else the study trains.

    Raises:
        SpaceError: it is not.
    """
    if space.controller.name != NAME:
        return
    settings = settings_of(space)
    needed = updates_left(settings, State(), 0)
    horizon, also = space.horizon_steps, ""
    if space.default is not None:
        needed, also = needed + horizon, " and the default"
    if _sweeps(space):
        needed, also = needed + space.range_test.steps, f"{also} and the range test"
    if space.confirm.in_budget:
        needed, also = needed + space.confirming_steps, f"{also} and the confirming runs"
    if space.budget.steps is not None and space.budget.steps < needed:
        raise SpaceError(
            f"budget must be at least {needed} steps (full_runs: {math.ceil(100 * needed / horizon) / 100:g}) for "
            f"autolrs, which trains {settings.probes} probes per stage{also}, but got {space.budget.steps}."
        )
    each = settings.probes * (1 + settings.needs_decays)
    trials = each * len(list(stages(settings))) + (space.default is not None)
    if space.budget.trials is not None and space.budget.trials < trials:
        each_one = "probe and decay" if settings.needs_decays else "probe"
        raise SpaceError(
            f"budget must have at least {trials} trials for autolrs, one per {each_one}, or none but steps or "
            f"full_runs, but got {space.budget.trials}."
        )


def check_pruner(space: Space) -> None:
    """That no pruner interferes.

    Raises:
        SpaceError: one would.
    """
    if space.controller.name == NAME and space.pruner.name != "none":
        raise SpaceError(
            f"pruner must be none beside autolrs, which stops probes itself, but got {space.pruner.name!r}."
        )


def check_schedule(space: Space) -> None:
    """That the schedule is one that AutoLRS can take its numbers from.

    Raises:
        SpaceError: it is not.
    """
    if space.controller.name == NAME:
        _schedule(space)


def check_hyperparameters(space: Space) -> None:
    """That there are none: AutoLRS changes LRs while it trains one run.

    Raises:
        SpaceError: there are.
    """
    if space.controller.name == NAME and space.hyperparameters:
        names = ", ".join(space.hyperparameters)
        raise SpaceError(
            f"hyperparameters: controller autolrs trains one run and changes its LRs only, but got {names}; use "
            "another controller, or write them as options of the trainer."
        )


def _sweeps(space: Space) -> bool:
    domain = space.schedule[0].parameters["peak_lr"].domain
    return isinstance(domain, Range) and (domain.auto_low or domain.auto_high)


def _schedule(space: Space) -> tuple[float, float, dict[str, Any]]:
    """Bounds of the LR, warmup and cooldown."""
    names = [family.family for family in space.schedule]
    if space.candidates or len(names) != 1 or names[0] not in FAMILIES:
        raise SpaceError(
            f"schedule must be one family, {' or '.join(FAMILIES)}, for autolrs, but got {', '.join(names)}."
        )
    parameters = space.schedule[0].parameters
    domain = parameters["peak_lr"].domain
    if not isinstance(domain, Range):
        raise SpaceError("schedule: peak_lr must have bounds, low and high or auto: they are those of every stage.")
    fixed: dict[str, ParameterValue] = {}
    for name, parameter in parameters.items():
        if name == "peak_lr":
            continue
        if not isinstance(parameter.domain, Fixed):
            raise SpaceError(f"schedule: {name} must be one value for autolrs, which searches LRs only.")
        fixed[name] = parameter.domain.value
    _check_shapes(fixed)
    taken = {"warmup_steps": fixed.get("warmup_steps", 0), "cooldown_fraction": fixed.get("cooldown_fraction", 0.0)}
    return domain.low, domain.high, taken


def _check_shapes(fixed: Mapping[str, ParameterValue]) -> None:
    rules = {"warmup_shape": "linear", "cooldown_shape": ("none", "linear")["cooldown_fraction" in fixed]}
    rules |= {"final_lr_ratio": 0, "cooldown_final_ratio": 0}  # type: ignore[dict-item]
    for name, rule in rules.items():
        if fixed.get(name, rule) != rule:
            raise SpaceError(f"schedule: {name} must be {rule} for autolrs, but got {fixed[name]!r}.")


def _check_options(options: Mapping[str, Any]) -> None:
    for name in options:
        if name in _ELSEWHERE:
            raise SpaceError(f"controller autolrs: {name} is no option, it {_ELSEWHERE[name]}.")
        if name not in OPTIONS:
            raise SpaceError(f"controller autolrs has no option {name!r}; it has {', '.join(['preset', *OPTIONS])}.")


def _check_stage(named: Mapping[str, Any]) -> None:
    """That a whole first stage lies between warmup and cooldown, and that its probes have losses enough."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    first, share = (named.get(name, defaults[name]) for name in ("first_stage", "probe_share"))
    steps, every = named["steps"], named["log_every"]
    if not {type(first), type(share)} <= {int, float} or not 0 < share <= 0.5:
        return  # Settings says so
    between = steps - named["warmup_steps"] - round(named["cooldown_fraction"] * steps)
    fewest = math.ceil(FEWEST_POINTS * every / share - 1e-9)
    fewest += -fewest % every
    suggested = max(between // (1 + 2 + 4) // every * every, fewest)  # three stages, each twice the one before
    if first > between:
        advice = f"write first_stage: {suggested}" if suggested <= between else "lower eval_every"
        raise SpaceError(
            f"controller autolrs: first_stage must be at most the {between} updates between warmup and cooldown, but "
            f"is {first}; {advice}, or train for longer."
        )
    if first < fewest:
        raise SpaceError(
            f"controller autolrs: first_stage must be at least {fewest}, so that a probe ({share:g} of it) has "
            f"{FEWEST_POINTS} losses at eval_every {every}, but is {first}."
        )


def _check_grid(settings: Settings) -> None:
    """That probes begin at an evaluation."""
    every = settings.log_every
    if settings.warmup_steps % every:
        raise SpaceError(
            f"controller autolrs: warmup_steps must be a multiple of eval_every ({every}), but is "
            f"{settings.warmup_steps}."
        )
    for stage in stages(settings):
        if stage.checkpoint % every:
            name = "longest_stage" if stage.index > 1 and settings.first_stage % every == 0 else "first_stage"
            raise SpaceError(
                f"controller autolrs: {name} must be a multiple of eval_every ({every}), but is "
                f"{getattr(settings, name)}."
            )
