"""Finished work is reused only where the trainer's code and data are those that did it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import autosched
from autosched.errors import StudyError, UsageError
from autosched.ledger.events import LimitsChanged, StudyCreated
from autosched.ledger.state import StudyState
from autosched.ledger.store import Ledger
from autosched.space import space_from_json, space_to_json
from autosched.space.records import Space
from autosched.study.identity import changed_limits, check_unchanged, with_fingerprints
from autosched.study.run import RunOptions
from autosched.study.start import Settings, start
from autosched.trainer.fingerprints import changes

TRAINER = """\
import json
from pathlib import Path


class {name}:
    def __init__(self, options, *, seed, horizon):
        self.base = {base} + len(Path(options["data"]).read_text())
        self.start()

    def start(self):
        self.step, self.area = 0, 0.0

    def train(self, lrs):
        self.step, self.area = self.step + len(lrs), self.area + float(lrs.sum())
        return {{"train_loss": self.base + self.area}}

    def evaluate(self):
        return self.base + self.area

    def save(self, file):
        file.write(json.dumps([self.step, self.area]).encode())

    def load(self, file):
        self.step, self.area = json.loads(file.read())
"""


@pytest.fixture
def space(folder: Path, mapping: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Space:
    """Of a trainer of one's own that reads a file, in the current folder."""
    monkeypatch.syspath_prepend(str(folder))
    name = f"own_{folder.name.translate(str.maketrans('[]-', '___'))}"
    Path(f"{name}.py").write_text(TRAINER.format(name="Mine", base=1))
    Path("corpus.txt").write_text("text")
    mapping["trainer"] = {"use": f"{name}:Mine", "with": {"data": "corpus.txt"}}
    return space_from_json(mapping)


def code_of(space: Space) -> Path:
    return Path(f"{space.trainer.use.partition(':')[0]}.py")


def begun(ledger: Ledger, space: Space, name: str) -> StudyState:
    """A study that was entered in the ledger."""
    known, _ = with_fingerprints(space, ledger, reuse_anyway=False)
    created = StudyCreated(space=space_to_json(space), versions={}, fingerprints=known.trainer.fingerprints)
    ledger.append(name, 0, [created])
    return ledger.state(name)


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    """An empty one in the current folder."""
    return Ledger("sqlite:///autosched.db")


def test_with_other_data_a_study_trains_anew_and_with_the_old_it_reuses(space: Space) -> None:
    def loss_and_trained(name: str, **options: bool) -> tuple[float | None, int]:
        study = autosched.tune(space, name=name, backend="local", progress=False, trust_trainer=True, **options)
        return study.trials[0].value, study.state.steps_trained

    first, trained = loss_and_trained("one")
    assert loss_and_trained("two") == (first, 0)
    Path("corpus.txt").write_text("another text")
    anew, again = loss_and_trained("three")
    assert first is not None
    assert anew == pytest.approx(first + 8)
    assert again == trained > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda space: Path("corpus.txt").write_text("other"), r"other code or data: corpus\.txt has changed\. Begin"),
        (lambda space: Path("corpus.txt").unlink(), r"corpus\.txt is gone\."),
        (lambda space: code_of(space).write_text(TRAINER.format(name="Mine", base=100)), r"own_\w+ has changed\."),
        (lambda space: code_of(space).write_text("import helper\n" + TRAINER.format(name="Mine", base=1)), "is new"),
    ],
    ids=["data", "no data", "code", "a module"],
)
def test_an_unfinished_study_stops_when_its_code_or_data_have_changed(
    space: Space, ledger: Ledger, change: Callable[[Space], object], message: str
) -> None:
    Path("helper.py").write_text("")
    state = begun(ledger, space, "s")
    check_unchanged(state, space.trainer)
    change(space)
    with pytest.raises(StudyError, match=message):
        check_unchanged(state, space.trainer)
    with pytest.raises(StudyError, match=message):
        autosched.resume("s", progress=False)


def test_results_of_old_code_count_by_wish(space: Space, ledger: Ledger) -> None:
    state = begun(ledger, space, "first")
    code_of(space).write_text(TRAINER.format(name="Mine", base=100))
    now, notes = with_fingerprints(space, ledger, reuse_anyway=False)
    assert now.trainer.fingerprints != state.fingerprints
    assert notes == []
    then, notes = with_fingerprints(space, ledger, reuse_anyway=True)
    assert then.trainer.fingerprints == state.fingerprints
    assert notes == [f"results of 'first' count, although {code_of(space).stem} has changed."]
    other = replace(space, trainer=replace(space.trainer, options={"data": "corpus.txt", "width": 3}))
    assert with_fingerprints(other, ledger, reuse_anyway=True)[1] == []


def test_a_study_of_a_version_without_fingerprints_goes_on(space: Space, ledger: Ledger) -> None:
    ledger.append("old", 0, [StudyCreated(space=space_to_json(space), versions={})])
    check_unchanged(ledger.state("old"), space.trainer)


