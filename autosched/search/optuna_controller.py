"""Any Optuna sampler as a controller, through ask and tell on an in-memory study rebuilt from the ledger.

There is no second database that could disagree: the Optuna study is a cache of ``state.log``. The sampler of every
ask is made afresh with a seed keyed by (study seed, trial), because Optuna does not store sampler random state: 15
trials, a crash and 15 more would differ from 30 in a row.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autosched.ledger.state import StudyState, TrialState, TrialStatus
from autosched.randomness import key
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.search import budget
from autosched.search.distinct import Listed, drawn_anew, tried_before
from autosched.search.optuna_options import SAMPLER_OPTIONS, check_options, made
from autosched.search.policy import Proposal
from autosched.search.priors import REMEMBERED, SAMPLER_DRAWS
from autosched.space import build_schedule, can_branch
from autosched.space.membership import active_parameters, contains, stated
from autosched.space.records import Choice, Component, FamilySpace, Fixed, Range, ScheduleSpec, Space

if TYPE_CHECKING:
    import optuna

_STATEFUL = frozenset({"qmc", "cmaes"})
"""Samplers that keep their state in the study's attributes: a rebuilt study must ask them again to get it back."""


def make_sampler(name: str, options: Mapping[str, Any], seed: int, sequence: int) -> optuna.samplers.BaseSampler:
    """An Optuna sampler by its name in a space file.

    Args:
        options: see :data:`~autosched.search.optuna_options.SAMPLER_OPTIONS`.
        seed: of this sampler's draws.
        sequence: the seed of all samplers of the study. A quasi-random sequence is one sequence: its scrambling must
            not change from ask to ask, while the parameters it leaves out must.

    Raises:
        SpaceError: an option the sampler does not have, or a value it refuses.
    """
    from optuna import samplers

    check_options(f"controller {name!r}", options, SAMPLER_OPTIONS[name])
    makers: Mapping[str, Any] = {
        "tpe": samplers.TPESampler,
        "gp": samplers.GPSampler,
        "random": samplers.RandomSampler,
        "qmc": samplers.QMCSampler,
        "cmaes": samplers.CmaEsSampler,
    }
    preset: Mapping[str, Mapping[str, Any]] = {
        "tpe": {"n_startup_trials": 5},
        "gp": {"n_startup_trials": 5, "deterministic_objective": False, "warn_independent_sampling": False},
        "qmc": {
            "seed": sequence % 2**31,
            "scramble": True,
            "independent_sampler": samplers.RandomSampler(seed=seed % 2**31),
            "warn_independent_sampling": False,
        },
        "cmaes": {"warn_independent_sampling": False},
    }
    sampler: optuna.samplers.BaseSampler = made(
        f"controller {name!r}", makers[name], {"seed": seed % 2**31, **preset.get(name, {}), **options}
    )
    return sampler


