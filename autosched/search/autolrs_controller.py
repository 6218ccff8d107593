"""AutoLRS on the engine: probes are trials, all from one checkpoint, and so on all workers at once.

What to train next is the state machine's matter (:mod:`autosched.search.autolrs.machine`), which trial that means is
read from the log (:mod:`autosched.search.autolrs_replay`). As probes share the committed run exactly, the prefix store
trains it once; the winner is thawed, so its probe is the beginning of its stage. The decay of a probe is a trial that
goes on from the probe's end and is paused for good. With several workers the LRs that are
being tried count as if they had turned out as expected (constant liar).

The budget: what the run with all its probes needs is known beforehand, and checked when the space is read. Only a
winner that diverges after its probe costs more; when the rest no longer fits, the run ends there and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from autosched.ledger.events import StageAdvanced
from autosched.ledger.records import Decision
from autosched.ledger.state import StudyState
from autosched.search.autolrs import Failed, Finished, Work, ask
from autosched.search.autolrs_replay import Replay
from autosched.search.autolrs_space import proposal, updates_left
from autosched.search.protocols import Proposal, Thaw
from autosched.space.records import Space


class AutoLrsController:
    """Proposes probes, thaws winners. A function of the study's state; its replay of the log is a cache.

    Raises:
        SpaceError: an option or the schedule has a fault.
    """

    counts_prefixes: ClassVar[bool] = True

    def __init__(self, space: Space) -> None:
        self._space, self._replay = space, Replay(space)

    def ask(self, state: StudyState) -> Proposal | Thaw | None:
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
            reason = f"LR {work.lr:.4g} won stage {work.stage}"
            return Thaw(trial=run.probes[work.probe], reason=reason, until=work.stop)
        if work.kind == "probe" and run.over and work.lr == run.over[-1].lr:
            reason = f"the LR of stage {run.over[-1].stage} is tried in stage {work.stage}"
            return Thaw(trial=run.over[-1].trial, reason=reason, until=work.stop)
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

    def decide(self, state: StudyState, trial: int) -> Decision:
        """Whether a running trial has what it was started for."""
        run = self._caught_up(state)
        work = run.open.get(trial)
        if work is not None:
            what = {"probe": f"probe {work.probe}", "decay": f"decay of probe {work.probe}"}.get(work.kind, work.kind)
            return Decision(action="keep", reason=f"{what} of stage {work.stage}, to update {work.stop}")
        if run.over and run.over[-1].step == state.trials[trial].step:
            return Decision(action="pause", reason=f"stage {run.over[-1].stage} is committed")
        return Decision(action="pause", reason=self._probe_text(run, trial))

    def thaw(self, state: StudyState) -> None:
        """Winners are thawed by :meth:`ask`."""

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
        steps, run = self._space.search_steps, self._replay
        if steps is None:
            return None
        rest = updates_left(run.settings, run.state, len(run.probes), len(run.decays))
        free = steps - state.steps_scheduled - sum(self._promised(state, number) for number in state.active)
        if rest <= free:
            return None
        return f"{max(free, 0)} updates are left of the budget, and the rest of the run needs {rest}"

    def _promised(self, state: StudyState, number: int) -> int:
        """Updates of a running trial that are not scheduled yet."""
        trial, work = state.trials[number], self._replay.open.get(number)
        stop = self._space.horizon_steps if work is None else work.stop
        return max(stop - max(trial.step, trial.pending_stop), 0)
