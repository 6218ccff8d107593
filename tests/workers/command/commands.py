"""Small commands, and segments of them, for tests; a bare Python starts in 10 ms."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.ledger.records import Observation, Purpose, Segment, SegmentIds
from autosched.schedules import Schedule, build
from autosched.space.trainer_spec import TrainerSpec
from workers.registry import make_trainer

PYTHON = [sys.executable, "-I", "-S", "-u"]
HORIZON, EVERY = 40, 5
TRAIN = """
import json, sys
lrs = [float(line) for line in open(sys.argv[1])]
w = 3.0
for step, lr in enumerate(lrs):
    w -= lr * w
    print(json.dumps({"step": step + 1, "loss": 0.1 + w * w}))
"""
"""A whole run that reads its LRs from a file and prints a loss after every update."""


def schedule(peak_lr: float = 0.1) -> Schedule:
    return build("wsd", {"peak_lr": peak_lr, "warmup_steps": 5}, steps=HORIZON)


def losses_of(lrs: Any) -> dict[int, float]:
    """What :data:`TRAIN` prints, by step."""
    found, w = {}, 3.0
    for step, lr in enumerate(lrs.tolist()):
        w -= lr * w
        found[step + 1] = 0.1 + w * w
    return found


def options(source: str = TRAIN, *arguments: str, **others: Any) -> dict[str, Any]:
    """A command that runs a piece of Python."""
    return {
        "run": [*PYTHON, "-c", source, *(arguments or ("{lrs}",))],
        "losses": {"format": "json_lines", "take": "last"},
        "grace_seconds": 5,
        **others,
    }


def runner() -> SegmentRunner:
    return SegmentRunner(make_trainer)


def segment(
    given: Mapping[str, Any], start: int, stop: int, *, folder: Path, plan: Schedule | None = None, seed: int = 0
) -> Segment:
    """Updates `start` to `stop` of a trial, as an engine would order them; logs and checkpoints go into `folder`."""
    plan = plan or schedule()
    spec = TrainerSpec(use="command", options=dict(given))
    cuts = (start, stop) if start else (stop,)
    ids = SegmentIds(spec, seed=seed, eval_every=EVERY, schedule=plan, cuts=cuts)
    store = CheckpointStore(str(folder / "checkpoints"))
    return Segment(
        id=ids[stop],
        trainer=spec,
        seed=seed,
        start=start,
        stop=stop,
        horizon=HORIZON,
        eval_every=EVERY,
        lrs=plan.lrs[start:stop],
        report_from=start,
        save_uri=store.uri(ids[stop]) if spec.resumes else None,
        load_uri=store.uri(ids[start]) if spec.resumes and start else None,
        load_id=ids.get(start),
        purpose=Purpose(schedule=plan, trial=7, log=str(folder / "logs" / "trial-7.log")),
    )


def points(outcome: Any) -> dict[int, float]:
    """The losses of an outcome by step; fails with the reason of a failure."""
    assert isinstance(outcome, Observation), outcome
    return {point.step: point.loss for point in outcome.points}