class OptunaController:
    """Proposes with an Optuna sampler.

    Pruned trials are told with the forecast of their final loss where the pruner made one; a diverged trial with the
    worst first evaluation seen (it is as good as untrained: Wortsman et al. 2023 clip the loss in the same way).

    Args:
        space: what is searched.
        component: sampler name and options.
        remembered: trials the sampler sees at least; the best and the latest are kept.
    """

    def __init__(self, space: Space, component: Component, *, remembered: int = REMEMBERED) -> None:
        self._space, self._component, self._remembered = space, component, remembered
        self._listed = Listed(space)
        self._stateful = component.name in _STATEFUL
        self._exhausted_at: int | None = None
        self._sampler(0)  # options are checked before anything is trained
        self._restart()

    def _restart(self) -> None:
        """Know nothing of any trial."""
        self._cursor = 0
        self._numbers: dict[int, int] = {}
        self._results: dict[int, float | None] = {}
        self._untrained = -math.inf
        self._asked: tuple[int, Proposal] | None = None
        self._study = self._new_study()

    def ask(self, state: StudyState) -> Proposal | None:
        """The sampler's choice for trial ``len(state.trials)``, a curve that no earlier trial has.

        None when the budget has no whole run left, and when the space has none: a list of candidates is used up, or
        whatever is drawn was tried before.
        """
        number = len(state.trials)
        if budget.closed(self._space, state) is not None or self._exhausted_at == number:
            return None
        if self._asked is not None and self._asked[0] == number and self._cursor == len(state.log):
            return self._asked[1]
        if self._asked is not None and not _taken_up(state, *self._asked):
            self._restart()
        self._catch_up(state)
        schedule = self._candidate(state, number) if self._listed else self._new_curve(state, number)
        if schedule is None:
            self._exhausted_at = number
            return None
        self._asked = number, Proposal(schedule=schedule, until=self._space.horizon_steps)
        return self._asked[1]

    def outcome(self, state: StudyState) -> str | None:
        """That the space is used up, when the budget is not."""
        closed = budget.closed(self._space, state)
        return "nothing is left to try: what is drawn anew was tried before" if closed is None else None

    def can_branch(self, schedule: Schedule, step: int) -> bool:
        """Where the space's own values make it possible."""
        return can_branch(self._space, schedule, step)

    def _candidate(self, state: StudyState, number: int) -> Schedule | None:
        left = self._listed.left(state)
        return self._settle_on_candidate(number, self._sample(number), left) if left else None

    def _new_curve(self, state: StudyState, number: int) -> Schedule | None:
        """What the sampler wants unless it was tried before; then what it wants at a further try, or a random point.

        Whether there is anything new is settled first, apart from the sampler and from what it has learned.
        """
        tried = tried_before(state, number)
        otherwise = drawn_anew(self._space, number, tried)
        if otherwise is None:
            return None
        for attempt in range(SAMPLER_DRAWS):
            schedule = build_schedule(self._space, self._sample(number, attempt))
            if schedule.fingerprint not in tried:
                return schedule
            self._drop(number)
        if not self._stateful:
            self._insert(number, otherwise)
        return build_schedule(self._space, otherwise)

    def _new_study(self) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))

    def _sampler(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        place = (number, attempt) if attempt else (number,)
        seed, sequence = key(self._space.seed, *place, "propose"), key(self._space.seed, "sequence", "propose")
        return make_sampler(self._component.name, self._component.options, seed, sequence)

    def _sample(self, number: int, attempt: int = 0) -> ScheduleSpec:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._study.sampler = self._sampler(number, attempt)
            trial = self._study.ask()
            spec = suggest(self._space, trial)
        self._numbers[number] = trial.number
        if not self._stateful:
            self._forget_draft(trial.number)
        return spec

    def _drop(self, number: int) -> None:
        """Take back what was sampled for a trial: samplers learn nothing from an Optuna trial that failed."""
        from optuna.trial import TrialState as OptunaState

        self._study.tell(self._numbers.pop(number), state=OptunaState.FAIL)

    def _settle_on_candidate(self, number: int, wanted: ScheduleSpec, left: list[ScheduleSpec]) -> Schedule:
        """The candidate to train instead; the Optuna study then has it in place of what the sampler wanted.

        A sampler with a state keeps what it wanted, because asking it again must give the same.
        """
        free = self._component.name == "random"
        spec = left[0] if free else self._listed.nearest(wanted, left)
        if not self._stateful:
            self._drop(number)
            self._insert(number, spec)
        return build_schedule(self._space, spec)

    def _forget_draft(self, number: int) -> None:
        """Leave of an asked trial what a rebuilt study has: its parameters. Samplers also note parameters they would
        have given it in another branch of the space, and read them while it runs; an empty text ends that note.
        """
        trial = self._study.get_trials(deepcopy=False)[number]
        for name in list(trial.system_attrs):
            self._study._storage.set_trial_system_attr(trial._trial_id, name, "")

    def _catch_up(self, state: StudyState) -> None:
        """Read the log from the cursor. What is done at an entry depends on the log up to it and on nothing later."""
        for kind, number, step, status, value, _ in state.log[self._cursor :]:
            trial = state.trials[number]
            if kind == "advanced" and trial.points and trial.points[0].step <= step:
                self._untrained = max(self._untrained, trial.points[0].loss)
            if trial.role == "confirm":
                continue
            if kind == "proposed":
                self._proposed(trial, state)
                if len(self._numbers) >= 1.5 * self._remembered:
                    self._forget()
            elif kind == "ended":
                self._results[number] = self._value(status, value)
                if self._is_told(number):  # it was resumed and ended again
                    self._take_back(number)
                self._tell(trial, status)
        self._cursor = len(state.log)

    def _proposed(self, trial: TrialState, state: StudyState) -> None:
        if self._asked is not None and self._asked[0] == trial.number:
            self._asked = None
            if self._stateful or trial.number in self._numbers:
                return
        if self._stateful and trial.role != "default":
            # ledgers older than the rule of one trial per curve may hold a curve twice
            if self._listed or trial.fingerprint in tried_before(state, trial.number):
                self._sample(trial.number)
            else:
                self._new_curve(state, trial.number)
            return
        self._insert(trial.number, trial.spec)

    def _insert(self, number: int, spec: ScheduleSpec) -> None:
        """Put a trial into the Optuna study as running; one outside the space (a user's default) is left out."""
        from optuna.distributions import BaseDistribution
        from optuna.trial import TrialState as OptunaState
        from optuna.trial import create_trial

        located = locate(self._space, spec)
        if located is None:
            return
        params, distributions = located
        typed: dict[str, BaseDistribution] = dict(distributions)
        self._study.add_trial(create_trial(state=OptunaState.RUNNING, params=dict(params), distributions=typed))
        self._numbers[number] = len(self._study.get_trials(deepcopy=False)) - 1

    def _value(self, status: TrialStatus, value: float | None) -> float | None:
        """The number the sampler is told for an ended trial; None when there is none."""
        if status == "diverged":
            return self._untrained if math.isfinite(self._untrained) else None
        return value

    def _is_told(self, number: int) -> bool:
        place = self._numbers.get(number)
        return place is not None and self._study.get_trials(deepcopy=False)[place].state.is_finished()

    def _take_back(self, number: int) -> None:
        """Make a trial running again in the Optuna study, which is done by making the study anew without its result."""
        from optuna.trial import TrialState as OptunaState
        from optuna.trial import create_trial

        trials = list(self._study.get_trials(deepcopy=False))
        told = trials[self._numbers[number]]
        trials[self._numbers[number]] = create_trial(
            state=OptunaState.RUNNING, params=told.params, distributions=told.distributions
        )
        self._replace_study(trials)

    def _replace_study(self, trials: Sequence[optuna.trial.FrozenTrial]) -> None:
        """A new Optuna study with these trials, in this order, and the attributes of the old one."""
        before, self._study = self._study, self._new_study()
        for name, value in before._storage.get_study_system_attrs(before._study_id).items():
            self._study._storage.set_study_system_attr(self._study._study_id, name, value)
        for trial in trials:
            self._study.add_trial(trial)

    def _tell(self, trial: TrialState, status: TrialStatus) -> None:
        from optuna.trial import TrialState as OptunaState

        number = self._numbers.get(trial.number)
        if number is None:
            return
        value = self._results[trial.number]
        if value is not None:
            self._study.tell(number, value)
        elif trial.points and status in {"reached", "pruned", "paused", "stopped"}:
            storage_id = self._study.get_trials(deepcopy=False)[number]._trial_id
            self._study._storage.set_trial_intermediate_value(storage_id, trial.step, trial.points[-1].loss)
            self._study.tell(number, state=OptunaState.PRUNED)
        else:
            self._study.tell(number, state=OptunaState.FAIL)

    def _forget(self) -> None:
        """Keep the running trials, the latest half of what is remembered, and the best of the others.

        A sampler with a state needs the trials that hold it: CMA-ES the latest, a quasi-random sequence the first one,
        which says what its coordinates are, and its place in the sequence, which is an attribute of the study.
        """
        trials, numbers = self._study.get_trials(deepcopy=False), self._numbers
        running = [n for n in numbers if n not in self._results]
        ended = sorted(n for n in numbers if n in self._results)
        half = self._remembered // 2
        older, rest = ended[:-half], self._remembered - half
        if self._stateful:
            first = [n for n in older if trials[numbers[n]].state.name in {"COMPLETE", "PRUNED"}][:1]
            chosen = [*first, *older[max(0, len(older) - rest + 1) :]]
        else:
            chosen = sorted(older, key=self._rank)[:rest]
        kept = sorted({*running, *ended[-half:], *chosen})
        self._replace_study([trials[numbers[number]] for number in kept])
        self._numbers = {number: place for place, number in enumerate(kept)}
        self._results = {number: value for number, value in self._results.items() if number in self._numbers}

    def _rank(self, number: int) -> tuple[float, int]:
        value = self._results[number]
        return (math.inf if value is None else value, number)


def _taken_up(state: StudyState, number: int, proposal: Proposal) -> bool:
    """Whether the study went on with what was proposed as its trial `number`."""
    if number >= len(state.trials):
        return False
    trial = state.trials[number]
    return trial.role == proposal.role and trial.fingerprint == proposal.schedule.fingerprint


def suggest(space: Space, trial: optuna.trial.Trial) -> ScheduleSpec:
    """Draw one point of `space` from an Optuna trial, conditions respected."""
    names = [family.family for family in space.schedule]
    name = names[0] if len(names) == 1 else str(trial.suggest_categorical("family", names))
    return ScheduleSpec(family=name, params=_suggest_family(space, space.family(name), trial))


def _label(space: Space, family: str, name: str) -> str:
    """What Optuna calls a parameter: all families share a hyperparameter."""
    return name if name in space.hyperparameters else f"{family}.{name}"


def _suggest_family(space: Space, family: FamilySpace, trial: optuna.trial.Trial) -> dict[str, ParameterValue]:
    params: dict[str, ParameterValue] = {}
    for name, parameter in family.parameters.items():
        if not parameter.exists(params):
            continue
        domain = parameter.domain
        label = _label(space, family.family, name)
        if isinstance(domain, Fixed):
            params[name] = domain.value
        elif isinstance(domain, Choice):
            params[name] = domain.values[int(trial.suggest_categorical(label, tuple(range(len(domain.values)))))]
        elif domain.integer:
            params[name] = trial.suggest_int(label, int(domain.low), int(domain.high), log=domain.log)
        else:
            params[name] = trial.suggest_float(label, domain.low, domain.high, log=domain.log)
    return params


def locate(space: Space, spec: ScheduleSpec) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """A point's Optuna parameters and distributions; None when the point lies outside the space."""
    from optuna.distributions import CategoricalDistribution

    if not contains(space, spec):
        return None
    names = [family.family for family in space.schedule]
    params: dict[str, Any] = {}
    distributions: dict[str, Any] = {}
    if len(names) > 1:
        params["family"], distributions["family"] = spec.family, CategoricalDistribution(names)
    family = space.family(spec.family)
    point = stated(family, spec.params)
    for name, parameter in active_parameters(family, point).items():
        if not isinstance(parameter.domain, Fixed):
            label = _label(space, spec.family, name)
            params[label], distributions[label] = _coordinate(parameter.domain, point[name])
    return params, distributions


def _coordinate(domain: Range | Choice, value: ParameterValue) -> tuple[Any, Any]:
    """A value of a domain as Optuna's value and distribution."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return domain.values.index(value), CategoricalDistribution(tuple(range(len(domain.values))))
    if domain.integer:
        return int(value), IntDistribution(int(domain.low), int(domain.high), log=domain.log)  # type: ignore[arg-type]
    return float(value), FloatDistribution(domain.low, domain.high, log=domain.log)  # type: ignore[arg-type]
