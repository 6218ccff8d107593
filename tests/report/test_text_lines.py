from __future__ import annotations

from dataclasses import replace

import pytest
from example_study import DEFAULT, HORIZON, SPACE, Study, example_study, search_of_fourteen, wsd

from autosched.errors import StudyError
from autosched.report.summary import summarise
from autosched.report.text import final_lines, gain_text, status_lines, trial_lines
from autosched.schedules import build
from autosched.space import Component


def line(lines: list[str], start: str) -> str:
    [found] = [text for text in lines if text.startswith(start)]
    return found


def test_the_end_tells_the_winner_its_forecast_its_gain_and_its_cost() -> None:
    places = {"schedule": "out/schedule.json", "report": "out/report.html"}
    tracking = {"uri": "sqlite:///mlflow.db", "experiment": "demo", "run_id": "abc"}
    summary = summarise(example_study().state, SPACE, artifacts=places, tracking=tracking)
    lines = final_lines(summary)
    assert "trial 12: wsd(peak_lr=0.048" in line(lines, "best")
    assert f"{summary['best']['value']:.4f} after 600 updates" in line(lines, "loss")
    assert line(lines, "predicted").endswith("at update 480")
    assert "on 3 fresh seeds (90% interval +" in line(lines, "gain")
    assert "16.5 full runs trained, 0.2 of them again, 1.6 reused, 1.8 saved by pruning" in line(lines, "cost")
    assert line(lines, "holdouts").endswith("1 false kill among 2 condemned trials kept as holdouts")
    assert line(lines, "mlflow") == "mlflow      run abc of demo in sqlite:///mlflow.db"
    assert line(lines, "report").endswith("out/report.html")
    assert line(lines, "schedule").endswith("out/schedule.json")


def test_a_gain_that_may_be_chance_says_so() -> None:
    seen = {"seeds": [1, 2], "gain": 0.01, "gain_low": -0.02, "gain_high": 0.04}
    assert gain_text(seen) == "+0.0100 nats on 2 fresh seeds (90% interval -0.0200 to +0.0400; it may be chance)"
    assert gain_text({**seen, "seeds": [1], "gain_low": None}) == "+0.0100 nats on 1 fresh seed"
    assert gain_text({**seen, "gain": None}) is None


def test_a_default_that_wins_is_no_gain() -> None:
    study = Study()
    study.begin()
    study.propose(build("wsd", DEFAULT, steps=HORIZON), "default")
    study.complete(0)
    lines = final_lines(summarise(study.state, SPACE))
    assert line(lines, "default") == "default     nothing the search tried is better than the default"
    assert not [text for text in lines if text.startswith("gain")]


def test_a_study_that_found_nothing_says_so() -> None:
    assert "best        none: no trial reached the horizon" in final_lines(summarise(Study().state, SPACE))


def test_the_status_names_what_ended_last_and_what_runs() -> None:
    study = search_of_fourteen()
    study.train(study.propose(wsd(0.013, 0.3)))
    lines = status_lines(summarise(study.state, SPACE), study.state, SPACE)
    assert line(lines, "study") == "study       wsd-demo, interrupted"
    assert line(lines, "order") == "order       virtual"
    assert line(lines, "trials").startswith("trials      15 proposed, 7 complete, 3 pruned")
    assert any(text.startswith("  trial 12 complete: loss 1.") for text in lines)
    assert any(text.startswith("  trial 14 at update 120 of 600, loss ") for text in lines)


def test_a_trial_is_explained_by_its_decisions() -> None:
    lines = trial_lines(search_of_fourteen().state, SPACE, 12)
    assert lines[0] == "trial 12 of study wsd-demo: proposed by the search"
    assert "peak_lr=0.048" in line(lines, "schedule")
    decisions = lines[lines.index("decisions, by the pruner law") + 1 :]
    assert [text.split()[1] for text in decisions] == ["120", "240", "360", "480"]
    assert decisions[2].endswith("[holdout: condemned, kept to check the pruner]")


def test_a_confirming_run_names_the_trial_it_confirms() -> None:
    lines = trial_lines(example_study().state, SPACE, 14)
    assert lines[0].endswith("confirms trial 12 on seed 11")


def test_a_diverged_trial_tells_its_reason_once() -> None:
    outcome = line(trial_lines(search_of_fourteen().state, SPACE, 4), "outcome")
    assert outcome == "outcome     trial 4 diverged at update 75: the loss is not finite <inf>"


@pytest.mark.parametrize("number", [-1, 14])
def test_an_unknown_trial_is_refused(number: int) -> None:
    with pytest.raises(StudyError, match=rf"trial must be one of study 'wsd-demo' \(0 to 13\), but got {number}"):
        trial_lines(search_of_fourteen().state, SPACE, number)


def test_the_lrs_of_stages_are_listed_and_who_judged_is_said() -> None:
    study = Study()
    study.begin()
    stages = {"values": [0.02, 0.005, 1e-4], "boundaries": [120, 480]}
    number = study.propose(build("piecewise", stages, steps=HORIZON))
    study.train(number)
    study.judge(number)
    lines = trial_lines(study.state, SPACE, number)
    assert "values      0.02, 0.005, 0.0001" in lines
    assert "boundaries  120, 480" in lines
    other = replace(SPACE, pruner=Component(name="none"))
    assert "decisions, by the pruner none and the controller law" in trial_lines(study.state, other, number)
