"""A finished study made of events alone: 14 trials with every fate a trial can have, and losses from a formula.

The losses fall with the area under the LR curve and rise with the LR of the moment, so late cooldowns look bad until
they happen; schedules with a peak LR above 0.06 diverge. Nothing is drawn at random and nothing depends on a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from autosched.ledger.events import (
    Event,
    Role,
    SegmentFailed,
    SegmentFinished,
    SegmentScheduled,
    SessionStarted,
    Stamped,
    StudyCreated,
    StudyFinished,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
    TrialResumed,
)
from autosched.ledger.fold import apply
from autosched.ledger.records import (
    Decision,
    Divergence,
    Failure,
    Forecast,
    Observation,
    Point,
    segment_id,
)
from autosched.ledger.state import StudyState
from autosched.schedules import Schedule, build
from autosched.space import Choice, FamilySpace, Fixed, Range, ScheduleSpec, SearchParameter, Space, TrainerSpec

HORIZON, CUT = 600, 120
START = 1_700_000_000.0
TRAINER = TrainerSpec(use="simulated", options={"width": 64})
DEFAULT = {
    "peak_lr": 0.01,
    "warmup_steps": 30,
    "cooldown_fraction": 0.2,
    "cooldown_shape": "linear",
    "final_lr_ratio": 0.0,
}

SPACE = Space(
    study="wsd-demo",
    seed=0,
    trainer=TRAINER,
    horizon_steps=HORIZON,
    eval_every=20,
    checkpoint_every=CUT,
    schedule=(
        FamilySpace(
            family="wsd",
            parameters={
                "peak_lr": SearchParameter(domain=Range(low=1e-3, high=1e-1, log=True)),
                "warmup_steps": SearchParameter(domain=Fixed(value=30)),
                "cooldown_fraction": SearchParameter(domain=Range(low=0.05, high=0.95)),
                "cooldown_shape": SearchParameter(domain=Choice(values=("linear", "sqrt", "cosine"))),
                "final_lr_ratio": SearchParameter(domain=Fixed(value=0.0)),
            },
        ),
    ),
    default=ScheduleSpec(family="wsd", params=DEFAULT),
)


def wsd(peak_lr: float, cooldown_fraction: float, shape: str = "linear") -> Schedule:
    """A schedule of the space."""
    params = {
        "peak_lr": peak_lr,
        "warmup_steps": 30,
        "cooldown_fraction": cooldown_fraction,
        "cooldown_shape": shape,
    }
    return build("wsd", params, steps=HORIZON)


def losses_of(schedule: Schedule, seed: int) -> np.ndarray:
    """Loss after every update, shape (steps,); `seed` shifts the whole curve."""
    lrs = schedule.lrs
    area = np.cumsum(lrs)
    wiggle = 0.006 * np.sin(np.arange(lrs.size) / 7.0 + seed)
    return (
        1.55
        + 3.9 * (1 + area / 0.08) ** -0.62
        + 6.0 * lrs
        + wiggle
        + 0.01 * math.sin(3.0 * seed + 60 * schedule.peak_lr)
    )


@dataclass
class Study:
    """Folds events into a state, as the engine would write them."""

    state: StudyState = field(default_factory=lambda: StudyState("wsd-demo"))
    schedules: list[Schedule] = field(default_factory=list)
    events: list[Stamped] = field(default_factory=list)
    time: float = START

    def add(self, event: Event) -> None:
        """One event, a tenth of a second after the last."""
        self.time += 0.1
        self.events.append(Stamped(number=self.state.events, time=self.time, event=event))
        apply(self.state, self.events[-1])

    def begin(self) -> None:
        """Create the study and start a driver."""
        space = {"study": "wsd-demo", "horizon_steps": HORIZON}
        self.add(StudyCreated(space=space, versions={"python": "3.11.9", "autosched": "0.1.0"}))
        self.add(SessionStarted(backend="local", workers=1))

    def propose(
        self, schedule: Schedule, role: Role = "search", until: int = HORIZON, *, seed: int = 0, of: int | None = None
    ) -> int:
        """A trial of this schedule; returns its number."""
        number = len(self.schedules)
        self.schedules.append(schedule)
        self.add(
            TrialProposed(
                trial=number,
                role=role,
                until=until,
                family=schedule.family,
                params=schedule.params,
                seed=seed,
                fingerprint=schedule.fingerprint,
                at=self.state.clock,
                of=of,
            )
        )
        return number

    def train(self, number: int, *, stored: bool = False, lost: int = 0, tell: bool = True) -> None:
        """Bring a trial to its next cut: share the segment, find it in the store, or train it.

        Args:
            stored: an earlier study trained it.
            lost: updates before it that have to be trained again.
            tell: whether the trial learns of it (not so in a study that was interrupted right then).
        """
        trial, schedule = self.state.trials[number], self.schedules[number]
        start, stop = trial.step, trial.step + CUT
        identity = segment_id(TRAINER, seed=trial.seed, eval_every=20, lrs=schedule.lrs[:stop])
        shared = identity in self.state.scheduled
        if not shared:
            due = self.state.clock + stop - start
            self.add(SegmentScheduled(trial=number, segment=identity, start=start, stop=stop, due=due))
            self.add(SegmentFinished(observation=self._seen(number, identity, stored=stored, lost=lost)))
        if tell:
            at = self.state.clock + (0 if shared else stop - start)
            self.add(TrialAdvanced(trial=number, segment=identity, step=stop, shared=shared, at=at))

    def _seen(self, number: int, identity: str, *, stored: bool, lost: int) -> Observation:
        trial, schedule = self.state.trials[number], self.schedules[number]
        start, stop = trial.step, trial.step + CUT
        losses = losses_of(schedule, trial.seed)
        points = [Point(step=s, loss=float(losses[s - 1])) for s in range(start + 20, stop + 1, 20)]
        return Observation(
            segment=identity,
            start=start - lost,
            stop=stop,
            points=tuple(points),
            checkpoint="memory://" + identity,
            trained=0 if stored else stop - start + lost,
            seconds=0.0 if stored else (stop - start) / 100,
        )

    def judge(self, number: int, *, holdout: bool = False) -> None:
        """A forecast that is a little off and gets surer, and the decision to keep the trial."""
        trial = self.state.trials[number]
        truth = float(losses_of(self.schedules[number], trial.seed)[-1])
        left = 1 - trial.step / HORIZON
        mean, half = truth + 0.12 * left * math.sin(2.1 * number + trial.step), 0.03 + 0.12 * left
        forecast = Forecast(mean=mean, low=mean - half, high=mean + half, law="multi_power", step=trial.step)
        reason = f"forecast {mean - half:.3f} to {mean + half:.3f}"
        reason += " cannot beat the best, kept as a holdout" if holdout else " can still beat the best"
        decision = Decision(action="keep", reason=reason, forecast=forecast, holdout=holdout)
        self.add(TrialJudged(trial=number, step=trial.step, decision=decision))

    def complete(self, number: int, **how: bool) -> None:
        """Train a trial from where it is to the horizon."""
        while self.state.trials[number].step < HORIZON:
            self.train(number, **how)
            if self.state.trials[number].step < HORIZON and self.state.trials[number].role == "search":
                self.judge(number)
        value = self.state.trials[number].points[-1].loss
        self.end(number, "complete", value=value)

    def prune(self, number: int) -> None:
        """Stop a trial for a forecast above the best."""
        trial = self.state.trials[number]
        mean = float(losses_of(self.schedules[number], 0)[-1])
        forecast = Forecast(mean=mean, low=mean - 0.03, high=mean + 0.03, law="multi_power", step=trial.step)
        reason = f"forecast {mean - 0.03:.3f} to {mean + 0.03:.3f} cannot beat {self.best_value():.3f}"
        decision = Decision(action="stop", reason=reason, forecast=forecast)
        self.add(TrialJudged(trial=number, step=trial.step, decision=decision))
        self.end(number, "pruned", reason=reason, forecast=forecast)

    def diverge(self, number: int, step: int) -> None:
        """Train the next segment only to `step`, where the loss is lost."""
        trial, schedule = self.state.trials[number], self.schedules[number]
        start, stop = trial.step, trial.step + CUT
        identity = segment_id(TRAINER, seed=trial.seed, eval_every=20, lrs=schedule.lrs[:stop])
        lost = Divergence(step=step, loss=math.inf, reason="the loss is not finite <inf>")
        self.add(SegmentScheduled(trial=number, segment=identity, start=start, stop=stop, due=self.state.clock + CUT))
        points = tuple(Point(step=s, loss=3.0 + s / 40) for s in range(start + 20, step, 20))
        seen = Observation(
            segment=identity,
            start=start,
            stop=stop,
            points=points,
            checkpoint=None,
            trained=step - start,
            seconds=0.5,
            divergence=lost,
        )
        self.add(SegmentFinished(observation=seen))
        at = self.state.clock + CUT
        self.add(TrialAdvanced(trial=number, segment=identity, step=step, shared=False, at=at))
        self.end(number, "diverged", reason=f"diverged at update {step}: {lost.reason}", divergence=lost)

    def fail(self, number: int) -> None:
        """A trial whose next segment cannot be trained."""
        failure = Failure(segment="broken", kind="out_of_memory", reason="the device is full: use a smaller batch")
        self.add(SegmentFailed(failure=failure, attempt=1))
        self.end(number, "failed", reason=f"out of memory: {failure.reason}")

    def end(self, number: int, status: str, **fields: object) -> None:
        """The trial is over where it stands."""
        step = self.state.trials[number].step
        self.add(TrialEnded(trial=number, status=status, step=step, at=self.state.clock, **fields))

    def resume(self, number: int) -> None:
        """A trial goes on to the horizon."""
        resumed = TrialResumed(trial=number, role="search", until=None, reason="it promises more", at=self.state.clock)
        self.add(resumed)

    def best_value(self) -> float:
        """The incumbent's value."""
        best = self.state.best_trial()
        return math.inf if best is None or best.value is None else best.value

    def finish(self) -> None:
        """The last event, with the driver's measurements."""
        stats = {"utilisation": 0.97, "overhead_ms_per_segment": 4.2}
        self.add(StudyFinished(reason="14 trials are proposed", stats=stats))


