"""The summary of a study: one JSON document, the same for machines (`--json`), the terminal and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np

from autosched.curves.sensitivity import NoSensitivity, Sensitivity
from autosched.ledger.events import RangeTested
from autosched.ledger.lawless import lawless_note
from autosched.ledger.records import Forecast
from autosched.ledger.state import StudyState, TrialState, TrialStatus
from autosched.report.calibration import by_stage, told_ends
from autosched.report.confirmation import Confirmation, confirmation, default_trial, too_close, unconfirmed, winner
from autosched.report.cost import study_cost
from autosched.report.holdouts import holdouts
from autosched.report.importance import importances
from autosched.report.plain import json_safe
from autosched.report.sensitivity import sensitivities
from autosched.space.records import Space
from autosched.urls import without_secrets

__all__ = ["summarise", "winner"]

STATUSES: tuple[TrialStatus, ...] = (
    "complete",
    "reached",
    "pruned",
    "paused",
    "diverged",
    "failed",
    "stopped",
    "running",
)
BY_ARRIVAL = (
    "results were decided about as they came, so another run of this study may decide otherwise: `resources.order: "
    "virtual` decides the same on every machine."
)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def summarise(
    state: StudyState,
    space: Space,
    *,
    artifacts: Mapping[str, str] = _NOTHING,
    tracking: Mapping[str, str | None] = _NOTHING,
    running: bool = False,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The study as plain JSON data; numbers that do not exist (or are not finite) are None.

    Args:
        artifacts: where the ``schedule``, the ``report``, the ``law`` and the ``target`` were written.
        tracking: the tracker's ``uri``, ``experiment`` and ``run_id``.
        running: whether a driver is at work on the study, which its events cannot tell.
        notes: what a reader should know that the events do not tell.

    Returns:
        A dict with these keys; losses in nats, steps in updates:

        ``study``, ``state``
            The name; ``finished``, ``running`` or ``interrupted`` (can be resumed).
        ``reason``
            What ended the study, one sentence; None before.
        ``next_run``
            None, or what the run promised that was not worth it any more: its ``gain`` in nats, and the ``steps`` that
            it would have cost.
        ``best``, ``default``
            The winner (see :func:`winner`) and the user's own schedule: ``trial``, ``value`` (final loss on the
            study's seed), ``losses`` (the trainer's last validation losses by name; empty when it has but one),
            ``schedule`` (``family``, ``params``, ``steps``, ``fingerprint``; ``hyperparameters`` where the space
            searches them); the winner also has
            ``predicted``: ``mean``, ``low``, ``high`` (90% interval) of the last forecast made while it ran, at update
            ``step``. None without such a trial.
        ``trials``
            ``proposed`` in all, cut into ``complete``, ``reached``, ``pruned``, ``paused``, ``diverged``, ``failed``,
            ``stopped`` and ``running``; ``confirm`` of them confirmed finalists on fresh seeds.
        ``steps``
            The cost, see :class:`autosched.report.cost.Cost`.
        ``order``
            In which results are decided about: ``virtual`` or ``arrival``.
        ``seconds``, ``utilisation``, ``overhead_ms_per_segment``
            Wall-clock of all sessions; share of it workers were busy; the driver's own time per segment, when measured.
        ``holdouts``, ``false_kills``
            Condemned trials that were kept, and how many of them it would have been wrong to stop, see
            :class:`autosched.report.holdouts.Holdout`.
        ``calibration``
            Whether forecasts held, by what the study had seen: ``no_cooldown``, ``cooling``, ``complete`` where there
            are any, see :class:`autosched.report.calibration.Calibration`.
        ``range_test``
            None, or the bounds that the study's range test found for ``peak_lr``: ``low``, ``high``, ``divergence_lr``,
            ``steps`` it took, ``reason`` why a number is None.
        ``stages``
            What a staged controller has committed, in order: ``stage`` (from 0), the ``step`` it goes to, its ``lr``,
            the ``trial`` that won it. Empty for other controllers.
        ``lr_sensitivity``
            A list, by family: ``value`` in nats over the LRs ``low`` to ``high``, the ``best_lr``, the ``runs`` and
            ``cells`` it is from, or the ``reason`` why there is none, see :mod:`autosched.curves.sensitivity`.
        ``importance``
            By searched parameter its share of 1 in what decides the final loss, see
            :mod:`autosched.report.importance`; empty with too few complete trials.
        ``confirmation``
            None, or by fresh seed: ``seeds``, losses of the ``best`` and the ``default``, their means ``mean_best`` and
            ``mean_default``, ``gain`` = mean of default - best with its 90% interval ``gain_low`` to ``gain_high``,
            ``winner_trial``. A run that diverged has loss None.
        ``target``
            None, which whoever finishes the study replaces by the winner at the space's target: what ``autosched
            transfer --json`` gives, and the ``ladder``: None, or its ``rungs``, the fitted ``exponent`` with its sd,
            and the ``check`` of the largest rung by the smaller ones.
        ``tracking``, ``artifacts``
            As given; what is missing is None.
        ``notes``
            What else a reader should know, one sentence each, e.g. why there is no law, or that no fresh seed confirms
            the winner.
    """
    best, default, seen = winner(state), default_trial(state), holdouts(state)
    confirmed, ended = confirmation(state), state.search_ended
    known = [unconfirmed(state, space.confirm.seeds), lawless_note(state), too_close(state)]
    known.append(BY_ARRIVAL if space.resources.by_arrival else None)
    document = {
        "study": state.name,
        "state": "finished" if state.finished is not None else "running" if running else "interrupted",
        "reason": None if state.finished is None else state.finished.reason,
        "next_run": None if ended is None else {"gain": ended.gain, "steps": ended.steps},
        "best": None if best is None else {**_trial(best, space), "predicted": _predicted(best.last_forecast)},
        "default": None if default is None else _trial(default, space),
        "trials": _counts(state),
        "steps": asdict(study_cost(state, horizon=space.horizon_steps)),
        "order": "arrival" if space.resources.by_arrival else "virtual",
        "seconds": state.seconds,
        "utilisation": _utilisation(state),
        "overhead_ms_per_segment": _measured(state, "overhead_ms_per_segment"),
        "holdouts": len(seen),
        "false_kills": sum(holdout.false_kill is True for holdout in seen),
        "calibration": {stage: asdict(of) for stage, of in by_stage(told_ends(state, space)).items()},
        "range_test": None if state.range_test is None else _range_test(state.range_test),
        "stages": [{name: getattr(stage, name) for name in ("stage", "step", "lr", "trial")} for stage in state.stages],
        "lr_sensitivity": [_sensitivity(name, found) for name, found in sensitivities(state).items()],
        "importance": importances(state, space),
        "confirmation": None if confirmed is None else confirmation_document(confirmed),
        "tracking": {
            **{name: tracking.get(name) for name in ("experiment", "run_id")},
            "uri": _shown(tracking.get("uri")),
        },
        "artifacts": {name: artifacts.get(name) for name in ("schedule", "report", "law", "target")},
        "target": None,
        "notes": [*(note for note in known if note is not None), *notes],
    }
    return {name: json_safe(value) for name, value in document.items()}