def test_many_changes_are_counted_and_not_listed() -> None:
    then = {f"m{number}": "a" for number in range(9)}
    assert changes(then, then) == ""
    assert changes(then, {}) == "m0, m1, m2, m3 and 5 more is gone"
    assert changes({"a": "1", "b": "1"}, {"a": "2", "c": "1"}) == "a has changed; b is gone; c is new"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"eval_every": 5}, "eval_every is 10 there, but 5 here. Go on as it was begun with `autosched resume"),
        ({"schedule.wsd.peak_lr.high": 0.5}, "schedule.wsd.peak_lr.high is 0.1 there, but 0.5 here."),
        ({"trainer.with.noise": 0.5}, "trainer.with.noise is 0.0 there, but 0.5 here."),
        ({"confirm.seeds": 1, "seed": 3}, "seed is 0 there, but 3 here; confirm.seeds is 0 there, but 1 here."),
        ({"budget.trials": 12, "confirm.seeds": 1}, "confirm.seeds is 0 there, but 1 here. Go on"),
        ({"controller": "tpe", "pruner": "law", "seed": 1, "eval_every": 5, "horizon_steps": 50}, "1 more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_study_is_not_gone_on_with_beside_another_space(
    plain: autosched.Study, overrides: dict[str, object], message: str
) -> None:
    with pytest.raises(StudyError, match=f"the study 's' was begun with another space: .*{re.escape(message)}"):
        start("space.yaml", Settings(overrides=overrides), resume=True)


def test_a_finished_study_keeps_its_limits(plain: autosched.Study) -> None:
    said = r"'s' is finished, .*: budget\.trials is 5 there, but 12 here\. Begin another"
    with pytest.raises(StudyError, match=said):
        start("space.yaml", Settings(overrides={"budget.trials": 12}), resume=True)


def test_an_unfinished_study_goes_on_with_another_budget_and_more_workers(
    folder: Path, mapping: dict[str, object]
) -> None:
    space = space_from_json(mapping)
    start(space, Settings()).ledger.close()
    other = {"budget.trials": 3, "budget.minutes": 60}
    again = start(space, Settings(workers=3, overrides=other), resume=True)
    assert again.notes == (
        "the study 's' goes on with other limits: budget.trials is 3, was 5; budget.minutes is 60.0, was nothing; "
        "resources.workers is 3, was 2.",
    )
    assert [type(each.event) for each in again.ledger.read("s")] == [StudyCreated, LimitsChanged]
    again.ledger.close()
    same = start(space, Settings(workers=3, overrides=other), resume=True)
    assert same.notes == ()
    same.ledger.close()
    study = autosched.resume("s", backend="local", progress=False)
    assert (study.space.budget.minutes, study.space.resources.workers) == (60, 3)
    begun = autosched.tune(space, name="begun", workers=3, overrides=other, backend="local", fresh=True, progress=False)
    assert [trial.value for trial in study.trials] == [trial.value for trial in begun.trials]
    assert len(study.trials) == 3


def test_a_study_is_gone_on_with_wherever_its_ledger_is_said_to_lie(plain: autosched.Study) -> None:
    for ledger in ("sqlite:///autosched.db", f"sqlite:///{Path.cwd()}/autosched.db"):
        started = start("space.yaml", Settings(ledger=ledger), resume=True)
        assert started.study == "s"
        started.ledger.close()


@pytest.mark.parametrize(
    ("begun", "said", "kept"),
    [
        ("cluster", None, "arrival"),
        ("cluster", "virtual", "virtual"),
        ("here", None, None),
        ("here", "arrival", "arrival"),
    ],
)
def test_where_a_study_begins_decides_its_order(
    folder: Path, mapping: dict[str, object], begun: str, said: str | None, kept: str | None
) -> None:
    overrides = {} if said is None else {"resources.order": said}
    started = start(mapping, Settings(overrides=overrides), on_cluster=begun == "cluster")
    assert space_from_json(dict(started.ledger.state("s").space)).resources.order == kept
    started.ledger.close()
    for elsewhere in (True, False):  # a study keeps its order wherever it goes on
        start(mapping, Settings(), resume=True, on_cluster=elsewhere).ledger.close()
    other = "virtual" if kept == "arrival" else "arrival"
    with pytest.raises(StudyError, match=f"resources.order is '{kept or 'virtual'}' there, but '{other}' here"):
        start(mapping, Settings(overrides={"resources.order": other}), resume=True)


def test_a_password_in_a_space_that_differs_is_not_shown(plain: autosched.Study) -> None:
    tracking = replace(plain.space.tracking, uri="postgresql://me:secret@host/db")
    with pytest.raises(StudyError, match=r"tracking\.uri is") as caught:
        changed_limits(replace(plain.space, tracking=tracking), plain.state)
    assert "secret" not in str(caught.value)


def test_old_results_cannot_be_taken_and_left_at_once() -> None:
    with pytest.raises(UsageError, match="reuse-anyway takes old results, and fresh takes none: give one of them"):
        RunOptions(backend="local", reuse=False, reuse_anyway=True)
