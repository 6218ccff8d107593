"""A space may list the schedules that are worth a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from space_text import LINES

from autosched.errors import SpaceError
from autosched.space import Choice, Fixed, contains, draw, load_space, space_digest, space_from_json, space_to_json
from autosched.space.records import ScheduleSpec

CANDIDATES = """\
candidates:
  - wsd: {peak_lr: 1e-2, warmup_steps: 30, cooldown_fraction: 0.2}
  - wsd: {peak_lr: 1e-3, warmup_steps: 30, cooldown_fraction: 0.2, cooldown_shape: sqrt}
  - wsd: {peak_lr: 3e-3, warmup_steps: 30, cooldown_fraction: 0.5}
  - cosine: {peak_lr: 1e-2, warmup_steps: 30}"""
FIRST = 9
"""The line where ``candidates`` stands."""


def written(folder: Path, candidates: str = CANDIDATES) -> Path:
    """The sound space with candidates instead of a schedule, and no default."""
    lines = [*LINES[:8], *candidates.splitlines(), *LINES[20:]]
    path = folder / "space.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_families_have_the_values_that_are_listed(tmp_path: Path) -> None:
    space = load_space(written(tmp_path))
    assert [family.family for family in space.schedule] == ["wsd", "cosine"]
    domains = {name: parameter.domain for name, parameter in space.family("wsd").parameters.items()}
    assert domains["peak_lr"] == Choice(values=(1e-3, 3e-3, 1e-2))
    assert domains["cooldown_shape"] == Choice(values=("linear", "sqrt"))
    assert domains["warmup_steps"] == Fixed(value=30)
    assert domains["final_lr_ratio"] == Fixed(value=0.0)


def test_only_what_is_listed_is_inside(tmp_path: Path) -> None:
    space = load_space(written(tmp_path))
    assert all(contains(space, spec) for spec in space.candidates)
    unlisted = ScheduleSpec(family="wsd", params={**space.candidates[0].params, "peak_lr": 1e-3})
    assert not contains(space, unlisted)
    assert not contains(space, ScheduleSpec(family="linear", params={"peak_lr": 1e-2}))
    assert not contains(space, ScheduleSpec(family="wsd", params={"peak_lr": -1.0}))
    given = ScheduleSpec(family="cosine", params={"peak_lr": 1e-2, "warmup_steps": 30})
    assert contains(space, given)  # what is left to its default is not another schedule


def test_a_draw_is_a_candidate(tmp_path: Path) -> None:
    space, generator = load_space(written(tmp_path)), np.random.default_rng(0)
    drawn = [draw(space, generator) for _ in range(60)]
    assert all(spec in space.candidates for spec in drawn)
    assert {spec.family for spec in drawn} == {"wsd", "cosine"}


def test_json_gives_the_space_back(tmp_path: Path) -> None:
    space = load_space(written(tmp_path))
    again = space_from_json(space_to_json(space))
    assert again == space
    assert space_digest(again) == space_digest(space)


@pytest.mark.parametrize(
    ("candidates", "line", "says"),
    [
        ("candidates: 3", FIRST, "candidates must be a list of schedules"),
        ("candidates: []", FIRST, "but is empty"),
        ("candidates:\n  - wsd", FIRST + 1, r"candidates\[0\] must be one family with plain values"),
        ("candidates:\n  - wsdd: {peak_lr: 0.1}", FIRST + 1, "did you mean 'wsd'?"),
        ("candidates:\n  - wsd: 0.1", FIRST + 1, r"candidates\[0\].wsd must be a mapping"),
        ("candidates:\n  - cosine: {peek_lr: 0.1}", FIRST + 1, "did you mean 'peak_lr'?"),
        ("candidates:\n  - cosine: {peak_lr: -0.1}", FIRST + 1, "must be > 0, but got -0.1"),
        ("candidates:\n  - cosine: {peak_lr: {low: 0.1, high: 0.2}}", FIRST + 1, "must be"),
        ("candidates:\n  - cosine: {warmup_steps: 3}", FIRST + 1, "cosine.peak_lr is missing"),
        ("candidates:\n  - cosine: {peak_lr: 0.1, warmup_steps: 600}", FIRST + 1, "must be below the 600 steps"),
        (
            "candidates:\n  - cosine: {peak_lr: 0.1}\n  - cosine: {peak_lr: 0.1, final_lr_ratio: 0.0}",
            FIRST + 2,
            r"candidates\[1\] is the schedule of candidates\[0\] again",
        ),
        ("candidates:\n  - cosine: {peak_lr: 0.1}\nschedule: [cosine]", FIRST, "keep one of the two"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, candidates: str, line: int, says: str) -> None:
    with pytest.raises(SpaceError, match=says) as caught:
        load_space(written(tmp_path, candidates))
    assert caught.value.line == line
