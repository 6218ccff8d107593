from collections.abc import Callable

import pytest

from autosched.errors import TrackingError
from autosched.testing.tracker_contract import TrackerContract, losses, trial_run
from autosched.tracking.memory_tracker import MemoryTracker, RunPicture
from autosched.tracking.tracker import STUDY, StudyRun

DEMO = StudyRun(name="demo", identity="1", params={}, tags={}, time=0.0)


class TestMemoryTracker(TrackerContract):
    @pytest.fixture
    def place(self) -> MemoryTracker:
        return MemoryTracker()

    @pytest.fixture
    def connect(self, place: MemoryTracker) -> Callable[[], MemoryTracker]:
        def connect() -> MemoryTracker:
            place.close()
            return place

        return connect

    @pytest.fixture
    def look(self, place: MemoryTracker) -> Callable[[str], dict[int, RunPicture]]:
        return place.picture


def test_every_call_is_refused_while_it_is_away_and_served_when_it_is_back():
    tracker = MemoryTracker()
    tracker.open(DEMO)
    tracker.go_away()
    for call in (tracker.check, tracker.cursor, lambda: tracker.open(DEMO), lambda: tracker.start_trial(trial_run(0))):
        with pytest.raises(TrackingError, match="away"):
            call()
    tracker.come_back()
    assert list(tracker.picture()) == [STUDY]
    assert tracker.cursor() == 0


def test_it_goes_away_after_as_many_calls_as_it_was_told():
    tracker = MemoryTracker()
    tracker.go_away(after=2)
    tracker.open(DEMO)
    tracker.set_cursor(3)
    with pytest.raises(TrackingError):
        tracker.set_cursor(4)
    tracker.come_back()
    assert tracker.cursor() == 3


def test_an_answer_can_be_lost_although_the_work_was_done():
    tracker = MemoryTracker()
    tracker.open(DEMO)
    tracker.go_away(losing_an_answer=True)
    with pytest.raises(TrackingError, match="answer was lost"):
        tracker.log(STUDY, losses(1))
    with pytest.raises(TrackingError, match="away"):
        tracker.set_cursor(9)
    tracker.come_back()
    assert len(tracker.picture()[STUDY].metrics["loss"]) == 1
    assert tracker.cursor() == 0
