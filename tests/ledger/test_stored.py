"""Ledgers of the version before trials had roles: read as they are; one that is unfinished is not gone on with.

The studies under ``stored/`` were made by that version on the simulated trainer: a line of JSON is an event.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autosched.engine.assembly import run_study
from autosched.engine.journal import Journal
from autosched.engine.local_backend import LocalBackend
from autosched.errors import StudyError
from autosched.ledger.events import Stamped, decode
from autosched.ledger.fold import fold
from autosched.ledger.records import segment_id
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.report.summary import summarise
from autosched.report.text import trial_lines
from autosched.space import space_from_json
from workers.simulated import SimulatedTrainer

STORED = Path(__file__).parent / "stored"
NAMES = ("law", "tpe", "autolrs", "decayed")


def events_of(name: str) -> list[Stamped]:
    rows = [json.loads(line) for line in (STORED / f"{name}.jsonl").read_text().splitlines()]
    return [Stamped(number=r["number"], time=r["time"], event=decode(r["kind"], r["payload"])) for r in rows]


@pytest.fixture(scope="module", params=NAMES)
def state(request) -> StudyState:
    return fold(request.param, events_of(request.param))


def test_a_finished_study_is_read_and_reported(state: StudyState) -> None:
    space = space_from_json(dict(state.space))
    summary = summarise(state, space)
    assert summary["state"] == "finished"
    assert summary["best"]["value"] == min(t.value for t in state.searched if t.value is not None)
    assert all(trial_lines(state, space, trial.number) for trial in state.trials)


def test_its_trials_are_of_the_kind_they_had_and_were_meant_for_the_horizon(state: StudyState) -> None:
    assert not state.records_roles
    assert {turn.role for trial in state.trials for turn in trial.turns} <= {"default", "search", "confirm"}
    assert {turn.until for trial in state.trials for turn in trial.turns} == {240}
    # of shapes made of + - * / and sqrt; the last bits of the others were their machine's when these were recorded
    plain = [trial for trial in state.trials if trial.params.get("cooldown_shape") in ("linear", "sqrt")]
    assert plain
    assert all(trial.schedule.fingerprint == trial.fingerprint for trial in plain)


def test_its_segments_are_found_by_the_identities_they_had(state: StudyState) -> None:
    space, trial = space_from_json(dict(state.space)), state.trials[0]
    first = trial.segments[0]
    lrs = trial.schedule.lrs[: state.scheduled[first].stop]
    assert segment_id(space.trainer, seed=trial.seed, eval_every=space.eval_every, lrs=lrs) == first


def test_an_unfinished_one_is_refused_by_a_line_that_says_what_to_do(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    stored = events_of("law")[:90]
    ledger.append("law", 0, [stamped.event for stamped in stored])
    journal = Journal(ledger, "law")
    space = space_from_json(dict(journal.state.space))
    backend = LocalBackend(lambda use, options, seed, horizon: SimulatedTrainer(options, seed=seed, horizon=horizon))
    with pytest.raises(StudyError, match="finish it with that version, or begin a new one that takes over its runs"):
        run_study(space, ledger, journal, backend)
    assert journal.state.events == len(stored)
