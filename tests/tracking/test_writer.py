import pytest

from autosched.errors import LedgerError, TrackingError, TrackingRefusal
from autosched.ledger.events import StudyFinished
from autosched.tracking.memory_tracker import MemoryTracker
from autosched.tracking.tracker import STUDY
from autosched.tracking.translation import Translator
from autosched.tracking.writer import Interruption, Writer
from autosched.tracking.writes import Artifact


@pytest.fixture(scope="module")
def start(schedule_of):
    """Begins a session: a writer that was given the events so far."""

    def start(tracker, events):
        writer = Writer(tracker, Translator("demo", schedule_of), known=len(events), tags={})
        writer.stage(events)
        return writer

    return start


@pytest.fixture(scope="module")
def whole(story, start):
    tracker = MemoryTracker()
    start(tracker, story).sync()
    return tracker


def statuses(tracker: MemoryTracker) -> set[str]:
    return {run.status for run in tracker.picture().values()}


def test_one_event_at_a_time_shows_the_same_as_all_at_once(story, start, whole):
    tracker = MemoryTracker()
    writer = start(tracker, [])
    for stamped in story:
        writer.stage([stamped])
        writer.sync()
    assert tracker.picture() == whole.picture()
    assert tracker.cursor() == len(story)


def test_a_session_killed_after_any_event_is_continued_by_the_next(story, start, whole):
    for cut in range(1, len(story) + 1):
        tracker = MemoryTracker()
        start(tracker, story[:cut]).sync()
        start(tracker, story).sync()
        assert tracker.picture() == whole.picture(), cut


@pytest.mark.parametrize("losing_an_answer", [False, True])
def test_a_session_killed_in_any_call_is_continued_by_the_next(story, start, whole, losing_an_answer):
    for calls in range(whole.calls):
        tracker = MemoryTracker()
        tracker.go_away(after=calls, losing_an_answer=losing_an_answer)
        with pytest.raises(TrackingError):
            start(tracker, story).sync()
        tracker.come_back()
        start(tracker, story).sync()
        assert tracker.picture() == whole.picture(), calls


@pytest.mark.parametrize("losing_an_answer", [False, True])
def test_an_outage_in_any_call_is_made_up_for_by_the_same_session(story, start, whole, losing_an_answer):
    for calls in range(whole.calls):
        tracker = MemoryTracker()
        tracker.go_away(after=calls, losing_an_answer=losing_an_answer)
        writer = start(tracker, story)
        with pytest.raises(TrackingError):
            writer.sync()
        tracker.come_back()
        writer.sync()
        assert tracker.picture() == whole.picture(), calls


def test_what_the_tracker_has_is_not_written_again(story, start):
    tracker = MemoryTracker()
    start(tracker, story[:-1]).sync()
    before = tracker.calls
    start(tracker, story).sync()
    assert tracker.calls - before == len(["open", "cursor", "log", "end", "end", "set_cursor"])


def test_a_finished_study_is_left_finished_by_another_session(story, start, whole):
    tracker = MemoryTracker()
    start(tracker, story).sync()
    start(tracker, story).sync()
    assert tracker.picture() == whole.picture()


def test_only_trials_that_run_at_the_seam_are_running(story, start):
    for cut in range(1, len(story)):
        tracker = MemoryTracker()
        start(tracker, story[:cut]).sync()
        session = Translator("demo", lambda event: None)
        for stamped in story[:cut]:
            session.skip(stamped)
        running = {run for run, picture in tracker.picture().items() if picture.status == "RUNNING"}
        expected = session.state.active | ({STUDY} if session.state.finished is None else set())
        assert running == expected, cut


def test_an_interrupted_study_has_no_running_run_and_goes_on_when_resumed(story, start, whole):
    for cut in range(1, len(story)):
        tracker = MemoryTracker()
        writer = start(tracker, story[:cut])
        writer.stage([Interruption()])
        writer.sync()
        assert "RUNNING" not in statuses(tracker), cut
        assert tracker.picture()[STUDY].tags["autosched.status"] == "interrupted"
        start(tracker, story).sync()
        assert tracker.picture() == whole.picture(), cut


def test_a_finished_study_cannot_be_interrupted(story, start, whole):
    tracker = MemoryTracker()
    writer = start(tracker, story)
    writer.stage([Interruption()])
    writer.sync()
    assert tracker.picture() == whole.picture()


def test_a_resumed_study_sets_its_unfinished_runs_running_again(story, start):
    tracker = MemoryTracker()
    writer = start(tracker, story[:8])
    writer.stage([Interruption()])
    writer.sync()
    start(tracker, story[:8]).sync()
    assert {run: picture.status for run, picture in tracker.picture().items()} == {
        STUDY: "RUNNING", 0: "RUNNING", 1: "RUNNING"
    }  # fmt: skip


