"""What a running study tells: on a terminal, in a file or a pipe, and in a notebook."""

from __future__ import annotations

import io
import os
import pty
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from example_study import HORIZON, SPACE, Study, example_study, search_of_fourteen, wsd
from rich.console import Console

from autosched.ledger.events import Stamped, TrialJudged
from autosched.ledger.fold import apply
from autosched.ledger.records import LAWLESS, Decision, Forecast
from autosched.ledger.state import StudyState
from autosched.report.standing import standing
from autosched.schedules import build
from autosched.search.budget import uses
from autosched.space import Budget, Confirm, Space
from autosched.study.progress import BarProgress, PlainProgress, Progress, make_progress

BUDGET = replace(SPACE, budget=Budget(steps=18 * HORIZON), confirm=Confirm(finalists=2, seeds=3, in_budget=True))

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b[39][0-7]m")


def states(study: Study) -> Iterator[tuple[StudyState, Stamped]]:
    """The study's state after each of its events."""
    state = StudyState("wsd-demo")
    for stamped in study.events:
        apply(state, stamped)
        yield state, stamped


def begun(study: Study) -> StudyState:
    state = StudyState("wsd-demo")
    apply(state, study.events[0])
    return state


def told(progress: Progress, study: Study) -> None:
    for state, stamped in islice(states(study), 1, None):
        progress.seen(state, stamped)
    progress.close()


def lines_of(study: Study, space: Space = BUDGET) -> list[str]:
    stream = io.StringIO()
    told(PlainProgress(stream, space, begun(study)), study)
    return stream.getvalue().splitlines()


def paused_study() -> Study:
    """A pilot, and a trial that pauses three times before it is complete."""
    study = Study()
    study.begin()
    pilot = study.propose(build("piecewise", {"values": [0.02, 0.01], "boundaries": [60]}, steps=HORIZON), "pilot", 120)
    study.train(pilot)
    study.end(pilot, "reached", reason="a pilot run of 120 updates")
    number = study.propose(wsd(0.02, 0.4))
    for _ in range(3):
        study.train(number)
        study.end(number, "paused", reason="trial 9 promises more")
        study.resume(number)
    study.complete(number)
    return study


@pytest.mark.parametrize(
    "budget",
    [
        Budget(steps=18 * HORIZON),
        Budget(trials=14),
        Budget(minutes=1),
        Budget(worker_seconds=100),
        Budget(steps=18 * HORIZON, trials=14, minutes=0.1),
    ],
    ids=str,
)
def test_what_is_used_of_a_budget_never_goes_back_and_its_end_does_not_move(budget: Budget) -> None:
    space = replace(BUDGET, budget=budget)
    for study in (example_study(), paused_study()):
        seen = [uses(space, state, seconds=state.seconds) for state, _ in states(study)]
        for uses_of_one in zip(*seen, strict=True):
            shares = [use.share for use in uses_of_one]
            assert shares == sorted(shares)
            assert shares[0] == 0
            assert 0 < shares[-1] <= 1
            assert len({use.limit for use in uses_of_one}) == 1


def test_confirming_runs_on_top_of_a_budget_are_part_of_its_end() -> None:
    on_top = replace(BUDGET, budget=Budget(steps=9 * HORIZON), confirm=Confirm(finalists=2, seeds=3), default=None)
    [use] = uses(on_top, example_study().state, seconds=0.0)
    assert (use.limit, use.unit) == (9 + 2 * 3, "full runs")


def test_the_time_left_is_that_of_the_mean_pace() -> None:
    study = search_of_fourteen()
    stands = standing(study.state, BUDGET, since=10.0)
    assert stands.seconds == study.state.seconds + 10.0
    assert stands.left == pytest.approx(stands.seconds * (1 - stands.share) / stands.share)
    assert stands.pace(60.0).startswith(stands.used + ", 0:01:")
    assert standing(begun(study), BUDGET).left is None


