from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import Study, wsd_space

from autosched.curves import Curve
from autosched.laws.files import SavedLaw
from autosched.laws.fit import FitFailure
from autosched.ledger.state import StudyState
from autosched.report.law_fit import misfit, study_law
from autosched.report.law_surface import law_record
from autosched.search.surrogate import Fitted, Surrogate
from autosched.space import build_schedule
from autosched.space.records import Budget, Component, ScheduleSpec


def test_a_study_without_curves_has_no_law(tmp_path: Path) -> None:
    found = study_law(StudyState("empty"), wsd_space(tmp_path))
    assert isinstance(found, FitFailure)
    assert found.reason == "nothing is trained yet."
    assert law_record(found, wsd_space(tmp_path), None) == {"why": found.reason}


@pytest.mark.slow
def test_the_law_of_a_study_knows_its_trials_and_survives_its_file(tmp_path: Path) -> None:
    space = wsd_space(tmp_path, budget=Budget(trials=8), pruner=Component(name="none"))
    state = Study(space).run()
    found = study_law(state, space)
    assert isinstance(found, SavedLaw)
    again = SavedLaw.from_json(found.to_json())
    best = state.best_trial()
    assert best is not None
    schedule = build_schedule(space, ScheduleSpec(family=best.family, params=best.params))
    predicted = again.law.predict(schedule)
    assert np.array_equal(predicted, found.law.predict(schedule))
    assert abs(predicted[-1] - best.value) < 0.05
    drawn = law_record(found, space, best)
    assert drawn["misfit"] == misfit(found)
    for surface in drawn["surfaces"]:
        assert np.array(surface["z"], dtype=np.float64).shape == (len(surface["ys"]), len(surface["xs"]))
        point = {**best.params, surface["x"]: surface["xs"][0], surface["y"]: surface["ys"][0]}
        corner = build_schedule(space, ScheduleSpec(family=best.family, params=point))
        assert surface["z"][0][0] == pytest.approx(found.law.predict(corner)[-1], rel=0.02)
    followed = Surrogate(space).at(state)
    assert isinstance(followed, Fitted)
    assert np.array_equal(followed.law.predict(schedule), predicted)  # one law searches, is reported and kept
    for trial in (best, state.trials[0]):
        steps = np.array([point.step for point in trial.points], dtype=np.float64)
        losses = np.array([point.loss for point in trial.points])
        spec = ScheduleSpec(family=trial.family, params=trial.params)
        log = Curve(schedule=build_schedule(space, spec), steps=steps, losses=losses)
        assert again.run_of(log) == followed.runs[trial.number]
