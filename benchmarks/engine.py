"""Engine overhead beside `ray.tune.Tuner`, worker utilisation, and cost per trial as a study grows.

    python benchmarks/engine.py [--json] [--quick]

Three parts, all with the simulated trainer, so that what is measured is the engine and not the model:

overhead     trivial segments through Ray with 2 workers: seconds per segment, own loop beside Tune (same trials, same
             number of reports, `reuse_actors=True`), in the same run; the ratio is what counts on a shared machine.
utilisation  segments of 2 s: the share of the workers' time that is spent training.
growth       driver's time to ask, commit, fold and settle one trial, around trial 100 and around trial 10,000; and
             the time to fold the ledger again, per event. Flat means within 2x.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from autosched.engine.assembly import make_loop
from autosched.engine.backend import Backend
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.ledger.events import Stamped, StudyCreated, TrialEnded
from autosched.ledger.fold import fold
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import (
    Budget,
    Component,
    FamilySpace,
    Range,
    Resources,
    SearchParameter,
    Space,
    Storage,
    TrainerSpec,
    space_to_json,
)
from autosched.study.run import RunOptions, make_backend
from workers.registry import make_trainer

SEGMENT = 10
"""Updates per segment in all parts."""


def space_for(folder: Path, *, trials: int, segments: int, workers: int, pace: float, controller: str) -> Space:
    """Cosine schedules whose peak is searched: no two trials share anything."""
    domain = Range(low=1e-3, high=1e-1, log=True)
    return Space(
        study="bench",
        seed=0,
        trainer=TrainerSpec(use="simulated", options={"seconds_per_step": pace}),
        horizon_steps=SEGMENT * segments,
        eval_every=SEGMENT,
        checkpoint_every=SEGMENT,
        schedule=(FamilySpace(family="cosine", parameters={"peak_lr": SearchParameter(domain=domain)}),),
        controller=Component(name=controller),
        pruner=Component(name="none"),
        budget=Budget(trials=trials),
        resources=Resources(workers=workers),
        storage=Storage(ledger=f"sqlite:///{folder}/bench.db", checkpoints=str(folder / "checkpoints")),
    )


@dataclasses.dataclass(slots=True)
class Clock:
    """When each trial ended."""

    ended: list[float] = dataclasses.field(default_factory=list)

    def seen(self, state: StudyState, stamped: Stamped) -> None:
        if isinstance(stamped.event, TrialEnded):
            self.ended.append(time.perf_counter())


def run(space: Space, backend: Backend, clock: Clock) -> StudyState:
    """One study on a backend that is up already."""
    ledger = Ledger(space.storage.ledger)
    ledger.append(space.study, 0, [StudyCreated(space=space_to_json(space), versions={})])
    journal = Journal(ledger, space.study, [clock.seen])
    make_loop(space, ledger, journal, backend).run()
    ledger.close()
    return journal.state


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def overhead(*, trials: int, segments: int) -> dict[str, float]:
    """Seconds per trivial segment: our loop, and Tune doing the same work."""
    with folder() as place, ExitStack() as stack:
        space = space_for(place, trials=trials, segments=segments, workers=2, pace=0.0, controller="random")
        backend = make_backend(space, RunOptions(backend="ray"))
        stack.callback(backend.close)
        # One warm-up study, so that starting the actors is not counted (Tune's start is not counted either).
        warm = dataclasses.replace(space, study="warm", budget=Budget(trials=2), seed=99)
        run(warm, backend, Clock())
        started = time.perf_counter()
        state = run(space, backend, Clock())
        ours = time.perf_counter() - started
        assert state.finished is not None
        own = state.finished.stats["overhead_ms_per_segment"]
    theirs = tune_seconds(trials=trials, segments=segments)
    count = trials * segments
    return {
        "segments": count,
        "autosched_ms_per_segment": 1e3 * ours / count,
        "autosched_driver_ms_per_segment": own,
        "tune_ms_per_segment": 1e3 * theirs / count,
        "tune_over_autosched": theirs / ours,
    }


def tune_seconds(*, trials: int, segments: int) -> float:
    """Seconds for the same trials and reports through `ray.tune.Tuner(reuse_actors=True)`, from its first trial on."""
    import ray
    from ray import tune

    class Proxy(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            from autosched.schedules import build

            horizon = SEGMENT * segments
            self.lrs = build("cosine", {"peak_lr": new_config["peak_lr"]}, steps=horizon).lrs
            self.trainer = make_trainer("simulated", {}, 0, horizon)
            self.trainer.start()
            return True

        def step(self) -> dict[str, float]:
            done = self.trainer.step
            self.trainer.train(self.lrs[done : done + SEGMENT])
            return {"loss": self.trainer.evaluate()}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            with (Path(checkpoint_dir) / "state").open("wb") as file:
                self.trainer.save(file)

        def load_checkpoint(self, checkpoint: str) -> None:
            with (Path(checkpoint) / "state").open("rb") as file:
                self.trainer.load(file)

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        with folder() as place:
            first: list[float] = []

            class Stopwatch(tune.Callback):
                def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
                    first.append(time.perf_counter())

            tuner = tune.Tuner(
                tune.with_resources(Proxy, {"cpu": 1}),
                param_space={"peak_lr": tune.loguniform(1e-3, 1e-1)},
                tune_config=tune.TuneConfig(
                    metric="loss", mode="min", num_samples=trials, reuse_actors=True, max_concurrent_trials=2
                ),
                run_config=tune.RunConfig(
                    storage_path=str(place),
                    stop={"training_iteration": segments},
                    verbose=0,
                    callbacks=[Stopwatch()],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2),
                ),
            )
            with redirect_stdout(sys.stderr):  # Tune draws its tables on stdout
                results = tuner.fit()
            assert len(results) == trials
            return time.perf_counter() - first[0]
    finally:
        ray.shutdown()


def utilisation(*, trials: int, segments: int, seconds: float) -> dict[str, float]:
    """Share of the workers' time that is training, with segments of `seconds`."""
    with folder() as place, ExitStack() as stack:
        pace = seconds / SEGMENT
        space = space_for(place, trials=trials, segments=segments, workers=2, pace=pace, controller="tpe")
        backend = make_backend(space, RunOptions(backend="ray"))
        stack.callback(backend.close)
        state = run(space, backend, Clock())
        assert state.finished is not None
        return {"segment_seconds": seconds, "segments": trials * segments, **state.finished.stats}


