"""The ``warm_start`` key of a space file: old runs as prior knowledge of a law-guided search.

    warm_start: wsd-demo                   # a study of this ledger, a CSV curve, a folder of them, mlflow:EXPERIMENT
    warm_start:
      - runs/124m                          # the same model and data: losses are comparable, horizons may differ
      - {from: runs/30m, model: other, width: [256, 768], batch: [64, 128]}    # [old, new], both optional

Where a study begins, the sources are read once and their curves become part of the space (``runs``), as plain data::

    {"from": "wsd-demo", "model": "same", "runs": [{"name": "trial 3", "horizon": 200, "steps": [20, 40],
     "losses": [3.9, 3.7], "schedule": {"wsd": {...}}}, {..., "lrs": [[1, 0.0001], [30, 0.003], [200, 0.0]]}]}

so that a resumed study needs no files. A schedule that a family makes is kept as that family with its parameters, any
other as the corners (update from 1, LR) of straight lines that stay within 1e-4 of the peak LR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from autosched.curves.curve import Curve
from autosched.errors import CurveError, ScheduleError
from autosched.schedules.registry import build, family_names
from autosched.schedules.schedule import FloatArray, ParameterValue, Schedule
from autosched.space.document import KeyPath, shown
from autosched.space.section import MAX_COUNT, Section, dotted, is_number

Model = Literal["same", "other"]
MODELS: tuple[Model, ...] = ("same", "other")
FORM = "a source or a list of them: a study, a CSV curve, a folder, or {from: …, model: same or other}"
LR_TOLERANCE = 1e-4
_RUN_KEYS = frozenset({"name", "horizon", "steps", "losses", "schedule", "lrs", "hyperparameters"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRun:
    """An old loss curve as plain data.

    Attributes:
        horizon: updates of the whole planned run.
        steps: updates done at each loss, increasing, at most `horizon`.
        losses: nats per token, one per step, > 0.
        family, params: what made the schedule; empty when it is given by `lrs`.
        lrs: corners (update from 1, LR) of its LRs, straight lines between them.
        hyperparameters: that it was trained with, of a study that searched them.
    """

    name: str
    horizon: int
    steps: tuple[int, ...]
    losses: tuple[float, ...]
    family: str = ""
    params: Mapping[str, ParameterValue] | None = None
    lrs: tuple[tuple[int, float], ...] = ()
    hyperparameters: Mapping[str, ParameterValue] = field(default_factory=dict)

    @classmethod
    def of(cls, curve: Curve, name: str) -> OldRun:
        """A curve as plain data; LRs that no family made are kept to within 1e-4 of the peak."""
        schedule = curve.schedule
        made = schedule.family in family_names() and _rebuilt(schedule) == schedule.bare
        return cls(
            name=name,
            horizon=schedule.steps,
            steps=tuple(int(step) for step in curve.steps),
            losses=tuple(float(loss) for loss in curve.losses),
            family=schedule.family if made else "",
            params=dict(schedule.params) if made else None,
            lrs=() if made else corners(schedule.lrs),
            hyperparameters=dict(schedule.hyperparameters),
        )

    def schedule(self) -> Schedule:
        """LRs of the whole planned run.

        Raises:
            ScheduleError: no such family, parameters it does not have, or LRs that are no schedule.
        """
        if self.params is not None:
            return build(self.family, self.params, steps=self.horizon).beside(self.hyperparameters)
        updates, lrs = zip(*self.lrs, strict=True)
        return Schedule(np.interp(np.arange(1, self.horizon + 1), updates, lrs)).beside(self.hyperparameters)

    def curve(self) -> Curve:
        """The run as a curve; see :meth:`schedule` for what is raised, and CurveError for points that are none."""
        steps, losses = np.array(self.steps, dtype=np.float64), np.array(self.losses)
        return Curve(schedule=self.schedule(), steps=steps, losses=losses, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """Old runs from one source.

    Attributes:
        source: as the user named it.
        model: whether they trained the same model on the same data, so that losses are comparable.
        width, batch: old and new one, of another model; None when not known.
        runs: empty until the source is read.
    """

    source: str
    model: Model = "same"
    width: tuple[float, float] | None = None
    batch: tuple[float, float] | None = None
    runs: tuple[OldRun, ...] = ()


def corners(lrs: FloatArray) -> tuple[tuple[int, float], ...]:
    """Corners (update from 1, LR) of lines that stay within 1e-4 of the peak LR (Douglas and Peucker 1973).

    Example:
        >>> corners(np.array([0.1, 0.2, 0.2, 0.2, 0.1]))
        ((1, 0.1), (2, 0.2), (4, 0.2), (5, 0.1))
    """
    allowed = LR_TOLERANCE * float(lrs.max())
    kept, open_ = {0, lrs.size - 1}, [(0, lrs.size - 1)]
    while open_:
        first, last = open_.pop()
        if last - first < 2:
            continue
        line = np.interp(np.arange(first, last + 1), (first, last), (lrs[first], lrs[last]))
        gaps = np.abs(lrs[first : last + 1] - line)
        if gaps.max() > allowed:
            worst = first + int(gaps.argmax())
            kept.add(worst)
            open_ += [(first, worst), (worst, last)]
    return tuple((index + 1, float(lrs[index])) for index in sorted(kept))


def warm_start_to_json(warm: WarmStart) -> dict[str, Any]:
    """One source as plain JSON data, what :func:`read_warm_start` reads."""
    pairs = {"width": warm.width, "batch": warm.batch}
    return {
        "from": warm.source,
        "model": warm.model,
        **{name: list(pair) for name, pair in pairs.items() if pair is not None},
        **({"runs": [_run_to_json(run) for run in warm.runs]} if warm.runs else {}),
    }


def read_warm_start(top: Section, controller: str) -> tuple[WarmStart, ...]:
    """The ``warm_start`` key; empty when it is missing, or after a fault."""
    if not top.has("warm_start"):
        return ()
    given = top.raw("warm_start")
    entries = given if isinstance(given, list) else [given]
    if not entries:
        top.fault("warm_start", f"must be {FORM}, but is empty.")
        return ()
    if controller != "law":
        top.fault("warm_start", f"is for controller law, but the controller is {controller}.", related=["controller"])
        return ()
    found = []
    for index, entry in enumerate(entries):
        path = ("warm_start", index) if isinstance(given, list) else ("warm_start",)
        warm = _read_entry(top, path, entry)
        if warm is None:
            return ()
        found.append(warm)
    return tuple(found)


def _read_entry(top: Section, path: KeyPath, entry: Any) -> WarmStart | None:
    if isinstance(entry, str):
        entry = {"from": entry}
    if not isinstance(entry, dict):
        top.faults.add(path, f"{dotted(path)} must be {FORM}, but got {shown(entry)}.")
        return None
    section = Section(entry, path, top.faults)
    source = section.text("from") if section.require("from", "a study, a CSV curve or a folder") else None
    model = section.text("model", default="same")
    if model not in MODELS:
        section.fault("model", f"must be one of {', '.join(MODELS)}, but got {shown(model)}.")
    width, batch = _pair(section, "width"), _pair(section, "batch")
    for name, pair in (("width", width), ("batch", batch)):
        if pair is not None and model == "same":
            section.fault(name, "says how another model differs: write model: other, or leave it out.")
    runs = _read_runs(section)
    section.close()
    if source is None or model not in MODELS or runs is None:
        return None
    return WarmStart(source=source, model=MODELS[MODELS.index(model)], width=width, batch=batch, runs=runs)


def _pair(section: Section, key: str) -> tuple[float, float] | None:
    if not section.has(key):
        return None
    pair = section.raw(key)
    if isinstance(pair, list) and len(pair) == 2 and all(is_number(value) and value > 0 for value in pair):
        return float(pair[0]), float(pair[1])
    section.fault(key, f"must be [old, new], two finite numbers > 0, but got {shown(pair)}.")
    return None


def _read_runs(section: Section) -> tuple[OldRun, ...] | None:
    """The runs that were read where the study began; None after a fault."""
    if not section.has("runs"):
        return ()
    given, found = section.raw("runs"), []
    for index, data in enumerate(given if isinstance(given, list) else [given]):
        path = (*section.path, "runs", index)
        try:
            run = _run_of(data)
            run.curve()
        except (CurveError, ScheduleError, ValueError, TypeError, KeyError) as error:
            section.faults.add(path, f"{dotted(path)} is no run: {error}")
            return None
        found.append(run)
    return tuple(found)


def _run_of(data: Any) -> OldRun:
    if not isinstance(data, dict) or not set(data) <= _RUN_KEYS:
        raise ValueError(f"must be a mapping with keys of {', '.join(sorted(_RUN_KEYS))}, but got {shown(data)}.")
    horizon, steps, losses = data.get("horizon"), data.get("steps"), data.get("losses")
    if type(horizon) is not int or not 1 <= horizon <= MAX_COUNT:
        raise ValueError(f"horizon must be a whole number >= 1, but got {shown(horizon)}.")
    if not isinstance(steps, list) or not steps or not all(type(step) is int for step in steps):
        raise ValueError("steps must be a list of whole numbers.")
    if not isinstance(losses, list) or not all(is_number(loss) and loss > 0 for loss in losses):
        raise ValueError("losses must be a list of finite numbers > 0.")
    if ("schedule" in data) == ("lrs" in data):
        raise ValueError("it needs one of schedule and lrs.")
    name, points = str(data.get("name", "")), (tuple(steps), tuple(float(loss) for loss in losses))
    run = OldRun(
        name=name,
        horizon=horizon,
        steps=points[0],
        losses=points[1],
        hyperparameters=dict(data.get("hyperparameters", {})),
    )
    if "lrs" in data:
        return replace(run, lrs=_corners_of(data["lrs"]))
    ((family, params),) = dict(data["schedule"]).items()
    return replace(run, family=family, params=dict(params))


def _corners_of(data: Any) -> tuple[tuple[int, float], ...]:
    found = tuple((update, float(lr)) for update, lr in data)
    updates = [update for update, _ in found]
    if not updates or any(type(update) is not int for update in updates) or sorted(set(updates)) != updates:
        raise ValueError("lrs must be a list of [update, LR], the updates whole and increasing.")
    return found


def _run_to_json(run: OldRun) -> dict[str, Any]:
    made_by = {"lrs": [list(corner) for corner in run.lrs]}
    if run.params is not None:
        made_by = {"schedule": {run.family: _listed(run.params)}}  # type: ignore[dict-item]
    return {
        "name": run.name,
        "horizon": run.horizon,
        "steps": list(run.steps),
        "losses": list(run.losses),
        **made_by,
        **({"hyperparameters": _listed(run.hyperparameters)} if run.hyperparameters else {}),
    }


def _listed(params: Mapping[str, ParameterValue]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in params.items()
    }


def _rebuilt(schedule: Schedule) -> Schedule | None:
    try:
        return build(schedule.family, schedule.params, steps=schedule.steps).bare
    except ScheduleError:
        return None