def test_the_promising_trial_is_one_of_which_much_is_expected_now() -> None:
    study = Study()
    study.begin()

    def judged(number: int, mean: float | None, reason: str = "no other candidate promises more") -> str:
        """What is said to be promising after a decision to go on."""
        step = study.state.trials[number].step
        told = None if mean is None else Forecast(mean=mean, low=mean - 0.1, high=mean + 0.1, law="full", step=step)
        decision = Decision(action="keep", reason=reason, forecast=told)
        study.add(TrialJudged(trial=number, step=step, decision=decision))
        return promising()

    def promising() -> str:
        return dict(standing(study.state, BUDGET).facts).get("promising", "").partition(":")[0]

    for lr in (0.02, 0.03, 0.04):
        study.train(study.propose(wsd(lr, 0.4)))
    assert judged(0, 1.9) == "forecast 1.9000 (1.8000 to 2.0000), trial 0"
    assert judged(1, 1.8) == "forecast 1.8000 (1.7000 to 1.9000), trial 1"
    assert judged(1, 2.2) == "forecast 1.9000 (1.8000 to 2.0000), trial 0"
    assert judged(0, None) == "forecast 2.2000 (2.1000 to 2.3000), trial 1"
    study.end(1, "paused", reason="trial 2 promises more")
    assert promising() == ""
    study.resume(1)
    assert promising() == ""
    assert judged(1, 1.7) == "forecast 1.7000 (1.6000 to 1.8000), trial 1"
    assert judged(2, None, f"{LAWLESS}; Hyperband keeps it") == ""  # what the law said of trial 1 counts no more
    assert not [line for line in standing(study.state, BUDGET).running if "forecast" in line]


def test_plain_lines_tell_what_ended_for_good_and_count_the_rest() -> None:
    lines = lines_of(paused_study())
    assert lines[0] == "0:00:00 trial 0 (pilot) reached update 120: loss 2.1644 (peak_lr=0.02)"
    assert not [line for line in lines if "paused: " in line or "promises more" in line]
    assert lines[1].startswith("0:00:03 trial 1 complete: loss 1.7")
    assert lines[1].endswith(", best so far (peak_lr=0.02, cooldown_fraction=0.4, cooldown_shape=linear)")


def test_plain_lines_say_at_every_tenth_of_the_budget_how_the_study_stands() -> None:
    lines = [line for line in lines_of(example_study()) if "of the budget" in line]
    shares = [int(line.split("%")[0]) for line in lines]
    assert [share // 10 for share in shares] == list(range(1, 10))
    assert all(" of 18 full runs, 0:00:" in line and " left" in line and "trials " in line for line in lines)
    assert "gain +" in lines[-1]
    assert "(90% interval +" in lines[-1]


def test_what_the_space_fixes_is_left_out() -> None:
    assert not [line for line in lines_of(example_study()) if "warmup_steps" in line or "final_lr_ratio" in line]


def drawn(study: Study, width: int, encoding: str = "utf-8", **settings: bool) -> str:
    """All that a terminal is sent."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    console = Console(file=file, width=width, height=24, force_terminal=True, color_system="standard", **settings)
    told(BarProgress(console, BUDGET, begun(study)), study)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_on_a_terminal_is_wider_than_it_and_the_last_picture_is_wiped(width: int) -> None:
    sent = drawn(example_study(), width)
    lines = re.split(r"[\r\n]+", CONTROL.sub("", sent))
    assert max(map(len, lines)) <= width
    assert "of 18 full runs" in sent
    assert "trial 12 complete" in sent
    assert sent.rindex("\x1b[2K") > sent.rindex("of 18 full runs")


def test_a_terminal_that_wants_no_colours_gets_none_and_one_that_lacks_letters_question_marks() -> None:
    assert COLOUR.search(drawn(paused_study(), 80))
    assert not COLOUR.search(drawn(paused_study(), 80, no_color=True))
    assert "trial 1 complete" in drawn(paused_study(), 40, "latin-1")


def test_ci_and_what_is_no_terminal_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    state = begun(paused_study())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(ours), os.fdopen(theirs, "w") as terminal:
        bar = make_progress(BUDGET, state, terminal)
        bar.close()
        assert isinstance(bar, BarProgress)
        for name, value in {"CI": "true", "TERM": "dumb"}.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(name, value)
                assert isinstance(make_progress(BUDGET, state, terminal), PlainProgress)
    assert isinstance(make_progress(BUDGET, state, io.StringIO()), PlainProgress)
