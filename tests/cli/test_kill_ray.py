"""`kill -9` of the driver and of Ray's workers at random moments: the end is the uninterrupted study's."""

from pathlib import Path

import pytest
from killed_study import kill_at_random_moments

from autosched.ledger.state import StudyState


@pytest.mark.slow
@pytest.mark.ray("in processes of its own")
@pytest.mark.timeout(600)
def test_kill_9_at_random_moments_changes_nothing(tmp_path: Path, calm_storm: StudyState) -> None:
    kill_at_random_moments(tmp_path / "killed", calm_storm, "ray", kills=5)
