"""A small study, event by event, in which every kind of end occurs."""

from collections.abc import Callable

import numpy as np
import pytest

from autosched.ledger.events import (
    Event,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    StageAdvanced,
    Stamped,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
)
from autosched.ledger.records import KEEP, LAWLESS, Decision, Divergence, Failure, Forecast, Observation, Point
from autosched.schedules.schedule import Schedule

HORIZON = 40
FORECAST = Forecast(mean=2.0, low=1.9, high=2.2, law="mpl", step=20)


def _schedule(event: TrialProposed) -> Schedule:
    lrs = np.full(HORIZON, event.params["peak_lr"])
    lrs[20:] *= event.params.get("drop", 1.0)
    return Schedule(lrs, event.family, event.params)


class _Author:
    def __init__(self) -> None:
        self.events: list[Stamped] = []

    def write(self, *events: Event) -> None:
        for event in events:
            number = len(self.events)
            self.events.append(Stamped(number=number, time=1000.25 + number / 2, event=event))

    def propose(self, trial: int, *, role: str = "search", of: int | None = None, **params: float) -> None:
        self.write(
            TrialProposed(
                trial=trial,
                role=role,
                until=HORIZON,
                family="step",
                params=params,
                seed=0,
                fingerprint=f"f{trial}",
                at=0,
                of=of,
            )
        )

    def train(self, trial: int, segment: str, start: int, losses: tuple[float, float]) -> None:
        points = tuple(
            Point(
                step=start + 10 * (i + 1),
                loss=loss,
                metrics={"train_loss": loss - 0.1, "grad_norm": 1.0},
                merged={2: loss - 0.25, 4: loss - 0.5} if i else {},
            )
            for i, loss in enumerate(losses)
        )
        seen = Observation(
            segment=segment, start=start, stop=start + 20, points=points, checkpoint="c", trained=20, seconds=1.5
        )
        self.write(
            SegmentScheduled(trial=trial, segment=segment, start=start, stop=start + 20, due=start + 20),
            SegmentFinished(observation=seen),
        )

    def advance(self, trial: int, segment: str, step: int, *, shared: bool = False) -> None:
        self.write(TrialAdvanced(trial=trial, segment=segment, step=step, shared=shared, at=step))

    def judge(self, trial: int, decision: Decision) -> None:
        self.write(TrialJudged(trial=trial, step=20, decision=decision))

    def end(self, trial: int, status: str, step: int, **more: object) -> None:
        self.write(TrialEnded(trial=trial, status=status, step=step, at=100 + trial, **more))


def _write_story() -> list[Stamped]:
    author = _Author()
    space = {
        "study": "demo",
        "seed": 0,
        "horizon_steps": HORIZON,
        "schedule": [{"family": "step", "parameters": {"peak_lr": {"low": 1e-3}}}],
    }
    author.write(StudyCreated(space=space, versions={"torch": "2.13.0"}), SessionStarted(backend="local", workers=1))
    author.propose(0, role="default", peak_lr=0.1)
    author.propose(1, peak_lr=0.1, drop=0.5)
    author.train(0, "stable", 0, (3.0, 2.5))
    author.advance(0, "stable", 20)
    author.judge(0, KEEP)
    author.advance(1, "stable", 20, shared=True)
    author.judge(1, Decision(action="keep", reason="holdout", forecast=FORECAST, holdout=True))
    author.train(0, "flat", 20, (2.4, 2.3))
    author.advance(0, "flat", 40)
    author.end(0, "complete", 40, value=2.3)
    author.write(StageAdvanced(stage=1, step=20, lr=0.05, trial=1, at=60))
    author.train(1, "drop", 20, (2.2, 2.0))
    author.advance(1, "drop", 40)
    author.end(1, "complete", 40, value=2.0)
    author.propose(2, peak_lr=0.3)
    author.train(2, "high", 0, (3.5, 3.0))
    author.advance(2, "high", 20)
    author.judge(2, Decision(action="keep", reason=f"{LAWLESS}; hyperband: it is among the best"))
    author.judge(2, Decision(action="stop", reason="forecast 1.9 to 2.2 cannot win", forecast=FORECAST))
    author.end(2, "pruned", 20, reason="forecast 1.9 to 2.2 cannot win", forecast=FORECAST)
    author.propose(3, peak_lr=9.0)
    author.propose(4, peak_lr=0.2)
    lost = Divergence(step=12, loss=float("inf"), reason="the loss became infinite")
    author.end(3, "diverged", 0, reason=lost.reason, divergence=lost)
    failure = Failure(segment="broken", kind="error", reason="no space left")
    author.write(SegmentFailed(failure=failure, attempt=1))
    author.end(4, "failed", 0, reason="no space left")
    author.propose(5, role="confirm", of=1, peak_lr=0.1, drop=0.5)
    author.propose(6, peak_lr=0.05)
    author.train(5, "confirm-stable", 0, (3.1, 2.6))
    author.advance(5, "confirm-stable", 20)
    author.train(5, "confirm-drop", 20, (2.3, 2.1))
    author.advance(5, "confirm-drop", 40)
    author.end(5, "complete", 40, value=2.1)
    author.end(6, "stopped", 0, reason="the budget is spent")
    author.write(StudyFinished(reason="trials", stats={"seconds": 12.5, "utilisation": 0.96}))
    return author.events


@pytest.fixture(scope="session")
def story() -> list[Stamped]:
    """All events of the study, in order."""
    return _write_story()


@pytest.fixture(scope="session")
def schedule_of() -> Callable[[TrialProposed], Schedule]:
    """A constant LR that may drop half-way."""
    return _schedule
