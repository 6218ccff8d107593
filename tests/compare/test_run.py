"""Comparisons that really run, on the simulated trainer and in this process."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from pathlib import Path

import pytest

from autosched.compare.method import parse_methods
from autosched.compare.plan import Job, Terms, algoperf_terms, equal_updates, plan
from autosched.compare.run import Means, read_trace, run_job, run_jobs
from autosched.errors import StudyError, UsageError
from autosched.ledger.events import TrialEnded
from autosched.ledger.store import Ledger
from autosched.space import load_space
from autosched.space.records import Space
from autosched.study.run import RunOptions, make_backend
from autosched.study.start import CHECKS

SPACE = Path(__file__).parents[2] / "search_spaces" / "wsd.yaml"
MEANS = Means(make_backend=partial(make_backend, options=RunOptions(backend="local")), quiet=True)


@pytest.fixture
def space() -> Space:
    changes = ["trainer={use: simulated}", "horizon_steps=60", "eval_every=6", "checkpoint_every=12"]
    warmups = ["schedule.wsd.warmup_steps=6", "default.wsd.warmup_steps=6", "controller=random", "pruner=none"]
    return load_space(SPACE, [*changes, *warmups])


def jobs_of(space: Space, folder: Path, listed: str, terms: Terms) -> tuple[Job, ...]:
    return plan(space, parse_methods(listed, [], space), terms, folder, CHECKS)


def test_every_study_spends_its_budget_and_no_more(space: Space, tmp_path: Path) -> None:
    jobs = jobs_of(space, tmp_path, "random+none,tpe+median", equal_updates(space, full_runs=3, seeds=2))
    traces = run_jobs(jobs, MEANS)
    assert [(trace.method, trace.seed) for trace in traces] == [(job.method, job.seed) for job in jobs]
    assert all(trace.spent <= 180 for trace in traces)
    random = traces[0]
    assert [end.spent for end in random.ends] == [60, 120, 180]
    assert (random.spent, len(random.curves)) == (180, 3)
    assert random.best == min(end.loss for end in random.ends)
    assert random.chosen is not None
    assert random.chosen.family == "wsd"
    assert random.fresh == {}


def test_studies_begin_with_the_same_default_and_share_nothing(space: Space, tmp_path: Path) -> None:
    jobs = jobs_of(space, tmp_path, "random+none,tpe+none", equal_updates(space, full_runs=2, seeds=1))
    random, tpe = run_jobs(jobs, MEANS)
    assert random.curves[0] == tpe.curves[0]
    for job in jobs:
        state = job.state()
        assert state is not None
        assert state.steps_trained == 120
        assert not (job.folder / "checkpoints").exists()  # nothing goes on from a finished study


def test_what_is_finished_is_not_trained_again_and_more_methods_may_join(space: Space, tmp_path: Path) -> None:
    terms = equal_updates(space, full_runs=2, seeds=1)
    news: list[str] = []
    means = dataclasses.replace(MEANS, tell=news.append)
    (first,) = run_jobs(jobs_of(space, tmp_path, "random+none", terms), means)
    events = (tmp_path / "studies" / "random-none-0" / "ledger.db").read_bytes()
    again, joined = run_jobs(jobs_of(space, tmp_path, "random+none,tpe+none", terms), means)
    assert again == first
    assert joined.method == "tpe+none"
    assert (tmp_path / "studies" / "random-none-0" / "ledger.db").read_bytes() == events
    assert news[0].endswith(f"1 of 1: random+none, seed 0: best loss {first.best:.4f}; 2.0 full runs, 2 trials")
    assert news[1] == "1 of 2 studies are finished already"
    assert "2 of 2: tpe+none" in news[2]


class Interruption(Exception):
    """Stands for the death of the process."""


def test_an_interrupted_study_goes_on_to_the_same_end(space: Space, tmp_path: Path) -> None:
    terms = equal_updates(space, full_runs=3, seeds=1)
    (whole,) = run_jobs(jobs_of(space, tmp_path / "whole", "tpe+none", terms), MEANS)
    jobs = jobs_of(space, tmp_path / "cut", "tpe+none", terms)

    def dying(space: Space) -> object:
        backend = make_backend(space, RunOptions(backend="local"))
        waits = iter(range(7))
        inner = backend.wait

        def wait(timeout: float | None = None) -> list[object]:
            if next(waits, None) is None:
                raise Interruption
            return inner(timeout)

        backend.wait = wait
        return backend

    with pytest.raises(Interruption):
        run_jobs(jobs, dataclasses.replace(MEANS, make_backend=dying))
    assert 0 < len(read_trace(jobs[0]).ends) < 3
    (end,) = run_jobs(jobs, MEANS)
    assert (end.ends, end.curves, end.chosen) == (whole.ends, whole.curves, whole.chosen)


def test_winners_are_trained_on_the_same_fresh_seeds_beyond_the_budget(space: Space, tmp_path: Path) -> None:
    terms = dataclasses.replace(equal_updates(space, full_runs=2, seeds=1, fresh_seeds=3), with_default=False)
    random, tpe = run_jobs(jobs_of(space, tmp_path, "random+none,gp+none", terms), MEANS)
    assert random.spent == 120
    assert set(random.fresh) == set(tpe.fresh)
    assert len(random.fresh) == 3
    assert all(math.isfinite(loss) for loss in random.fresh.values())
    assert len(random.ends) == len(random.curves) == 2  # the fresh runs are no trials of the search


def test_algoperfs_studies_have_five_trials(space: Space, tmp_path: Path) -> None:
    (trace,) = run_jobs(jobs_of(space, tmp_path, "random+none", algoperf_terms(seeds=1)), MEANS)
    assert [len(curve) for curve in trace.curves] == [10] * 5


def test_diverged_runs_leave_a_trace_without_a_loss(space: Space, tmp_path: Path) -> None:
    space = dataclasses.replace(
        space, trainer=dataclasses.replace(space.trainer, options={"diverge_above": 0.0}), default=None
    )
    (trace,) = run_jobs(jobs_of(space, tmp_path, "random+none", equal_updates(space, full_runs=1, seeds=1)), MEANS)
    assert trace.ends == ()
    assert (trace.best, trace.chosen) == (math.inf, None)


def test_a_folder_with_studies_on_other_terms_is_refused(space: Space, tmp_path: Path) -> None:
    run_jobs(jobs_of(space, tmp_path, "random+none", equal_updates(space, full_runs=1, seeds=1)), MEANS)
    with pytest.raises(UsageError, match="random-none-0 holds a study whose budget is another: compare into another"):
        jobs_of(space, tmp_path, "random+none", equal_updates(space, full_runs=2, seeds=1))
    other = dataclasses.replace(space, trainer=dataclasses.replace(space.trainer, options={"noise": 0.0}))
    with pytest.raises(UsageError, match="whose trainer is another"):
        jobs_of(other, tmp_path, "random+none", equal_updates(space, full_runs=1, seeds=1))


def test_a_study_that_another_process_runs_is_left_alone(space: Space, tmp_path: Path) -> None:
    (job,) = jobs_of(space, tmp_path, "random+none", equal_updates(space, full_runs=1, seeds=1))
    job.folder.mkdir(parents=True)
    ledger = Ledger(job.space.storage.ledger)
    with ledger.lease(job.space.study), pytest.raises(StudyError, match="another process is running the study"):
        run_job(job, MEANS)
    ledger.close()


def test_spending_counts_the_updates_scheduled_when_a_trial_ends(space: Space, tmp_path: Path) -> None:
    """Pruned trials are paid for by those that end after them."""
    (job,) = jobs_of(space, tmp_path, "random+median", equal_updates(space, full_runs=8, seeds=1))
    (trace,) = run_jobs([job], MEANS)
    ledger = Ledger(job.space.storage.ledger)
    ended = [s.event for s in ledger.read(job.space.study) if isinstance(s.event, TrialEnded)]
    ledger.close()
    paid, expected = 0, []
    for event in ended:
        paid += event.step
        if event.value is not None:
            expected.append((paid, event.value))
    assert any(event.status == "pruned" for event in ended)
    assert [(end.spent, end.loss) for end in trace.ends] == expected


def test_studies_of_other_code_or_data_are_not_gone_on_with(space: Space, tmp_path: Path) -> None:
    terms, methods = equal_updates(space, full_runs=1, seeds=1), parse_methods("random+none", [], space)
    (job,) = plan(space, methods, terms, tmp_path, CHECKS, lambda _: {"train": "a"})
    run_jobs([job], MEANS)
    assert plan(space, methods, terms, tmp_path, CHECKS, lambda _: {"train": "a"}) == (job,)
    with pytest.raises(UsageError, match=r"holds a study of other code or data \(train has changed\): compare into"):
        plan(space, methods, terms, tmp_path, CHECKS, lambda _: {"train": "b"})
