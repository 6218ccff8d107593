"""Studies that are written down instead of run: events go straight into a folded state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autosched.ledger.events import (
    Event,
    Role,
    SegmentFinished,
    SegmentScheduled,
    Stamped,
    StudyCreated,
    TrialAdvanced,
    TrialEnded,
    TrialJudged,
    TrialProposed,
)
from autosched.ledger.fold import apply
from autosched.ledger.records import Decision, Divergence, Forecast, Observation, Point
from autosched.ledger.state import StudyState
from autosched.randomness import generator, uniform
from autosched.schedules.schedule import Schedule
from autosched.search.policy import Controller, Policy, Proposal
from autosched.space import Space, build_schedule, space_from_json, space_to_json
from autosched.space.records import ScheduleSpec

HORIZON, EVERY = 100, 20
WSD: Mapping[str, Any] = {
    "peak_lr": {"low": 1e-3, "high": 1e-1, "scale": "log"},
    "warmup_steps": {"low": 1, "high": 20},
    "cooldown_fraction": {"low": 0.1, "high": 0.9},
    "cooldown_shape": ["linear", "sqrt", "power"],
    "cooldown_power": {"low": 0.5, "high": 3.0},
    "final_lr_ratio": 0.01,
}
NUMERIC: Mapping[str, Any] = {name: WSD[name] for name in ("peak_lr", "warmup_steps", "cooldown_fraction")}
COSINE: Mapping[str, Any] = {"peak_lr": WSD["peak_lr"], "final_lr_ratio": [0.0, 0.1]}


def space_of(schedule: Mapping[str, Any], **keys: Any) -> Space:
    return space_from_json(
        {
            "study": "scripted",
            "seed": 3,
            "trainer": {"use": "simulated"},
            "horizon_steps": HORIZON,
            "eval_every": EVERY,
            "checkpoint_every": EVERY,
            "budget": {"trials": 1000},
            "schedule": dict(schedule),
            **keys,
        }
    )


class Script:
    """Writes events and folds them at once."""

    def __init__(self, space: Space) -> None:
        self.space, self.state = space, StudyState(space.study)
        self._write(StudyCreated(space=space_to_json(space), versions={}))

    def _write(self, event: Event) -> None:
        apply(self.state, Stamped(number=self.state.events, time=0.0, event=event))

    def propose(self, family: str, params: Mapping[str, Any], role: Role = "search") -> int:
        """A new trial of these parameters, meant for the horizon; returns its number."""
        spec = ScheduleSpec(family=family, params=params)
        return self._propose(build_schedule(self.space, spec), role, HORIZON)

    def _propose(self, schedule: Schedule, role: Role, until: int) -> int:
        """What the loop commits for a proposal."""
        number = len(self.state.trials)
        self._write(
            TrialProposed(
                trial=number,
                role=role,
                until=until,
                family=schedule.family,
                params=schedule.params,
                seed=0,
                fingerprint=schedule.fingerprint,
                at=0,
            )
        )
        return number

    def take(self, proposal: Any) -> int:
        assert isinstance(proposal, Proposal)
        return self._propose(proposal.schedule, proposal.role, proposal.until)

    def advance(self, trial: int, loss: float, *, steps: int = EVERY, evaluated: bool = True) -> None:
        """One more segment, evaluated at its end."""
        start = self.state.trials[trial].step
        stop, segment = start + steps, f"{trial}-{start}"
        points = (Point(step=stop, loss=loss),) if evaluated else ()
        seen = Observation(
            segment=segment, start=start, stop=stop, points=points, checkpoint="c", trained=steps, seconds=1.0
        )
        self._write(SegmentScheduled(trial=trial, segment=segment, start=start, stop=stop, due=0))
        self._write(SegmentFinished(observation=seen))
        self._write(TrialAdvanced(trial=trial, segment=segment, step=stop, shared=False, at=0))

    def judge(self, trial: int, decision: Decision) -> None:
        self._write(TrialJudged(trial=trial, step=self.state.trials[trial].step, decision=decision))

    def end(self, trial: int, status: Any, value: float | None = None, forecast: Forecast | None = None) -> None:
        lost = Divergence(step=1, loss=9.0, reason="nan") if status == "diverged" else None
        step = self.state.trials[trial].step
        self._write(
            TrialEnded(trial=trial, status=status, step=step, at=0, value=value, forecast=forecast, divergence=lost)
        )

    def complete(self, trial: int, value: float) -> None:
        """Train a trial to its end."""
        while self.state.trials[trial].step < HORIZON:
            self.advance(trial, value)
        self.end(trial, "complete", value)


def loss_of(space: Space, family: str, params: Mapping[str, Any]) -> float:
    """Best at a peak LR of 0.01 that is held for long."""
    lrs = build_schedule(space, ScheduleSpec(family=family, params=params)).lrs
    return float(2.0 + abs(lrs.mean() - 0.008) * 50 + abs(lrs.max() - 0.01) * 10)


Fate = tuple[str, Any]


def fate_of(script: Script, number: int) -> None:
    """One more event of a trial's life: most complete, some are pruned (with and without forecast), diverge or fail."""
    trial, chance = script.state.trials[number], uniform(number, "fate")
    value = loss_of(script.space, trial.family, trial.params)
    if trial.step == 0 or (chance < 0.7 and trial.step < HORIZON):
        script.advance(number, value + (HORIZON - trial.step - EVERY) / HORIZON)
    elif chance < 0.7:
        script.end(number, "complete", value)
    elif chance < 0.8:
        forecast = Forecast(mean=value, low=value - 0.1, high=value + 0.1, law="test", step=trial.step)
        script.end(number, "pruned", forecast=forecast)
    elif chance < 0.87:
        script.end(number, "pruned")
    else:
        script.end(number, "diverged" if chance < 0.95 else "failed")


def search(
    space: Space, make: Callable[[], Controller | Policy], trials: int, *, workers: int = 3, restart_every: int = 0
) -> tuple[StudyState, list[Proposal], Controller | Policy]:
    """Run a study on a loss that is known, with several trials in flight that take turns at random.

    Args:
        restart_every: give the work to a new controller after so many proposals; 0 for never.
    """
    script, controller, proposals = Script(space), make(), list[Proposal]()
    if space.default is not None:
        script.propose(space.default.family, space.default.params, "default")
    turn = 0
    while len(proposals) < trials:
        if len(script.state.active) < workers:
            proposal = controller.ask(script.state)
            assert isinstance(proposal, Proposal)
            proposals.append(proposal)
            script.take(proposal)
            if restart_every and len(proposals) % restart_every == 0:
                controller = make()
        active = sorted(script.state.active)
        fate_of(script, active[int(generator(turn, "turn").integers(len(active)))])
        turn += 1
    return script.state, proposals, controller
