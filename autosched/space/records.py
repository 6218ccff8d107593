"""A search space as typed data; made by :mod:`autosched.space.yaml_file`, stored in the ledger, read by everything.

The records are plain and frozen. One that was built by hand is checked where a study begins: the ledger keeps it as
JSON, and reading that makes the checks of a YAML file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from autosched.curves.range_test import Sweep
from autosched.schedules.schedule import ParameterValue
from autosched.space.trainer_spec import TrainerSpec
from autosched.space.warm_start import WarmStart

Order = Literal["virtual", "arrival"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A parameter that is not searched."""

    value: ParameterValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number between `low` and `high`, both included.

    Attributes:
        log: search the logarithm.
        integer: only whole numbers.
        auto_low, auto_high: an LR range test finds this bound when the study starts; until then the family's own search
            bound stands in its place, see :mod:`autosched.space.auto_bounds`.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    auto_low: bool = False
    auto_high: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values."""

    values: tuple[ParameterValue, ...]


Domain = Fixed | Range | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """A parameter's domain and when it exists.

    Attributes:
        when: another parameter's name -> the values it must have; empty means always.
    """

    domain: Domain
    when: Mapping[str, tuple[ParameterValue, ...]] = field(default_factory=dict)

    def exists(self, params: Mapping[str, Any]) -> bool:
        """Whether a point with these values so far has the parameter."""
        return all(params.get(other) in values for other, values in self.when.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySpace:
    """One competing schedule family and the domains of its parameters, in the order they are drawn."""

    family: str
    parameters: Mapping[str, SearchParameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """A family with all its parameters, and the hyperparameters: one point of a space."""

    family: str
    params: Mapping[str, ParameterValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A controller or pruner by name, with options (JSON values)."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWhen:
    """When a search ends before its limits do.

    Attributes:
        gain_below: no run is expected to end so much below the best complete one, nats. By the calibrated forecasts of
            ``controller: law``, which alone has them.
    """

    gain_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of the search; whichever is met first ends it. None means no limit.

    Attributes:
        trials: search trials, the default's trial included.
        steps, full_runs: updates in total; `full_runs` counts them in horizons, the smaller of both becomes `steps`.
        minutes: wall-clock minutes of the driver; what runs then is stopped, hung trainers too.
        worker_seconds: busy seconds summed over workers.
        stop_when: what one more run must be worth; beside a limit.
    """

    trials: int | None = None
    steps: int | None = None
    minutes: float | None = None
    worker_seconds: float | None = None
    stop_when: StopWhen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the workers get.

    Attributes:
        workers: segments trained at the same time.
        cpus: cores per worker (also its torch threads).
        gpus: GPUs per worker, a share up to 1 or a whole number. Bookkeeping only: nothing stops a worker from using
            more memory.
        retries: how often a segment is tried again after an error or a dead worker.
        order: in which results are decided about. ``virtual`` counts updates, whoever was first: the study is the same
            on every machine, and fast workers wait for slow ones. ``arrival`` takes them as they come: nobody waits,
            and another run of the study may decide otherwise. Default: ``arrival`` for a study that is begun on a
            cluster (with an address, or submitted), else ``virtual``.
    """

    workers: int = 1
    cpus: float = 1
    gpus: float = 0
    retries: int = 2
    order: Order | None = None

    @property
    def by_arrival(self) -> bool:
        """Whether results are decided about as they come."""
        return self.order == "arrival"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where things are kept. A folder that is not absolute is beside the ledger, so that a study can be moved.

    Attributes:
        ledger: an SQLAlchemy URL, of SQLite or PostgreSQL.
        checkpoints: a folder, or any fsspec URL.
        checkpoints_gib: size above which old checkpoints are dropped first.
        reports: the folder in which every study has one.
    """

    ledger: str = "sqlite:///autosched.db"
    checkpoints: str = ".autosched/checkpoints"
    checkpoints_gib: float = 4.0
    reports: str = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """The MLflow store.

    Attributes:
        uri: a database or a server's URL; a SQLite file as seen from the ledger's folder; ``none`` (or in place of the
            mapping) switches tracking off.
        experiment: its name in the store.
    """

    uri: str = "sqlite:///mlflow.db"
    experiment: str = "autosched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """After the search the best trials and the default are trained again on fresh seeds.

    Attributes:
        finalists: how many of the best trials.
        seeds: fresh seeds of each; 0 for no confirming runs.
        in_budget: whether the budget in updates pays for these runs, so that the search has fewer updates; else they
            come on top of it.
    """

    finalists: int = 1
    seeds: int = 0
    in_budget: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The training that the study's runs stand for.

    Attributes:
        steps: its updates; None where they are those of the study's runs, as batch and width.
        batch, width: what one of its updates sees, and the width of its hidden layers.
        from_batch, from_width: the same of the study's runs; the trainer's options where they are not given.
        rungs: studies of the same ledger at smaller horizons or widths, to which a rule is fitted, see
            :mod:`autosched.transfer.ladder`.
    """

    steps: int | None = None
    batch: float | None = None
    width: float | None = None
    from_batch: float | None = None
    from_width: float | None = None
    rungs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """A whole study as data.

    Attributes:
        study: its name in the ledger and the tracker.
        seed: of the search, and of the training runs it compares.
        trainer: what trains, a mapping of `use` and `with`.
        objective: of a trainer with several validation losses the one that schedules are judged by: its name, or
            weights by name, as ``{new: 0.7, old: 0.3}``, whose weighted sum it is; the first one without it.
        horizon_steps: updates of a full run.
        eval_every: updates between evaluations.
        checkpoint_every: updates between checkpoints (pruning decisions and branch points), a multiple of `eval_every`.
        schedule: families that compete, each with its parameters and then the hyperparameters.
        hyperparameters: options of the trainer that are searched beside the schedule.
        groups: LRs of groups of weights over the schedule's, as ``{embeddings: {lr_ratio: …}}``; no field of its own,
            but the hyperparameter ``embeddings_lr_ratio``.
        candidates: when not empty, the only schedules that may be proposed; `schedule` then has their values.
        default: what would have been used without tuning; trained first and the report's baseline.
        controller, pruner: what proposes trials, and what says whether one goes on; a name, or a mapping of `use` and
            options.
        budget: limits of the search; whichever is met first ends it.
        resources: what the workers get.
        storage: where ledger, checkpoints and reports are kept.
        tracking: where runs are shown, a mapping or ``none``.
        confirm: runs on fresh seeds after the search, which measure the gain over the default.
        range_test: the sweep that finds bounds that are ``auto``; not run when none is.
        warm_start: old runs that the search begins with.
        target: the training that the winner is carried over to; None for the study's own.
    """

    study: str
    seed: int
    trainer: TrainerSpec
    horizon_steps: int
    eval_every: int
    checkpoint_every: int
    schedule: tuple[FamilySpace, ...]
    default: ScheduleSpec | None = None
    controller: Component = Component(name="law")
    pruner: Component = Component(name="law")
    budget: Budget = Budget(trials=20)
    resources: Resources = Resources()
    storage: Storage = Storage()
    tracking: Tracking = Tracking()
    confirm: Confirm = Confirm()
    candidates: tuple[ScheduleSpec, ...] = ()
    range_test: Sweep = field(default_factory=Sweep)
    warm_start: tuple[WarmStart, ...] = ()
    target: Target | None = None
    hyperparameters: Mapping[str, SearchParameter] = field(default_factory=dict)

    @property
    def objective(self) -> Mapping[str, float]:
        """Weights of the trainer's validation losses, by name; empty for its only or first one."""
        return self.trainer.objective

    @property
    def search_steps(self) -> int | None:
        """Updates that the search may use: the budget's, less those kept for confirming runs; None without a limit."""
        kept = self.confirming_steps if self.confirm.in_budget else 0
        return None if self.budget.steps is None else self.budget.steps - kept

    @property
    def confirming_steps(self) -> int:
        """Updates of the confirming runs, when the search leaves as many finalists as there should be."""
        schedules = self.confirm.finalists + (self.default is not None)
        return self.confirm.seeds * schedules * self.horizon_steps

    def family(self, name: str) -> FamilySpace:
        """The space of one family; without parameters when it does not compete, as a default's or AutoLRS's may."""
        found = (candidate for candidate in self.schedule if candidate.family == name)
        return next(found, FamilySpace(family=name, parameters={}))
