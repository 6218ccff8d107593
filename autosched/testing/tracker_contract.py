"""The suite every `Tracker` passes.

Subclass it in a test file and give it two fixtures::

    class TestMyTracker(TrackerContract):
        @pytest.fixture
        def connect(self):      # a tracker on one and the same place, as another process would make it
            return lambda: MyTracker(place)

        @pytest.fixture
        def look(self):         # what a person sees of the study with an identity
            return lambda identity: read(place, identity)

The place may be shared by all tests: each works on a study of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from autosched.errors import TrackingError
from autosched.tracking.memory_tracker import RunPicture
from autosched.tracking.tracker import STUDY, Metric, RunStatus, StudyRun, Tracker, TrialRun

Connect = Callable[[], Tracker]
Look = Callable[[str], dict[int, RunPicture]]


def trial_run(trial: int, **params: str) -> TrialRun:
    """A trial's run with a tag of its own."""
    tags = {"autosched.fingerprint": f"f{trial}"}
    return TrialRun(trial=trial, name=f"{trial:04d} wsd", params=params, tags=tags, time=100.5 + trial)


def losses(count: int, *, key: str = "loss") -> list[Metric]:
    """A falling curve with `count` points, one per update."""
    return [Metric(key=key, value=1 + 1 / (step + 1), step=step, time=200.0 + step) for step in range(count)]


