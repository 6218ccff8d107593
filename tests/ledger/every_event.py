"""Events of every kind, as a study might have them, one after another."""

from __future__ import annotations

import math

from autosched.ledger.events import (
    Event,
    LimitsChanged,
    RangeTested,
    SearchEnded,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    StageAdvanced,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
)
from autosched.ledger.records import Decision, Divergence, Failure, Forecast, Observation, Point

FORECAST = Forecast(mean=1.5, low=1.4, high=1.61, law="mpl", step=40)
SEEN = Observation(
    segment="a" * 40,
    start=0,
    stop=40,
    points=(
        Point(step=20, loss=2.0000000000000004, metrics={"train_loss": 2.1}),
        Point(step=40, loss=0.1, merged={2: 0.09, 4: 0.08}),
    ),
    checkpoint="file:///c/aa.ckpt",
    trained=40,
    seconds=0.25,
)
EVENTS: list[Event] = [
    StudyCreated(space={"study": "s", "nested": {"a": [1, 2.5, None]}}, versions={"torch": "2"}),
    SessionStarted(backend="ray", workers=2),
    RangeTested(segment="b" * 40, steps=171, at=171, low=2e-3, high=0.1 + 0.2, divergence_lr=None, reason="go on"),
    TrialProposed(
        trial=0, role="pilot", family="wsd", params={"peak_lr": 0.1}, seed=3, fingerprint="f", at=0, until=40
    ),
    SegmentScheduled(trial=0, segment="a" * 40, start=0, stop=40, due=40),
    SegmentFailed(failure=Failure(segment="a" * 40, kind="worker_died", reason="gone"), attempt=1),
    SegmentFinished(observation=SEEN),
    TrialAdvanced(trial=0, segment="a" * 40, step=40, shared=False, at=40),
    TrialJudged(trial=0, step=40, decision=Decision(action="keep", reason="too early", forecast=FORECAST)),
    LimitsChanged(budget={"trials": 9, "minutes": None}, workers=4),
    StageAdvanced(stage=0, step=40, lr=0.1, trial=0, at=40),
    SearchEnded(reason="nothing is worth it", gain=1e-4, steps=40, at=40),
    TrialEnded(
        trial=0,
        status="diverged",
        step=40,
        at=40,
        reason="NaN",
        forecast=FORECAST,
        divergence=Divergence(step=38, loss=math.inf, reason="loss is infinite"),
    ),
    TrialResumed(trial=0, role="search", until=80, reason="it may win", at=80),
    StudyFinished(reason="a file named \udce9, which is no text", stats={"utilisation": 0.97}),
]
