"""Faults as a programmer makes them, each with the tests that should see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOOP, PREFIX = "tests/engine/test_loop.py", "tests/engine/test_every_prefix.py"
DIES = f"{LOOP}::test_a_driver_that_dies_after_any_event_changes_nothing"
SEEDS = f"{LOOP}::test_finalists_and_default_are_confirmed_on_the_same_fresh_seeds"
STORM = f"{LOOP}::test_dead_workers_and_lost_checkpoints_change_nothing"
AGAIN = f"{LOOP}::test_a_second_study_reuses_the_first_ones_work_and_proposes_the_same"
LEDGER, EXECUTE = ("tests/engine/test_fold.py", "tests/ledger", LOOP), ("tests/engine/test_execute.py", LOOP)
LAWS = ("tests/laws/test_multi_power.py", "tests/laws/test_functional.py", "tests/laws/test_fit.py", "tests/laws")
EXPORTS = ("tests/schedules/exports/test_sources.py", "tests/schedules/test_schedule_export.py", "tests/schedules")
YAML = ("tests/space/test_space_faults.py", "tests/space/test_space_values.py", "tests/space")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `old` becomes `new` in `file`, and one of `tests` should see it.

    Attributes:
        other: further (file, old, new), for versions in which the code reads otherwise; the first that fits counts.
        earlier: the file in which the same text stands in earlier versions.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    other: tuple[tuple[str, str, str], ...] = ()
    earlier: str = ""

    def planted(self, tree: Path) -> tuple[Path, str, str]:
        """The file of `tree` that the fault stands in, what it holds, and what it would hold with the fault.

        Raises:
            ValueError: none of its texts is there exactly once.
        """
        same = [(file, self.old, self.new) for file in (self.file, self.earlier) if file]
        for file, old, new in (*same, *self.other):
            path = tree / file
            text = path.read_text() if path.exists() else ""
            if text.count(old) == 1:
                return path, text, text.replace(old, new)
        raise ValueError(f"{self.name}: no text of it is there exactly once")


FAULTS = (
    # -- the loop, its budget and its confirmations
    Fault(
        "loop: a segment is due as if its trial began with it",
        "autosched/engine/loop.py",
        "due = max(state.clock, trial.due) + stop - trial.step",
        "due = max(state.clock, trial.due) + stop",
        ("tests/engine/test_autolrs_study.py::test_workers_probe_side_by_side", LOOP),
    ),
    Fault(
        "loop: of trials that are due together the youngest goes first",
        "autosched/engine/loop.py",
        "key=lambda head: (head.due, head.trial), default",
        "key=lambda head: (head.due, -head.trial), default",
        (f"{LOOP}::test_of_trials_that_are_due_together_the_oldest_is_settled_first", LOOP),
    ),
    Fault(
        "loop: a driver that died before a decision never makes it",
        "autosched/engine/loop.py",
        "        self._judge_unjudged()\n",
        "",
        (PREFIX, DIES),
    ),
    Fault(
        "loop: a complete trial is worth the first loss of its last segment",
        "autosched/engine/loop.py",
        "value=seen.points[-1].loss",
        "value=seen.points[0].loss",
        (LOOP,),
        other=(("autosched/engine/loop.py", "value = outcome.points[-1].loss", "value = outcome.points[0].loss"),),
    ),
    Fault(
        "loop: minutes of the budget are hours",
        "autosched/engine/budget.py",
        "seconds >= 60 * budget.minutes",
        "seconds >= 3600 * budget.minutes",
        (f"{LOOP}::test_the_budget_in_minutes_stops_running_trials", LOOP),
        other=(("autosched/search/budget.py", "seconds >= 60 * budget.minutes", "seconds >= 3600 * budget.minutes"),),
    ),
    Fault(
        "loop: every confirming run has the same seed",
        "autosched/engine/confirm.py",
        'key(space.seed, index, "confirm")',
        'key(space.seed, 0, "confirm")',
        (SEEDS, LOOP),
    ),
    Fault(
        "loop: the worst trials are confirmed",
        "autosched/engine/confirm.py",
        "key=lambda trial: (trial.value or 0.0, trial.number)",
        "key=lambda trial: (-(trial.value or 0.0), trial.number)",
        (SEEDS, LOOP),
    ),
    # -- the fold
    Fault(
        "fold: of equal trials the later one is the best",
        "autosched/ledger/fold.py",
        "or event.value < best.value:",
        "or event.value <= best.value:",
        LEDGER,
        earlier="autosched/ledger/state.py",
    ),
    Fault(
        "fold: the clock goes back",
        "autosched/ledger/fold.py",
        "    state.clock = max(state.clock, at)\n",
        "    state.clock = at\n",
        LEDGER,
        earlier="autosched/ledger/state.py",
    ),
    Fault(
        "fold: shared updates are counted from the start of the run",
        "autosched/ledger/fold.py",
        "trial.steps_shared += event.step - trial.step",
        "trial.steps_shared += event.step",
        (f"{LOOP}::test_cooldowns_over_one_peak_train_their_prefix_once", *LEDGER),
        earlier="autosched/ledger/state.py",
    ),
    Fault(
        "fold: what was taken from another study counts as trained",
        "autosched/ledger/fold.py",
        "state.steps_trained += seen.trained",
        "state.steps_trained += seen.stop - seen.start",
        (AGAIN, *LEDGER),
        earlier="autosched/ledger/state.py",
    ),
    Fault(
        "fold: a missing event is not noticed",
        "autosched/ledger/fold.py",
        "if stamped.number != state.events:",
        "if stamped.number < state.events:",
        LEDGER,
        earlier="autosched/ledger/state.py",
    ),
    # -- the dispatcher and the execution of segments
    Fault(
        "dispatcher: a result of another study is taken whatever it evaluated",
        "autosched/engine/dispatcher.py",
        "return needed <= {point.step for point in known.points}",
        "return True",
        (f"{LOOP}::test_a_second_study_that_cuts_elsewhere_sees_every_evaluation", LOOP),
    ),
    Fault(
        "dispatcher: one retry too few",
        "autosched/engine/dispatcher.py",
        "tries <= self.space.resources.retries:",
        "tries < self.space.resources.retries:",
        (f"{LOOP}::test_a_trial_that_always_fails_is_failed_with_its_reason_after_the_retries", LOOP),
    ),
    Fault(
        "dispatcher: evaluations before the segment are reported again",
        "autosched/engine/dispatcher.py",
        "report_from=order.start,",
        "report_from=load,",
        (STORM, LOOP),
    ),
    Fault(
        "dispatcher: a damaged checkpoint is loaded again",
        "autosched/engine/dispatcher.py",
        "            if identity in self._doubtful:\n",
        "            if not identity:\n",
        ("tests/cli/test_bad_places.py::test_a_damaged_checkpoint_is_trained_again", STORM, LOOP),
    ),
    Fault(
        "execution: the model in memory is used for whatever comes",
        "autosched/engine/execute.py",
        "(state != segment.load_id or not state):",
        "not state:",
        EXECUTE,
        other=(("autosched/engine/execute.py", "elif state != segment.load_id or not state:", "elif not state:"),),
    ),
    Fault(
        "execution: an interrupted segment leaves a model that claims its start",
        "autosched/engine/execute.py",
        '        self._held.state = ""\n',
        "",
        EXECUTE,
    ),
    Fault(
        "execution: a checkpoint of a later update is accepted",
        "autosched/engine/execute.py",
        "    if trainer.step != step:",
        "    if trainer.step < step:",
        EXECUTE,
    ),
    # -- laws
    Fault(
        "laws: a derivative of the multi-power law has the wrong sign",
        "autosched/laws/multi_power.py",
        "-lr_power * prepared.sum_rows(by_log_speed",
        "lr_power * prepared.sum_rows(by_log_speed",
        LAWS,
    ),
    Fault(
        "laws: drops pay two percent less",
        "autosched/laws/multi_power.py",
        "return drop * prepared.sum_rows(",
        "return 0.98 * drop * prepared.sum_rows(",
        LAWS,
    ),
    Fault(
        "laws: the functional law reads LRs half an update late",
        "autosched/laws/functional.py",
        "for share in (*_GAUSS, 0.5)]) - 0.5",
        "for share in (*_GAUSS, 0.5)])",
        LAWS,
    ),
    Fault(
        "laws: Huber's function jumps",
        "autosched/laws/robust.py",
        "delta * (size - 0.5 * delta)",
        "delta * size",
        LAWS,
    ),
    Fault(
        "laws: the noise of the best run is forgotten when a run is judged",
        "autosched/search/law_rule.py",
        "sd = math.hypot(found.log_sd, best_sd)",
        "sd = found.log_sd",
        ("tests/search/test_law_rule.py", "tests/search/test_law_pruner.py", "tests/search"),
        other=(("autosched/search/law_rule.py", "loss_sd=best_sd", "loss_sd=0.0"),),
    ),
    # -- exports and schedules
    Fault(
        "exports: a source's last update of every plateau is missing",
        "autosched/schedules/exports/source_text.py",
        "for lr, count in RUNS for _ in range(count)]",
        "for lr, count in RUNS for _ in range(max(count - 1, 1))]",
        EXPORTS,
    ),
    Fault(
        "exports: torch's parameter groups lose their ratio",
        "autosched/schedules/exports/torch_source.py",
        'keeps every bit of it.\n        group["initial_lr"] = float(group["lr"]) / reference',
        'keeps every bit of it.\n        group["initial_lr"] = 1.0',
        EXPORTS,
    ),
    Fault(
        "schedules: the square-root cooldown is a linear one at its end",
        "autosched/schedules/progress.py",
        "progress.left / (1 + np.sqrt(progress.done))",
        "progress.left / (1 + progress.done)",
        ("tests/schedules/test_family_formulas.py", "tests/schedules/test_schedule_parts.py", "tests/schedules"),
    ),
    # -- the YAML reader
    Fault(
        "yaml: any whole number is large enough",
        "autosched/space/section.py",
        "not isinstance(value, bool) and at_least <= value <= at_most:",
        "not isinstance(value, bool) and 0 <= value <= at_most:",
        YAML,
        other=(
            (
                "autosched/space/section.py",
                "not isinstance(value, bool) and at_least <= value <= MAX_COUNT:",
                "not isinstance(value, bool) and 0 <= value <= MAX_COUNT:",
            ),
        ),
    ),
    Fault(
        "yaml: zero is above zero",
        "autosched/space/section.py",
        "(value > 0 or (value == 0 and not above_zero))",
        "value >= 0",
        YAML,
    ),
    Fault(
        "yaml: of several faults that on the highest line is told",
        "autosched/space/section.py",
        "place, fault = min(located,",
        "place, fault = max(located,",
        YAML,
    ),
)