class TrackerContract:
    """What a mirror relies on."""

    @pytest.fixture
    def study(self, request: pytest.FixtureRequest) -> StudyRun:
        """A study that no other test uses."""
        return StudyRun(
            name="demo",
            identity=request.node.name,
            params={"seed": "0", "schedule.0.family": "wsd"},
            tags={"autosched.space": "5f1c", "autosched.status": "running"},
            time=100.25,
        )

    def test_open_makes_a_running_run_that_shows_the_study(self, connect: Connect, look: Look, study: StudyRun) -> None:
        tracker = connect()
        assert tracker.open(study)
        runs = look(study.identity)
        assert list(runs) == [STUDY]
        assert (runs[STUDY].name, runs[STUDY].status, runs[STUDY].started) == ("demo", "RUNNING", 100250)
        assert dict(runs[STUDY].params) == dict(study.params)
        assert study.tags.items() <= runs[STUDY].tags.items()

    def test_a_new_session_finds_the_runs_of_an_earlier_one(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        first = connect()
        ids = [first.open(study), first.start_trial(trial_run(0)), first.start_trial(trial_run(12))]
        second = connect()
        again = [second.open(study), second.start_trial(trial_run(0)), second.start_trial(trial_run(12))]
        assert again == ids
        assert len(set(ids)) == 3
        assert list(look(study.identity)) == [STUDY, 0, 12]

    def test_a_new_session_writes_to_trials_it_did_not_start(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        first, second = connect(), connect()
        first.open(study)
        first.start_trial(trial_run(3))
        second.open(study)
        second.log(3, losses(2))
        second.end(3, "FINISHED", time=300.0, tags={})
        assert look(study.identity)[3].status == "FINISHED"
        assert [step for step, _, _ in look(study.identity)[3].metrics["loss"]] == [0, 1]

    def test_studies_of_one_name_are_told_apart_by_identity(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        other = StudyRun(name=study.name, identity=f"{study.identity}-2", params={}, tags={}, time=1.0)
        assert tracker.open(study) != tracker.open(other)
        tracker.start_trial(trial_run(0))
        assert list(look(study.identity)) == [STUDY]
        assert list(look(other.identity)) == [STUDY, 0]

    def test_writing_a_metric_twice_changes_nothing(self, connect: Connect, look: Look, study: StudyRun) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.start_trial(trial_run(0))
        tracker.log(0, losses(5))
        before = look(study.identity)[0].metrics
        tracker.log(0, losses(5))
        again = connect()
        again.open(study)
        again.log(0, losses(7))
        after = look(study.identity)[0].metrics
        assert [(m.step, round(m.time * 1000), m.value) for m in losses(5)] == list(before["loss"])
        assert [(m.step, round(m.time * 1000), m.value) for m in losses(7)] == list(after["loss"])

    def test_more_metrics_than_one_request_holds_are_all_kept(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.log(STUDY, losses(1300) + losses(1300, key="lr_plan"))
        metrics = look(study.identity)[STUDY].metrics
        assert {key: len(points) for key, points in metrics.items()} == {"loss": 1300, "lr_plan": 1300}

    def test_a_loss_that_is_no_number_is_kept_and_not_doubled(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        for _ in range(2):
            tracker.log(STUDY, [Metric(key="loss", value=math.nan, step=3, time=1.0)])
        ((step, _, value),) = look(study.identity)[STUDY].metrics["loss"]
        assert step == 3
        assert math.isnan(value)

    def test_names_with_unusual_characters_are_accepted(self, connect: Connect, study: StudyRun) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.start_trial(trial_run(0, **{"τ//β": "x" * 7000, "..": "1"}))
        tracker.log(0, [Metric(key="top@5 (%)", value=1.0, step=0, time=0.0)])
        tracker.end(0, "FAILED", time=1.0, tags={"autosched.reason": "long " * 3000})

    def test_parameters_stay_as_first_written_and_tags_change(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.start_trial(trial_run(0, peak_lr="0.01"))
        changed = TrialRun(trial=0, name="x", params={"peak_lr": "9", "more": "1"}, tags={"a": "b"}, time=9.0)
        tracker.start_trial(changed)
        run = look(study.identity)[0]
        assert dict(run.params) == {"peak_lr": "0.01", "more": "1"}
        assert {"autosched.fingerprint": "f0", "a": "b"}.items() <= run.tags.items()

    def test_an_artifact_is_replaced_and_may_lie_in_a_folder(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.artifact(STUDY, "report.html", b"first")
        tracker.artifact(STUDY, "report.html", b"second")
        tracker.artifact(STUDY, "plots/lr.png", bytes(range(256)))
        assert dict(look(study.identity)[STUDY].artifacts) == {
            "report.html": b"second",
            "plots/lr.png": bytes(range(256)),
        }

    @pytest.mark.parametrize("status", ["FINISHED", "KILLED", "FAILED"])
    def test_end_closes_a_run_with_its_status(
        self, connect: Connect, look: Look, study: StudyRun, status: RunStatus
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.start_trial(trial_run(0))
        for _ in range(2):
            tracker.end(0, status, time=300.125, tags={"autosched.reason": "why"})
        run = look(study.identity)[0]
        assert (run.status, run.ended, run.tags["autosched.reason"]) == (status, 300125, "why")

    def test_a_closed_run_is_running_again_once_it_is_opened(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.start_trial(trial_run(0))
        for run in (0, STUDY):
            tracker.end(run, "KILLED", time=2.0, tags={"autosched.status": "interrupted"})
        tracker.open(study)
        tracker.start_trial(trial_run(0))
        runs = look(study.identity)
        assert {run: picture.status for run, picture in runs.items()} == {STUDY: "RUNNING", 0: "RUNNING"}
        assert runs[STUDY].tags["autosched.status"] == "running"

    def test_a_closed_run_still_takes_artifacts_and_metrics(
        self, connect: Connect, look: Look, study: StudyRun
    ) -> None:
        tracker = connect()
        tracker.open(study)
        tracker.end(STUDY, "FINISHED", time=2.0, tags={})
        tracker.artifact(STUDY, "report.html", b"<html>")
        tracker.log(STUDY, losses(1))
        run = look(study.identity)[STUDY]
        assert (run.status, dict(run.artifacts), len(run.metrics["loss"])) == (
            "FINISHED",
            {"report.html": b"<html>"},
            1,
        )

    def test_the_cursor_is_remembered_across_sessions(self, connect: Connect, study: StudyRun) -> None:
        first = connect()
        first.open(study)
        assert first.cursor() == 0
        first.set_cursor(41)
        first.set_cursor(42)
        second = connect()
        second.open(study)
        assert second.cursor() == 42

    def test_a_trial_that_was_never_started_is_an_error(self, connect: Connect, study: StudyRun) -> None:
        tracker = connect()
        tracker.open(study)
        with pytest.raises(TrackingError, match="trial 7 has no run"):
            tracker.log(7, losses(1))

    def test_nothing_can_be_written_before_open(self, connect: Connect) -> None:
        tracker = connect()
        tracker.close()
        with pytest.raises(TrackingError, match="open"):
            tracker.start_trial(trial_run(0))

    def test_check_writes_no_run_and_close_can_be_repeated(self, connect: Connect, look: Look, study: StudyRun) -> None:
        tracker = connect()
        tracker.check()
        assert look(study.identity) == {}
        tracker.open(study)
        tracker.close()
        tracker.close()
