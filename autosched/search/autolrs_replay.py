"""An AutoLRS run as the trials of a study: the log of the study, read as what the state machine was asked and told.

A probe is a trial, whose schedule goes on with the probe's LR to the horizon; it rests at the end of its probe. A stage
is committed by resuming the trial that won. When the next stage tries the same LR, that is the same schedule, and so
the same trial, resumed again. What a turn is for, its role says::

    log                                    role              work
    proposed  trial 0                      probe             probe 0 of stage 0
    proposed  trial 1                      probe             probe 1 of stage 0
    advanced  trial 0 to update 100                          tell(probe 0)
    advanced  trial 1 to update 100                          tell(probe 1)
    resumed   trial 1                      commit            commit of stage 0
    advanced  trial 1 to update 1000                         tell(commit)
    resumed   trial 1                      probe             probe 0 of stage 1
    proposed  trial 2                      probe             probe 1 of stage 1

The decay of a probe is a trial of its own, the annealed probe, which shares its prefix with the probe's and is never
resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from autosched.ledger.events import StageAdvanced
from autosched.ledger.state import StudyState, Transition, TrialState, Turn
from autosched.search.autolrs import Seen, Settings, State, Work, stage_of, tell
from autosched.search.autolrs.machine import commit_of, decay_of, fixed
from autosched.search.autolrs_space import settings_of, trial_cuts
from autosched.space.records import Space


@dataclass(slots=True)
class Replay:
    """Catches up with a study's log.

    Attributes:
        state: of the machine.
        open: what each running trial is trained for, by its number.
        probes, decays: trials of the present stage, by number of the probe.
        over: the stages that are over; `at` is not known here.
        broken: why the run cannot go on, when the machine cannot know it.
    """

    space: Space
    settings: Settings = field(init=False)
    state: State = field(init=False)
    open: dict[int, Work] = field(default_factory=dict)
    probes: dict[int, int] = field(default_factory=dict)
    decays: dict[int, int] = field(default_factory=dict)
    over: list[StageAdvanced] = field(default_factory=list)
    broken: str = ""
    _cuts: tuple[int, ...] = ()
    _read: int = 0

    def __post_init__(self) -> None:
        self.settings, self._cuts = settings_of(self.space), trial_cuts(self.space)
        self.state = State()
        warmup = fixed(self.settings, self.state)
        if warmup is not None:  # the first probe trains it; its losses are nobody's business
            self.state = tell(self.settings, self.state, warmup, Seen(updates=warmup.updates, steps=(), losses=()))

    def catch_up(self, study: StudyState) -> None:
        """Read what is new in the log."""
        while self._read < len(study.log):
            entry = study.log[self._read]
            self._read += 1
            trial = study.trials[entry.trial]
            if trial.role not in {"default", "confirm"}:
                self._take(study, entry, trial)

    def _take(self, study: StudyState, entry: Transition, trial: TrialState) -> None:
        if entry.turn is not None:
            self.open[trial.number] = self._work(trial, entry.turn)
        elif entry.kind == "advanced":
            if not self._diverges(study, trial.number):
                self._reached(trial, entry.step)
        elif entry.status == "diverged":
            self._diverged(trial, entry.step)
        elif entry.status == "failed":
            del self.open[trial.number]
            self.broken = f"trial {trial.number} failed, and its stage cannot be decided without it: {trial.reason}"

    def _reached(self, trial: TrialState, step: int) -> None:
        """A trial got to update `step`; the last segment of a run may end both its last stage and its cooldown."""
        while (work := self.open.get(trial.number)) is not None and work.stop <= step:
            self._tell(trial, work, self._seen(trial, work, work.stop))

    def _diverges(self, study: StudyState, trial: int) -> bool:
        """Whether the next entry says that the trial diverged on the way to where it advanced (they come together)."""
        after = study.log[self._read] if self._read < len(study.log) else None
        return after is not None and after.trial == trial and after.status == "diverged"

    def _work(self, trial: TrialState, turn: Turn) -> Work:
        """What a turn of a trial is for."""
        stage = stage_of(self.settings, self.state.position)
        assert stage is not None, "it has a stage"  # noqa: S101 - nothing is started in a cooldown
        if turn.role == "commit":
            won = next(number for number, known in self.probes.items() if known == trial.number)
            return commit_of(self.settings, self.state, stage, won, reuse=True)
        lr = float(trial.schedule.lr_at([stage.checkpoint])[0])
        if turn.role == "annealed_probe":
            waiting = [one for one in self.state.tried if one.undecayed and one.number not in self.decays]
            tried = next(one for one in waiting if one.lr == lr)
            self.decays[tried.number] = trial.number
            return decay_of(self.state, stage, tried)
        number = len(self.probes)
        self.probes[number] = trial.number
        return Work(kind="probe", start=stage.checkpoint, stop=turn.until, lr=lr, stage=stage.index, probe=number)

    def _tell(self, trial: TrialState, work: Work, seen: Seen) -> None:
        del self.open[trial.number]
        before = len(self.state.passed)
        self.state = tell(self.settings, self.state, work, seen)
        if len(self.state.passed) == before:
            return
        over = self.state.passed[-1]
        self.over.append(StageAdvanced(stage=over.index, step=over.stop, lr=over.lr, trial=trial.number, at=0))
        self.probes.clear()
        self.decays.clear()
        if stage_of(self.settings, self.state.position) is None:
            cooldown = fixed(self.settings, self.state)
            if cooldown is not None:  # the trial goes on without a pause
                self.open[trial.number] = cooldown

    def _diverged(self, trial: TrialState, step: int) -> None:
        self._reached(trial, step - 1)
        work = self.open.get(trial.number)
        if work is None:
            return
        if step <= work.start and work.kind == "probe" and work.start == self.settings.warmup_steps:
            del self.open[trial.number]
            peak = f"warmup_lr, now {self.settings.warmup_lr:.3g}"
            self.broken = f"the run diverged in its warmup, by update {step}: lower {peak}"
            return
        end = min(max(step, work.start), work.stop)
        seen = self._seen(trial, work, end)
        lost = Seen(updates=seen.updates, steps=(*seen.steps, float(end)), losses=(*seen.losses, math.nan))
        self._tell(trial, work, lost)

    def _seen(self, trial: TrialState, work: Work, end: int) -> Seen:
        """What was seen of a trial from a work's start to update `end`.

        Validation losses where these score the stage. Otherwise mean training losses: the mean over the updates a..b-1
        is the loss at the middle of their starts.
        """
        stage = stage_of(self.settings, work.start)
        by_validation = stage is not None and stage.by_validation
        steps, losses = [], []
        for point in trial.points:
            if not work.start < point.step <= end:
                continue
            begin = max((point.step - 1) // self.space.eval_every * self.space.eval_every, self._cut_before(point.step))
            trained = point.metrics.get("train_loss")
            if by_validation or trained is None:
                steps.append(float(point.step))
                losses.append(point.loss)
            else:
                steps.append((begin + point.step - 1) / 2)
                losses.append(trained)
        return Seen(updates=end - work.start, steps=tuple(steps), losses=tuple(losses))

    def _cut_before(self, step: int) -> int:
        return max((cut for cut in self._cuts if cut < step), default=0)
