"""What is sent to a cluster: everything the study needs, nothing that is secret, nothing that would be lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from autosched.errors import SpaceError, UsageError
from autosched.space import load_space
from autosched.study.start import Settings
from autosched.study.submission import SPACE_FILE, packed, packed_again
from autosched.study.supervisor import main
from autosched.urls import without_password
from workers.ray_jobs import RayJobs, check_token

LASTING = ["storage.checkpoints=s3://runs/checkpoints", "storage.reports=/shared/reports", "tracking=none"]
SPACE = """\
study: sent
trainer: {use: simulated}
horizon_steps: 40
schedule:
  wsd: {peak_lr: {low: 1e-3, high: 1e-1, scale: log}, warmup_steps: 4, cooldown_fraction: 0.2}
budget: {trials: 2}
resources: {order: arrival}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSCHED_LEDGER", raising=False)
    Path("space.yaml").write_text(SPACE)
    return tmp_path


def settings(*overrides: str, ledger: str | None = None) -> Settings:
    return Settings(overrides=[*LASTING, *overrides], ledger=ledger)


def test_a_space_is_sent_as_it_was_checked_and_its_ledger_without_the_password(folder: Path) -> None:
    asked = settings("seed=3", ledger="postgresql://me:hush@db/autosched")
    with packed("space.yaml", asked, restarts=5) as sent:
        assert sent.study == "sent"
        assert [path.name for path in sent.folder.iterdir()] == [SPACE_FILE]
        assert "hush" not in (sent.folder / SPACE_FILE).read_text() + " ".join(sent.command)
        assert sent.command[3:9] == ["--restarts", "5", "--ledger", "postgresql://me@db/autosched", "--", "tune"]
        there = load_space(sent.folder / SPACE_FILE)
    assert (there.seed, there.resources.order) == (3, "arrival")
    assert not sent.folder.exists()
    with packed("space.yaml", settings("resources.order=virtual"), restarts=0) as sent:
        assert load_space(sent.folder / SPACE_FILE).resources.order == "virtual", "its word wins there"


def test_a_trainer_of_ones_own_is_sent_with_the_folder_without_what_studies_left_there(folder: Path) -> None:
    Path("mine.py").write_text("from workers.simulated import SimulatedTrainer as Mine\n")
    for name in ("autosched.db", "autosched.db-wal", "mlflow.db", ".hidden"):
        Path(name).write_text("x")
    Path("reports").mkdir()
    with packed("space.yaml", settings("trainer.use=mine:Mine"), restarts=0) as sent:
        assert sorted(path.name for path in sent.folder.iterdir()) == [SPACE_FILE, "mine.py", "space.yaml"]
    with packed_again("sent", "mine:Mine", None, ["--fresh"], restarts=0) as again:
        assert again.command[-5:] == ["resume", "sent", "--address", "auto", "--fresh"]
        assert (again.folder / "mine.py").exists()


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("storage.checkpoints=checkpoints", "as --set storage.checkpoints=/shared/checkpoints."),
        ("storage.reports=reports", "as --set storage.reports=/shared/reports."),
        ("tracking={uri: 'sqlite:///mlflow.db'}", "as --set tracking.uri=http://mlflow:5000, or none."),
        ("storage.checkpoints='s3://key:secret@runs'", "storage.checkpoints has a secret in it"),
    ],
)
def test_what_would_be_lost_or_shown_is_refused(folder: Path, key: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice), packed("space.yaml", settings(key), restarts=0):
        pass


def test_a_fault_of_the_space_is_found_before_anything_is_sent(folder: Path) -> None:
    fault = pytest.raises(SpaceError, match=r"resources\.order must be one of virtual, arrival, but got 'random'")
    with fault, packed("space.yaml", settings("resources.order=random"), restarts=0):
        pass


def test_a_ledger_in_the_jobs_folder_is_refused_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--", "tune"]) == 2
    assert "the ledger would vanish with the job's folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:a:b@c@db:5432/x?sslmode=require&password=p", "postgresql://me@db:5432/x?sslmode=require"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("sqlite:////shared/a@b?c.db", "sqlite:////shared/a@b?c.db"),
        ("/shared/a", "/shared/a"),
    ],
)
def test_a_url_without_its_password_still_names_the_place(url: str, kept: str) -> None:
    assert without_password(url) == kept


def test_a_cluster_is_spoken_to_with_a_token_of_ones_own_or_not_at_all(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        check_token({"RAY_AUTH_TOKEN_PATH": str(token)})
    token.chmod(0o600)
    check_token({"RAY_AUTH_TOKEN_PATH": str(token)})
    check_token({"RAY_AUTH_MODE": "disabled"})
    check_token({"RAY_AUTH_TOKEN": "t"})
    with pytest.raises(UsageError, match="set RAY_AUTH_TOKEN_PATH to a file"):
        check_token({})
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        check_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")})
    with pytest.raises(UsageError, match="must be a Ray dashboard's"):
        RayJobs("ray://h:1")
