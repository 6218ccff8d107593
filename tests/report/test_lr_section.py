"""The range test and the LR sensitivity of a study, in the summary, in lines and on the page."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from carried import document_of
from example_study import HORIZON, SPACE, Study, example_study, losses_of, wsd

from autosched.curves.range_test import Sweep, analyse
from autosched.ledger.events import RangeTested, SegmentFinished
from autosched.ledger.records import Observation, Point
from autosched.report.canvas import png
from autosched.report.cost import study_cost
from autosched.report.html import report_page
from autosched.report.lr_section import range_test_text
from autosched.report.moments import Story
from autosched.report.range_test_plot import range_test_plot, study_range_test
from autosched.report.summary import summarise
from autosched.report.text import final_lines, status_lines

SWEEP = Sweep(low=1e-4, high=1.0, steps=100)
SWEPT = replace(SPACE, range_test=SWEEP)


def losses_of_sweep() -> list[float]:
    """A fall from 4 to 1 between LR 1e-3 and 1e-2, a rise back to 7 from 0.1 on."""
    x = np.log10(SWEEP.schedule().lrs)
    return (4.0 - 3.0 * np.clip(x + 3.0, 0, 1) + 6.0 * np.clip(x + 1.0, 0, 1)).tolist()


def study_with_test(*, failed: bool = False) -> Study:
    study = Study()
    study.begin()
    points = tuple(Point(step=i + 1, loss=loss) for i, loss in enumerate(losses_of_sweep()))
    seen = Observation(segment="sweep", start=0, stop=100, points=points, checkpoint=None, trained=100, seconds=1.0)
    study.add(SegmentFinished(observation=seen))
    found = {"reason": "the loss never fell"} if failed else {"low": 2e-3, "high": 0.2, "divergence_lr": 0.3}
    study.add(RangeTested(segment="sweep", steps=100, at=100, **found))
    return study


def test_the_range_test_is_in_the_summary_the_lines_and_on_the_page() -> None:
    study = study_with_test()
    study.complete(study.propose(wsd(0.01, 0.2)))
    summary = summarise(study.state, SWEPT)
    assert summary["range_test"] == {"low": 2e-3, "high": 0.2, "divergence_lr": 0.3, "steps": 100, "reason": ""}
    line = "range test  peak_lr from 0.002 to 0.2; training diverges at 0.3 (100 updates)"
    assert line in final_lines(summary)
    assert line in status_lines(summarise(study.state, SWEPT), study.state, SWEPT)
    head = document_of(report_page(Story.of("wsd-demo", study.events), SWEPT, summary))["head"]
    assert head["summary"]["range_test"] == summary["range_test"]
    assert head["range"]["losses"][0] == pytest.approx(losses_of_sweep()[0], rel=1e-5)
    assert len(head["range"]["lrs"]) == len(head["range"]["losses"])


def test_a_failed_range_test_says_why() -> None:
    study = study_with_test(failed=True)
    summary = summarise(study.state, SWEPT)
    assert range_test_text(summary["range_test"]) == "no bounds: the loss never fell (100 updates)"


def test_the_range_test_has_its_place_in_the_cost() -> None:
    study = study_with_test()
    study.complete(study.propose(wsd(0.01, 0.2)))
    cost = study_cost(study.state, horizon=HORIZON)
    assert (cost.trained, cost.range_test, cost.retrained) == (HORIZON + 100, 100, 0)
    assert cost.full_cost == cost.trained - cost.range_test


def test_a_study_without_a_range_test_has_no_picture_of_one() -> None:
    assert study_range_test(example_study().state, SPACE) is None
    assert summarise(example_study().state, SPACE)["range_test"] is None


@pytest.mark.parametrize("bend", [1.0, -1.0])
def test_a_sweep_is_drawn_whether_or_not_it_says_anything(bend: float) -> None:
    drawn = range_test_plot(analyse(SWEEP.schedule().lrs, bend * np.array(losses_of_sweep())))
    assert drawn is not None
    assert png(drawn).startswith(b"\x89PNG")


def test_the_sensitivity_is_the_excess_over_the_range_of_the_complete_trials() -> None:
    study = Study()
    study.begin()
    peaks = [0.001, 0.003, 0.01, 0.03, 0.05]
    for peak in peaks:
        study.complete(study.propose(wsd(peak, 0.2)))
    study.diverge(study.propose(wsd(0.09, 0.2)), 75)
    study.complete(study.propose(wsd(0.01, 0.2), "confirm", seed=5, of=2))
    ends = np.array([*(losses_of(wsd(peak, 0.2), 0)[-1] for peak in peaks), math.nan])
    untrained = max(trial.points[0].loss for trial in study.state.trials)
    ends[-1] = untrained
    x = np.log([*peaks, 0.09])
    by_hand = np.trapezoid(ends, x) / (x[-1] - x[0]) - ends.min()
    (found,) = summarise(study.state, SPACE)["lr_sensitivity"]
    assert found["family"] == "wsd"
    assert found["value"] == pytest.approx(by_hand, rel=1e-12)
    assert (found["low"], found["high"], found["runs"], found["reason"]) == (0.001, 0.09, 6, None)
    line = f"sensitivity wsd {found['value']:.4f} nats over LR 0.001 to 0.09"
    assert line in final_lines(summarise(study.state, SPACE))


def test_too_few_trials_leave_a_reason_and_no_line() -> None:
    study = Study()
    study.begin()
    for peak in (0.001, 0.01):
        study.complete(study.propose(wsd(peak, 0.2)))
    summary = summarise(study.state, SPACE)
    assert summary["lr_sensitivity"][0]["value"] is None
    assert "2 runs in 2 quarter decades" in summary["lr_sensitivity"][0]["reason"]
    assert "say too little" in summary["lr_sensitivity"][0]["reason"]
    assert not any(line.startswith("sensitivity") for line in final_lines(summary))