def growth(*, early: int, late: int, window: int, controller: str) -> dict[str, float]:
    """Milliseconds per trial around trial `early` and around trial `late`, and per event of a fold at both sizes."""
    with folder() as place:
        trials = late + window
        space = space_for(place, trials=trials, segments=1, workers=1, pace=0.0, controller=controller)
        clock = Clock()
        run(space, LocalBackend(make_trainer), clock)

        def per_trial(at: int) -> float:
            return 1e3 * (clock.ended[at + window - 1] - clock.ended[at]) / (window - 1)

        events = list(Ledger(space.storage.ledger).read(space.study))
        few = next(i for i, s in enumerate(events) if isinstance(s.event, TrialEnded) and s.event.trial == early)

        def per_event(count: int) -> float:
            repeats = max(1, 20_000 // count)
            # timeit switches the garbage collector off; the least of five is what other processes disturbed least
            seconds = min(timeit.repeat(lambda: fold(space.study, events[:count]), number=repeats, repeat=5))
            return 1e6 * seconds / (repeats * count)

        ms = {"early": per_trial(early), "late": per_trial(late)}
        us = {"early": per_event(few), "late": per_event(len(events))}
    return {
        "early_trial": early,
        "late_trial": late,
        "early_ms_per_trial": ms["early"],
        "late_ms_per_trial": ms["late"],
        "late_over_early": ms["late"] / ms["early"],
        "early_fold_us_per_event": us["early"],
        "late_fold_us_per_event": us["late"],
        "fold_late_over_early": us["late"] / us["early"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a first look")
    arguments = parser.parse_args()
    small = arguments.quick
    results = {
        "overhead": overhead(trials=8 if small else 40, segments=10),
        "utilisation": utilisation(trials=2 if small else 6, segments=5, seconds=2.0),
        "growth_random": growth(early=100, late=1000 if small else 10_000, window=100, controller="random"),
        "growth_tpe": growth(early=100, late=1000 if small else 10_000, window=100, controller="tpe"),
    }
    if arguments.json:
        json.dump(results, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    for part, numbers in results.items():
        print(part)
        for name, value in numbers.items():
            print(f"  {name:<34} {value:12.3f}")


if __name__ == "__main__":
    main()
