"""AutoLRS on the engine: probes are trials, all from one checkpoint, and so on all workers at once.

What to train next is the state machine's matter (:mod:`autosched.search.autolrs.machine`), which trial that means is
read from the log (:mod:`autosched.search.autolrs_replay`). As probes share the committed run exactly, the prefix store
trains it once; the winner is resumed, so its probe is the beginning of its stage. The decay of a probe is a trial that
goes on from the probe's end and rests for good. With several workers the LRs that are being tried count as if they had
turned out as expected (constant liar).

The budget: what the run with all its probes costs is known beforehand, and checked when the space is read. Only a
winner that diverges after its probe costs more; when the rest no longer fits, the run ends there and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autosched.ledger.events import StageAdvanced
from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState
from autosched.schedules.schedule import Schedule
from autosched.search.autolrs import Failed, Finished, Work, ask, stage_of, stages
from autosched.search.autolrs_replay import Replay
from autosched.search.autolrs_space import proposal, trial_cuts, updates_left
from autosched.search.budget import remaining
from autosched.search.policy import Policy, Proposal, Resume
from autosched.space.records import Space


class AutoLrsPolicy(Policy):
    """Proposes probes, resumes winners. A function of the study's state; its replay of the log is a cache.

    Raises:
        SpaceError: an option or the schedule has a fault.
    """

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        self._replay = Replay(space)
        self._starts = frozenset(stage.checkpoint for stage in stages(self._replay.settings))

    def ask(self, state: StudyState) -> Proposal | Resume | None:
        """The next probe or commit; None while probes must be waited for, and at the end."""
        run = self._caught_up(state)
        if run.broken or len(run.open) >= max(state.workers, 1) or self._over_budget(state):
            return None
        running = list(run.open.values())
        if any(work.kind not in ("probe", "decay") for work in running):
            return None
        work = ask(run.settings, run.state, running=running)
        if not isinstance(work, Work):
            return None
        if work.kind == "commit":
            assert work.probe is not None, "a commit has a winner"  # noqa: S101 - the machine's
            last = stage_of(run.settings, work.stop) is None  # then the cooldown follows at once
            return Resume(
                trial=run.probes[work.probe],
                until=self._space.horizon_steps if last else work.stop,
                reason=f"LR {work.lr:.4g} won stage {work.stage}",
                role="commit",
            )
        if work.kind == "probe" and run.over and work.lr == run.over[-1].lr:
            reason = f"the LR of stage {run.over[-1].stage} is tried in stage {work.stage}"
            return Resume(trial=run.over[-1].trial, until=work.stop, reason=reason, role="probe")
        return proposal(run.settings, run.state, work)

    def stages(self, state: StudyState) -> Sequence[StageAdvanced]:
        """The stages that were committed."""
        return [replace(stage, at=state.clock) for stage in self._caught_up(state).over]

    def outcome(self, state: StudyState) -> str | None:
        """How the run ended."""
        run = self._caught_up(state)
        if run.broken:
            return run.broken
        if run.open:
            return None
        found = ask(run.settings, run.state)
        if isinstance(found, Failed):
            return found.reason.rstrip(".")
        if isinstance(found, Finished):
            return f"all {len(run.over)} stages are committed"
        return self._over_budget(state)

    def judge(self, state: StudyState, trial: int) -> Decision:
        """What a running trial is for, and at the end of its turn what came of it."""
        run = self._caught_up(state)
        work = run.open.get(trial)
        if work is not None:
            what = {"probe": f"probe {work.probe}", "decay": f"decay of probe {work.probe}"}.get(work.kind, work.kind)
            return Decision(action="keep", reason=f"{what} of stage {work.stage}, to update {work.stop}")
        if run.over and run.over[-1].step == state.trials[trial].step:
            return Decision(action="keep", reason=f"stage {run.over[-1].stage} is committed")
        return Decision(action="keep", reason=self._probe_text(run, trial))

    def cuts(self) -> tuple[int, ...]:
        """Also where stages and probes begin and end."""
        return trial_cuts(self._space)

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """The probes of a stage branch where it begins."""
        return step in self._starts

    def _probe_text(self, run: Replay, trial: int) -> str:
        number = next(number for table in (run.probes, run.decays) for number, known in table.items() if known == trial)
        tried = next(tried for tried in run.state.tried if tried.number == number)
        text = f"probe {number} of stage {len(run.over)} is done"
        if tried.undecayed or (run.settings.needs_decays and run.probes[number] == trial):
            return f"{text}: its decay tells"
        if tried.end is None:
            return f"{text}: {tried.reason}"
        if run.settings.needs_decays:
            return f"{text}: {tried.end.mean:.4f} (sd {tried.end.sd:.4f}) at the end of its decay"
        return f"{text}: {tried.end.mean:.4f} (sd {tried.end.sd:.4f}) forecast for the end of the stage"

    def _caught_up(self, state: StudyState) -> Replay:
        self._replay.catch_up(state)
        return self._replay

    def _over_budget(self, state: StudyState) -> str | None:
        """Why the rest of the run does not fit the budget in updates; None when it does."""
        left, run = remaining(self._space, state), self._replay
        if left is None:
            return None
        rest = updates_left(run.settings, run.state, len(run.probes), len(run.decays))
        if rest <= left:
            return None
        return f"{max(left, 0)} updates are left of the budget, and the rest of the run needs {rest}"
