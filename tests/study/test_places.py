"""A study's files: beside its ledger, in a folder of whatever name, wherever it is moved."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import interrupted, write_space

import autosched
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.ledger.store import BACKENDS, Ledger
from autosched.space import load_space
from autosched.study.places import placed
from autosched.tracking.mlflow_store import connect, parse_address
from autosched.tracking.mlflow_tracker import MlflowTracker
from autosched.tracking.tracker import STUDY, StudyRun
from autosched.urls import database_url, sqlite_file, sqlite_url

NAMES = [
    "müller",
    "日本",
    "a b",
    "a%20b",
    "50%off",
    "a#b",
    "a'b",
    'a"b',
    "a?b",
    "a*b",
    "a[b]",
    "a:b",
    "a+b",
    "a\\b",
    "a@b",
]
STUDY_RUN = StudyRun(name="s", identity="1", params={}, tags={}, time=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_holds_all_of_a_study_and_nothing_is_made_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[Path], str], name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    new_store(folder)
    file = Path("mlflow.db").rename(f"runs{NAMES.index(name)}.db")  # MLflow keeps what it opened under a name
    tracker = MlflowTracker(f"sqlite:///{file}", experiment="e")
    tracker.check()
    run = tracker.open(STUDY_RUN)
    tracker.artifact(STUDY, "a.txt", b"a")
    assert [path.name for path in (folder / "mlartifacts").rglob("a.txt")] == ["a.txt"]
    client = connect(parse_address(f"sqlite:///{file}"))
    assert Path(client.download_artifacts(run, "a.txt", str(tmp_path))).read_bytes() == b"a"

    for url in ("sqlite:///ledger.db", sqlite_url(folder / "ledger.db")):
        Ledger(url).close()
    store = CheckpointStore("checkpoints")
    store.save(store.uri("ab"), lambda file: file.write(b"weights"))
    assert store.exists(store.uri("ab"))
    assert list(store.sizes()) == [store.uri("ab")]
    assert store.sweep_temporary(older_than=0) == 0
    with store.open(store.uri("ab")) as stream:
        assert stream.read() == b"weights"
    store.delete(store.uri("ab"))
    assert store.sizes() == {}
    assert {path.name for path in tmp_path.iterdir()} == {name, "a.txt"}
    made = {path.name for path in folder.iterdir()}
    assert made == {"checkpoints", "ledger.db", "mlartifacts", file.name, f"{file.name}.lock"}


@pytest.mark.parametrize(("copied", "left"), [(False, {"new"}), (True, {"old", "new"})])
def test_artifacts_go_where_the_database_is_when_its_folder_was_moved_or_copied(
    tmp_path: Path, new_store: Callable[[Path], str], copied: bool, left: set[str]
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    run = MlflowTracker(new_store(old), experiment="e").open(STUDY_RUN)
    files = old / "mlartifacts" / run / "artifacts"  # as another process left them: MLflow remembers a run's place
    files.mkdir(parents=True)
    (files / "first.txt").write_text("1")
    (shutil.copytree if copied else shutil.move)(old, new)
    there = sorted(path.relative_to(new) for path in new.rglob("*"))
    uri = f"sqlite:///{new}/mlflow.db"
    after = MlflowTracker(uri, experiment="e")
    assert after.open(STUDY_RUN) == run
    after.artifact(STUDY, "second.txt", b"2")
    assert {path.name for path in tmp_path.iterdir()} == left
    made = {path.name for path in new.rglob("*") if path.relative_to(new) not in there}
    assert {name for name in made if not name.startswith("mlflow.db")} == {"second.txt"}
    client = connect(parse_address(uri))
    assert {item.path for item in client.list_artifacts(run)} == {"first.txt", "second.txt"}
    if copied:
        assert not list(old.rglob("second.txt"))


def test_an_experiment_that_says_itself_where_its_artifacts_go_keeps_them_there(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    (tmp_path / "a").mkdir()
    uri = new_store(tmp_path / "a")
    client = connect(parse_address(uri))
    client.create_experiment("e", artifact_location=str(tmp_path / "b" / "mlartifacts"))
    tracker = MlflowTracker(uri, experiment="e")
    tracker.open(STUDY_RUN)
    tracker.artifact(STUDY, "a.txt", b"a")
    assert list((tmp_path / "b").rglob("a.txt"))


@pytest.mark.parametrize(
    ("ledger", "checkpoints", "reports", "tracking"),
    [
        ("sqlite:///autosched.db", ".autosched/checkpoints", "reports", "sqlite:///mlflow.db"),
        ("sqlite:///sub/x.db", "sub/.autosched/checkpoints", "sub/reports", "sqlite:///sub/mlflow.db"),
        ("sqlite:////abs/50%25?mode=rw", "/abs/.autosched/checkpoints", "/abs/reports", "sqlite:////abs/mlflow.db"),
        ("sqlite:////a%25b/x.db", "/a%b/.autosched/checkpoints", "/a%b/reports", "sqlite:////a%25b/mlflow.db"),
        ("postgresql://host/db", ".autosched/checkpoints", "reports", "sqlite:///mlflow.db"),
    ],
)
def test_what_is_not_absolute_is_beside_the_ledger(
    folder: Path, ledger: str, checkpoints: str, reports: str, tracking: str
) -> None:
    write_space({"tracking: none": "tracking: {uri: 'sqlite:///mlflow.db'}"})
    file = sqlite_file(database_url(ledger, "the ledger", BACKENDS))
    found = placed(load_space("space.yaml"), None if file is None else file.parent)
    assert (found.storage.checkpoints, found.storage.reports) == (checkpoints, reports)
    assert found.tracking.uri == tracking


@pytest.mark.parametrize(
    ("checkpoints", "reports", "uri"),
    [
        ("s3://bucket/x", "/abs/reports", "sqlite:////abs/m.db"),
        ("~/ck", "/r", "http://host:5000"),
        ("/c", "/r", "none"),
    ],
)
def test_what_is_absolute_stays(folder: Path, checkpoints: str, reports: str, uri: str) -> None:
    tracking = "none" if uri == "none" else f"{{uri: '{uri}'}}"
    write_space(
        {"tracking: none": f"tracking: {tracking}\nstorage: {{checkpoints: '{checkpoints}', reports: {reports}}}"}
    )
    space = load_space("space.yaml")
    assert placed(space, Path("elsewhere")) == space


def test_a_study_goes_on_where_its_folder_was_moved_and_from_any_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "old").mkdir()
    monkeypatch.chdir(folder / "old")
    write_space()
    interrupted()
    monkeypatch.chdir(folder)
    (folder / "old").rename(folder / "new")
    study = autosched.resume("s", ledger="sqlite:///new/autosched.db", progress=False)
    assert study.report == Path("new/reports/s/report.html")
    assert study.report.exists()
    assert study.summary["artifacts"] == autosched.Study("s", ledger="sqlite:///new/autosched.db").summary["artifacts"]
    assert sorted(path.name for path in folder.iterdir()) == ["new", "space.yaml"]