def test_an_outage_while_interrupting_leaves_no_running_run(story, start):
    calls = MemoryTracker()
    start(calls, story[:8]).sync()
    for after in range(calls.calls + 4):
        tracker = MemoryTracker()
        tracker.go_away(after=after, losing_an_answer=True)
        writer = start(tracker, story[:8])
        writer.stage([Interruption()])
        with pytest.raises(TrackingError):
            writer.sync()
        tracker.come_back()
        writer.sync()
        assert statuses(tracker) == {"KILLED"}, after


def test_artifacts_come_in_their_place_and_survive_an_outage(story, start):
    tracker = MemoryTracker()
    writer = start(tracker, story)
    writer.sync()
    tracker.go_away()
    writer.stage([Artifact(run=STUDY, name="report.html", data=b"1"), Artifact(run=0, name="plots/lr.png", data=b"2")])
    with pytest.raises(TrackingError):
        writer.sync()
    tracker.come_back()
    writer.sync()
    assert tracker.picture()[STUDY].artifacts["report.html"] == b"1"
    assert tracker.picture()[0].artifacts["plots/lr.png"] == b"2"
    assert "RUNNING" not in statuses(tracker)


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_ledger_lost_at_its_end_is_shown_as_it_is_done_again(story, start, whole, killed):
    for cut in range(1, len(story)):
        tracker = MemoryTracker()
        start(tracker, story).sync()
        again = start(tracker, story[:cut])
        again.sync()
        assert f"has seen {len(story)} events of the study, and the ledger had {cut}: it lost its end" in again.lost
        assert tracker.picture()[STUDY].status == "RUNNING"
        if killed:
            start(tracker, story).sync()
        else:
            again.stage(story[cut:])
            again.sync()
        assert tracker.picture() == whole.picture(), cut
        assert tracker.cursor() == len(story)


def test_a_session_that_dies_while_it_goes_back_to_where_the_ledger_ends_is_continued(story, start, whole):
    """Whatever it died in, the next one does not take what the tracker saw of the lost events for what it has."""
    counted = MemoryTracker()
    start(counted, story).sync()
    before = counted.calls
    start(counted, story[:8]).sync()
    for calls in range(counted.calls - before):
        tracker = MemoryTracker()
        start(tracker, story).sync()
        tracker.go_away(after=calls, losing_an_answer=True)
        with pytest.raises(TrackingError):
            start(tracker, story[:8]).sync()
        tracker.come_back()
        start(tracker, story[:12]).sync()
        assert tracker.cursor() == 12, calls
        start(tracker, story).sync()
        assert tracker.picture() == whole.picture(), calls


def test_a_tracker_that_lost_its_runs_is_refused_and_filled_by_the_next_session(story, start, whole):
    tracker = MemoryTracker()
    writer = start(tracker, story[:20])
    writer.sync()
    tracker.go_away()
    writer.stage(story[20:])
    with pytest.raises(TrackingError):
        writer.sync()
    tracker.come_back()
    tracker.forget()
    with pytest.raises(TrackingError, match="lost runs"):
        writer.sync()
    start(tracker, story).sync()
    assert tracker.picture() == whole.picture()


def test_a_gap_in_the_events_is_a_fault_of_the_ledger(story, start):
    with pytest.raises(LedgerError, match="missing"):
        start(MemoryTracker(), [*story[:3], *story[4:]]).sync()


def test_the_story_ends(story):
    assert isinstance(story[-1].event, StudyFinished)


def test_what_a_tracker_refuses_for_good_is_left_out_with_its_reason_and_never_tried_again(story, start, whole):
    tracker = MemoryTracker()
    tracker.refuse("loss", "schedule.json")
    writer = start(tracker, story)
    with pytest.raises(TrackingRefusal):
        writer.sync()  # it might be of a run that was deleted, so it is opened again once
    writer.sync()
    assert sorted(writer.left_out) == [
        "the memory tracker refuses 'loss'.",
        "the memory tracker refuses 'schedule.json'.",
    ]
    expected = whole.picture()
    for run, shown in tracker.picture().items():
        other = expected[run]
        assert (shown.status, shown.params, shown.tags) == (other.status, other.params, other.tags)
        assert dict(shown.metrics) == {name: points for name, points in other.metrics.items() if name != "loss"}
        assert dict(shown.artifacts) == {n: data for n, data in other.artifacts.items() if n != "schedule.json"}
    calls = tracker.calls
    writer.sync()
    assert tracker.calls == calls
    assert tracker.cursor() == len(story)