def _shown(uri: str | None) -> str | None:
    return None if uri is None else without_secrets(uri)


def _trial(trial: TrialState, space: Space) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "value": trial.value,
        "losses": dict(trial.points[-1].losses) if trial.points else {},
        "schedule": {
            "family": trial.family,
            "params": trial.schedule_params,
            "steps": space.horizon_steps,
            "fingerprint": trial.fingerprint,
            **({"hyperparameters": dict(beside)} if (beside := trial.schedule.hyperparameters) else {}),
        },
    }


def _predicted(forecast: Forecast | None) -> dict[str, float] | None:
    if forecast is None:
        return None
    return {"mean": forecast.mean, "low": forecast.low, "high": forecast.high, "step": forecast.step}


def _counts(state: StudyState) -> dict[str, int]:
    seen = Counter(trial.status for trial in state.trials)
    return {
        "proposed": len(state.trials),
        **{status: seen[status] for status in STATUSES},
        "confirm": state.proposed["confirm"],
    }


def _range_test(tested: RangeTested) -> dict[str, Any]:
    names = ("low", "high", "divergence_lr", "steps", "reason")
    return {name: getattr(tested, name) for name in names}


def _sensitivity(family: str, found: Sensitivity | NoSensitivity) -> dict[str, Any]:
    names = ("value", "low", "high", "best_lr", "runs", "cells", "reason")
    return {"family": family, **{name: getattr(found, name, None) for name in names}}


def confirmation_document(confirmed: Confirmation) -> dict[str, Any]:
    """What the confirming runs say, as :func:`summarise` gives it."""
    best = confirmed.losses[confirmed.winner]
    default = () if confirmed.default is None else confirmed.losses[confirmed.default]
    gain = confirmed.gain
    return {
        "seeds": confirmed.seeds,
        "best": best,
        "default": default,
        "mean_best": np.mean(best),
        "mean_default": np.mean(default) if default else None,
        "gain": None if gain is None else gain.mean,
        "gain_low": None if gain is None else gain.low,
        "gain_high": None if gain is None else gain.high,
        "winner_trial": confirmed.winner,
    }


def _measured(state: StudyState, name: str) -> float | None:
    return None if state.finished is None else state.finished.stats.get(name)


def _utilisation(state: StudyState) -> float | None:
    """As the driver measured it; until it has, workers' busy seconds over all sessions' worker-seconds."""
    measured = _measured(state, "utilisation")
    available = state.seconds * state.workers
    return measured if measured is not None or available <= 0 else state.worker_seconds / available
