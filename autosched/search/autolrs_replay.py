"""An AutoLRS run as the trials of a study: the log of the study, read as what the state machine was asked and told.

A probe is a trial, whose schedule goes on with the probe's LR to the horizon; it is paused at the end of its probe. A
stage is committed by thawing the trial that won. When the next stage tries the same LR, that is the same schedule, and
so the same trial, thawed again. So the log alone says what each trial was started for::

    log                                  work
    proposed  trial 0                    probe 0 of stage 0
    proposed  trial 1                    probe 1 of stage 0
    advanced  trial 0 to update 100      tell(probe 0), paused
    advanced  trial 1 to update 100      tell(probe 1), paused
    thawed    trial 1                    commit of stage 0: all probes are there
    advanced  trial 1 to update 1000     tell(commit), paused
    thawed    trial 1                    probe 0 of stage 1
    proposed  trial 2                    probe 1 of stage 1

The decay of a probe is a trial of its own, which shares its prefix with the probe's and is never thawed; its schedule
has more values than a probe's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from autosched.ledger.events import StageAdvanced
from autosched.ledger.state import StudyState, Transition, TrialState
from autosched.search.autolrs import Seen, Settings, State, Work, ask, stage_of, tell
from autosched.search.autolrs_space import lr_in_stage, settings_of, trial_cuts
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
        warmup = ask(self.settings, self.state) if self.settings.warmup_steps else None
        if isinstance(warmup, Work):  # the first probe trains it; its losses are nobody's business
            self.state = tell(self.settings, self.state, warmup, Seen(updates=warmup.updates, steps=(), losses=()))

    def catch_up(self, study: StudyState) -> None:
        """Read what is new in the log."""
        while self._read < len(study.log):
            entry = study.log[self._read]
            self._read += 1
            trial = study.trials[entry.trial]
            if trial.kind == "search":
                self._take(study, entry, trial)

    def _take(self, study: StudyState, entry: Transition, trial: TrialState) -> None:
        if entry.kind in {"proposed", "thawed"}:
            self.open[trial.number] = self._work(trial)
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

    def _work(self, trial: TrialState) -> Work:
        """What a trial was started or thawed for."""
        lr, is_decay = lr_in_stage(self.settings, self.state, _values(trial))
        if is_decay:
            return self._decay(trial)
        if len(self.probes) == self.settings.probes:
            work = ask(self.settings, self.state)
            assert isinstance(work, Work), "it was asked for when the trial was thawed"  # noqa: S101 - same state
            return work
        stage = stage_of(self.settings, self.state.position)
        assert stage is not None, "a probe has a stage"  # noqa: S101 - none is proposed in a cooldown
        number = len(self.probes)
        self.probes[number] = trial.number
        stop = stage.checkpoint + stage.probe_updates(number)
        return Work(kind="probe", start=stage.checkpoint, stop=stop, lr=lr, stage=stage.index, probe=number)

    def _decay(self, trial: TrialState) -> Work:
        """Of the first probe that waited for it when the trial was proposed."""
        work = ask(self.settings, self.state, running=list(self.open.values()))
        assert isinstance(work, Work), "it was asked for when the trial was proposed"  # noqa: S101 - same state
        assert work.kind == "decay", "as above"  # noqa: S101 - as above
        assert work.probe is not None, "a decay has a probe"  # noqa: S101 - the machine's
        self.decays[work.probe] = trial.number
        return work

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
            cooldown = ask(self.settings, self.state)
            if isinstance(cooldown, Work):  # the trial goes on without a pause
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


def _values(trial: TrialState) -> list[float]:
    """The LRs of a trial's stages."""
    values = trial.params["values"]
    assert isinstance(values, list | tuple), "the parameter of piecewise"  # noqa: S101 - the trial is AutoLRS's own
    return [float(value) for value in values]
