from dataclasses import replace

from autosched.ledger.state import StudyState
from autosched.report.sharing import shared_beginnings, sharing_note
from autosched.space.trainer_spec import TrainerSpec
from tests.engine.studies import Study, wsd_space


def test_equal_beginnings_of_a_seed_are_what_checkpoints_would_have_saved(tmp_path):
    space = wsd_space(tmp_path, fixed={"peak_lr": 0.01})
    state = Study(space).run()
    assert shared_beginnings(state, space) == sum(trial.steps_shared for trial in state.trials) > 0
    assert sharing_note(state, space) is None
    command = replace(space, trainer=TrainerSpec(use="command", options={"run": "train {lrs}"}))
    assert "share them by {checkpoint_in} and {checkpoint_out}" in str(sharing_note(state, command))
    assert sharing_note(StudyState(name="s"), command) is None
