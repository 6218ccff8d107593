"""What a decision of the law-guided search costs: proposing plus judging, in studies of many trials, on one core.

    OMP_NUM_THREADS=1 python benchmarks/decision_cost.py [--trials 200 5000] [--json]

A study of that many trials is written down (events of real schedules with the losses of a law and noise), then 24
segments are trained on, each followed by a judgement and a proposal, as the engine asks for them. Seconds are of
processor time. `first` is the first decision after a resume, which fits the law from nothing and draws the pool;
limits: 0.1 s at 200 trials, 1 s at 5,000.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field

import numpy as np

from autosched.ledger.events import (
    SegmentFinished,
    SegmentScheduled,
    Stamped,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
)
from autosched.ledger.fold import apply
from autosched.ledger.records import Observation, Point
from autosched.ledger.state import StudyState
from autosched.randomness import generator
from autosched.schedules.schedule import Schedule
from autosched.search.policy import Proposal
from autosched.search.select import make_policy
from autosched.space import ScheduleSpec, Space, build_schedule, draw, space_from_json

HORIZON, EVERY, CHECKPOINT = 600, 20, 40
LIMITS = {200: 0.1, 5000: 1.0}
NOISE = 2e-3


def space() -> Space:
    """The demo's WSD space."""
    schedule = {
        "peak_lr": {"low": 1e-3, "high": 1e-1, "scale": "log"},
        "warmup_steps": 30,
        "cooldown_fraction": {"low": 0.05, "high": 1.0},
        "cooldown_shape": ["linear", "sqrt"],
    }
    return space_from_json(
        {
            "study": "cost",
            "trainer": {"use": "simulated"},
            "horizon_steps": HORIZON,
            "eval_every": EVERY,
            "checkpoint_every": CHECKPOINT,
            "schedule": {"wsd": schedule},
            "controller": "law",
            "pruner": "law",
            "budget": {"trials": 10**6},
        }
    )


def losses(schedule: Schedule, steps: np.ndarray, seed: int) -> np.ndarray:
    """A power law of the LRs' sum, and noise that grows with the present LR."""
    area = np.cumsum(schedule.lrs**0.5)[steps - 1]
    noise = NOISE * generator(seed, "noise").standard_normal(steps.size)
    return 1.3 + 3.0 * area**-0.45 + 4.0 * schedule.lrs[steps - 1] + noise


@dataclass
class Writer:
    """Writes a study's events."""

    space: Space
    state: StudyState = field(default_factory=lambda: StudyState("cost"))

    def write(self, *events) -> None:
        for event in events:
            apply(self.state, Stamped(number=self.state.events, time=0.0, event=event))

    def propose(self, spec: ScheduleSpec) -> int:
        number, schedule = len(self.state.trials), build_schedule(self.space, spec)
        self.write(
            TrialProposed(
                trial=number,
                role="search",
                until=HORIZON,
                family=spec.family,
                params=schedule.params,
                seed=0,
                fingerprint=schedule.fingerprint,
                at=0,
            )
        )
        return number

    def advance(self, number: int) -> None:
        trial = self.state.trials[number]
        schedule = trial.schedule
        start, stop = trial.step, trial.step + CHECKPOINT
        steps = np.arange(start + EVERY, stop + 1, EVERY)
        points = tuple(
            Point(step=int(s), loss=float(loss)) for s, loss in zip(steps, losses(schedule, steps, number), strict=True)
        )
        name = f"{number}-{start}"
        seen = Observation(
            segment=name, start=start, stop=stop, points=points, checkpoint="c", trained=CHECKPOINT, seconds=1.0
        )
        self.write(
            SegmentScheduled(trial=number, segment=name, start=start, stop=stop, due=0),
            SegmentFinished(observation=seen),
            TrialAdvanced(trial=number, segment=name, step=stop, shared=False, at=0),
        )
        if stop == HORIZON:
            self.write(TrialEnded(trial=number, status="complete", step=stop, at=0, value=points[-1].loss))

    def grow(self, trials: int) -> None:
        """One in eight complete, the rest paused somewhere."""
        while len(self.state.trials) < trials:
            count = len(self.state.trials)
            number = self.propose(draw(self.space, generator(count, "trial")))
            segments = HORIZON // CHECKPOINT if count % 8 == 0 else 1 + count % 9
            for _ in range(segments):
                self.advance(number)
            if segments * CHECKPOINT < HORIZON:
                step = self.state.trials[number].step
                self.write(TrialEnded(trial=number, status="paused", step=step, at=0, reason="waits"))


def measure(trials: int) -> dict[str, float]:
    """Seconds per decision."""
    writer = Writer(space())
    writer.grow(trials)
    policy = make_policy(writer.space)
    number = writer.propose(draw(writer.space, generator(trials, "trial")))
    seconds = []
    for _ in range(25):
        writer.advance(number)
        if writer.state.trials[number].status == "complete":
            number = writer.propose(draw(writer.space, generator(len(writer.state.trials), "trial")))
            continue
        begun = time.process_time()
        decision = policy.judge(writer.state, number)
        judged = TrialJudged(trial=number, step=writer.state.trials[number].step, decision=decision)
        writer.write(judged)
        action = policy.ask(writer.state)
        seconds.append(time.process_time() - begun)
        assert action is None or isinstance(action, Proposal) or action.reason
    return {"trials": trials, "first": seconds[0], "mean": float(np.mean(seconds[1:])), "worst": max(seconds[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 5000])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [measure(trials) for trials in given.trials]
    if given.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'trials':>8}{'first':>9}{'mean':>9}{'worst':>9}   seconds")
    for row in rows:
        limit = LIMITS.get(int(row["trials"]))
        verdict = "" if limit is None else f"limit {limit:g}: {'ok' if row['mean'] <= limit else 'TOO SLOW'}"
        print(f"{row['trials']:>8}{row['first']:9.3f}{row['mean']:9.3f}{row['worst']:9.3f}   {verdict}")


if __name__ == "__main__":
    main()