def search_of_fourteen() -> Study:
    """The search: the default, then 13 trials; 0, 1, 2, 6, 8, 9 and 12 complete.

    Trials 3, 5 and 10 are pruned, 4 diverges, 6 shares a prefix with 1, 7 fails, 9 and 12 are holdouts (9 a right kill,
    12 a false one), 11 and 13 are stopped; one segment comes from the store and one is trained again.
    """
    study = Study()
    study.begin()
    study.propose(build("wsd", DEFAULT, steps=HORIZON), "default")
    study.complete(0)
    study.propose(wsd(0.02, 0.4))
    study.complete(1)
    study.propose(wsd(0.004, 0.3, "cosine"))
    study.complete(2, stored=True)
    _end_early(study)
    _held_out(study)
    for number, schedule in ((11, wsd(0.028, 0.5)), (13, wsd(0.007, 0.45))):
        if number == 13:
            _false_kill(study)
        study.propose(schedule)
        study.train(number)
        study.judge(number)
    for number in (11, 13):
        study.end(number, "stopped", reason="10 minutes are over")
    return study


def _end_early(study: Study) -> None:
    study.propose(wsd(0.0012, 0.5))  # 3
    study.train(3)
    study.train(3)
    study.prune(3)
    study.propose(wsd(0.09, 0.2))  # 4
    study.diverge(4, 75)
    study.propose(wsd(0.002, 0.7, "sqrt"))  # 5
    study.train(5)
    study.prune(5)
    study.propose(wsd(0.02, 0.2, "sqrt"))  # 6: shares the prefix of trial 1 up to update 360
    study.complete(6)
    study.propose(wsd(0.05, 0.9))  # 7
    study.train(7)
    study.fail(7)


def _held_out(study: Study) -> None:
    study.propose(wsd(0.035, 0.8))  # 8: a checkpoint is lost on the way
    study.train(8)
    study.judge(8)
    study.train(8, lost=CUT)
    study.judge(8)
    study.complete(8)
    study.propose(wsd(0.003, 0.6))  # 9
    study.train(9)
    study.judge(9, holdout=True)
    study.complete(9)
    study.propose(wsd(0.0016, 0.1, "cosine"))  # 10
    for _ in range(3):
        study.train(10)
    study.prune(10)


def _false_kill(study: Study) -> None:
    study.propose(wsd(0.048, 0.95, "cosine"))  # 12
    for _ in range(2):
        study.train(12)
        study.judge(12)
    study.train(12)
    study.judge(12, holdout=True)
    study.complete(12)


def example_study(*, seeds: tuple[int, ...] = (11, 12, 13)) -> Study:
    """The search and its confirmation: the two best schedules and the default on fresh seeds, then the end."""
    study = search_of_fourteen()
    for seed in seeds:
        for number in (12, 8, 0):
            study.complete(study.propose(study.schedules[number], "confirm", seed=seed, of=number))
    study.finish()
    return study
