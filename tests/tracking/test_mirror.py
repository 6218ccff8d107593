import threading

import pytest

from autosched.errors import TrackingError
from autosched.schedules.schedule import Schedule
from autosched.tracking.memory_tracker import MemoryTracker
from autosched.tracking.mirror import Mirror, Waits
from autosched.tracking.tracker import STUDY

LONG = 30.0
SHORT_WAITS = Waits(first=0.001, longest=0.01)


@pytest.fixture
def make(schedule_of):
    """Makes a mirror, and closes all of them at the end."""
    made = []

    def make(tracker, waits=SHORT_WAITS):
        made.append(Mirror(tracker, "demo", schedule_of, waits=waits))
        return made[-1]

    yield make
    for mirror in made:
        mirror.close(0)


@pytest.fixture(scope="module")
def whole(story, schedule_of):
    tracker = MemoryTracker()
    mirror = Mirror(tracker, "demo", schedule_of)
    mirror.start(story)
    assert mirror.close(LONG) == 0
    return tracker.picture()


def test_a_live_study_shows_the_same_as_a_replayed_one(story, make, whole):
    tracker = MemoryTracker()
    mirror = make(tracker)
    mirror.start()
    for stamped in story:
        mirror.put(stamped)
    assert mirror.close(LONG) == 0
    assert tracker.picture() == whole


def test_flush_brings_everything_up_to_now(story, make):
    tracker = MemoryTracker()
    mirror = make(tracker)
    mirror.start(story[:4])
    for count in range(4, len(story)):
        mirror.put(story[count])
        assert mirror.flush(LONG) == 0
        assert tracker.cursor() == count + 1


def test_a_mirror_closed_anywhere_is_continued_by_the_next(story, make, whole):
    for cut in range(1, len(story)):
        tracker = MemoryTracker()
        first, second = make(tracker), make(tracker)
        first.start(story[:cut])
        first.close(LONG)
        second.start(story[:cut])
        for stamped in story[cut:]:
            second.put(stamped)
        assert second.close(LONG) == 0
        assert tracker.picture() == whole, cut


def test_nothing_is_lost_while_the_tracker_is_away(story, make, whole):
    tracker = MemoryTracker()
    mirror = make(tracker)
    mirror.start(story[:10])
    mirror.flush(LONG)
    tracker.go_away()
    for stamped in story[10:]:
        mirror.put(stamped)
    mirror.put_artifact(STUDY, "report.html", b"<html>")
    assert mirror.flush(0.05) == len(story) - 10 + 1
    assert mirror.last_error == "the memory tracker is away."
    tracker.come_back()
    assert mirror.flush(LONG) == 0
    assert mirror.last_error is None
    picture = tracker.picture()
    assert picture[STUDY].artifacts["report.html"] == b"<html>"
    assert {run: shown.metrics for run, shown in picture.items()} == {run: p.metrics for run, p in whole.items()}
    assert {run: shown.status for run, shown in picture.items()} == {run: p.status for run, p in whole.items()}


class Stuck(MemoryTracker):
    """Fails wherever a trial ends, after it has taken what comes before."""

    def end(self, run, status, *, time, tags):
        raise TrackingError("no run can be ended.")


def test_a_tracker_that_fails_at_one_place_again_and_again_is_not_waited_for_for_ever(story, make):
    mirror = make(Stuck())
    mirror.start(story)
    assert mirror.flush(0.05) > 0
    assert mirror.last_error == "no run can be ended."


def test_a_tracker_that_is_away_from_the_start_is_waited_for(story, make, whole):
    tracker = MemoryTracker()
    tracker.go_away()
    mirror = make(tracker)
    mirror.start(story)
    assert mirror.flush(0.05) == len(story)
    assert mirror.run_id is None
    tracker.come_back()
    assert mirror.close(LONG) == 0
    assert mirror.run_id is not None
    assert tracker.picture() == whole


def test_close_gives_up_in_time_and_the_next_session_writes_the_rest(story, make, whole):
    tracker = MemoryTracker()
    first, second = make(tracker), make(tracker)
    first.start(story[:9])
    first.flush(LONG)
    tracker.go_away()
    for stamped in story[9:]:
        first.put(stamped)
    assert first.close(0.05) == len(story) - 9
    tracker.come_back()
    second.start(story)
    assert second.close(LONG) == 0
    assert tracker.picture() == whole


def test_flush_does_not_wait_for_the_next_try(story, make):
    tracker = MemoryTracker()
    tracker.go_away()
    mirror = make(tracker, Waits(first=600.0, longest=600.0))
    mirror.start(story)
    assert mirror.flush(0.05) == len(story)
    tracker.come_back()
    assert mirror.flush(LONG) == 0


def test_events_keep_their_order_whoever_waits_for_them(story, make, whole):
    tracker = MemoryTracker()
    mirror = make(tracker)
    mirror.start(story[:1])
    waiting = [threading.Thread(target=mirror.flush, args=(LONG,)) for _ in range(4)]
    for thread in waiting:
        thread.start()
    for stamped in story[1:]:
        mirror.put(stamped)
    assert mirror.close(LONG) == 0
    for thread in waiting:
        thread.join(LONG)
    assert tracker.picture() == whole


def test_an_interrupted_study_leaves_no_running_run(story, make):
    tracker = MemoryTracker()
    mirror = make(tracker)
    mirror.start(story[:8])
    mirror.interrupt()
    assert mirror.close(LONG) == 0
    assert {run.status for run in tracker.picture().values()} == {"KILLED"}


def test_a_fault_in_the_mirror_is_told_and_stops_nothing_else(story):
    def broken(event: object) -> Schedule:
        raise ValueError("no such family")

    tracker = MemoryTracker()
    mirror = Mirror(tracker, "demo", broken, waits=SHORT_WAITS)
    mirror.start(story[:2])
    assert mirror.flush(LONG) == 0
    mirror.put(story[2])
    assert mirror.flush(LONG) == 1
    mirror.put(story[3])
    assert mirror.close(LONG) == 2
    assert mirror.last_error == "the mirror stopped: ValueError: no such family"
    assert tracker.cursor() == 2


def test_a_mirror_must_be_started_once_and_before_events_come(story, make):
    mirror = make(MemoryTracker())
    with pytest.raises(RuntimeError, match="after start"):
        mirror.put(story[0])
    mirror.start()
    with pytest.raises(RuntimeError, match="once only"):
        mirror.start()
    mirror.close(LONG)
    assert mirror.close(LONG) == 0
    with pytest.raises(RuntimeError, match="before close"):
        mirror.put(story[0])
