"""Results decided about as they come: whoever is first, and the same again from the same log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from studies import Interruption, Study, decided_twice, picture, simulated, trained_twice, wsd_space

from autosched.engine.backend import Outcome
from autosched.engine.execute import SegmentRunner
from autosched.ledger.events import SegmentFailed, SegmentFinished, TrialAdvanced
from autosched.ledger.records import Failure, Segment
from autosched.space import space_from_json, space_to_json
from autosched.space.records import Component, Order, Resources, Space


class Shuffled:
    """A `Backend` that hands back the segment, of those it has, whose identity with `salt` has the lowest hash."""

    name = "shuffled"

    def __init__(self, workers: int, salt: str, preempt: Callable[[Segment], bool]) -> None:
        self.workers, self._salt, self._preempt = workers, salt, preempt
        self._has: dict[str, Segment] = {}
        self._away: set[str] = set()
        self._runner = SegmentRunner(simulated)

    def submit(self, segment: Segment) -> None:
        self._has[segment.id] = segment

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        first = min(self._has, key=lambda identity: sha256(f"{self._salt}{identity}".encode()).digest())
        segment = self._has.pop(first)
        if self._preempt(segment) and first not in self._away:
            self._away.add(first)
            return [Failure(segment=first, kind="preempted", reason="the node was wanted back.")]
        return [self._runner.run(segment)]

    def release(self, state: str) -> None:
        self._runner.release(state)

    def close(self) -> None:
        self._runner.forget()


def shuffled(
    space: Space, order: Order, salt: str = "", preempt: Callable[[Segment], bool] = lambda segment: False
) -> Study:
    ordered = replace(space, resources=Resources(workers=3, retries=0, order=order))
    return Study(ordered, backend=lambda space: Shuffled(space.resources.workers, salt, preempt))


@pytest.fixture
def space(tmp_path: Path) -> Space:
    return wsd_space(tmp_path, workers=3)


def test_results_are_decided_about_in_the_order_in_which_the_ledger_has_them(space: Space) -> None:
    study = shuffled(space, "arrival")
    state = study.run()
    came = [s.event.observation.segment for s in study.events() if isinstance(s.event, SegmentFinished)]
    told = [s.event.segment for s in study.events() if isinstance(s.event, TrialAdvanced) and not s.event.shared]
    assert told == came
    assert told != sorted(told, key=lambda segment: state.scheduled[segment].due), "workers were not equal"


@pytest.mark.parametrize("salt", ["a", "b"])
def test_in_virtual_order_it_does_not_matter_who_was_first(tmp_path: Path, salt: str) -> None:
    pictures = []
    for name, salted in {"calm": "", "other": salt}.items():
        (tmp_path / name).mkdir()
        pictures.append(picture(shuffled(wsd_space(tmp_path / name), "virtual", salted).run()))
    assert pictures[0] == pictures[1]


def test_a_fresh_driver_decides_the_same_from_the_log_of_arrivals(tmp_path: Path) -> None:
    for pruner in ("median", "law"):
        (tmp_path / pruner).mkdir()
        study = shuffled(wsd_space(tmp_path / pruner, pruner=Component(name=pruner)), "arrival")
        study.run()
        prefixes = list(decided_twice(study, every=5))
        assert len(prefixes) >= 10
        assert all(again and again == logged for logged, again in prefixes)


@pytest.mark.parametrize("order", ["virtual", "arrival"])
def test_a_preempted_segment_is_trained_again_and_no_trial_fails(space: Space, order: Order) -> None:
    calm = picture(shuffled(space, order).run())
    away = shuffled(replace(space, study="away"), order, preempt=lambda segment: int(segment.id, 16) % 3 == 0)
    away.reuse = False
    state = away.run()
    failures = [s.event.failure for s in away.events() if isinstance(s.event, SegmentFailed)]
    assert len(failures) > 5
    assert {failure.kind for failure in failures} == {"preempted"}
    assert all(trial.status != "failed" for trial in state.trials)
    assert trained_twice(away.events()) == []
    if order == "virtual":
        assert picture(state) == calm


def test_a_driver_that_dies_after_each_of_many_events_ends_its_study(space: Space) -> None:
    study = shuffled(space, "arrival")
    died = 0
    for number in range(5, 400, 23):
        try:
            state = study.run(die_after=number)
        except Interruption:
            died += 1
            continue
        break
    else:
        state = study.run()
    assert died >= 5
    assert state.finished is not None
    assert trained_twice(study.events()) == []


@pytest.mark.parametrize("order", [None, "virtual", "arrival"])
def test_an_order_is_in_a_spaces_json_where_it_was_given(space: Space, order: Order | None) -> None:
    ordered = replace(space, resources=Resources(workers=3, order=order))
    written: Mapping[str, object] = space_to_json(ordered)["resources"]
    assert written.get("order") == order
    assert space_from_json(space_to_json(ordered)) == ordered
