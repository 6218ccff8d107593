"""Going on from a trained model: its checkpoint taken away, other text learned, both losses kept and judged."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run

import autosched
from autosched.curves.continued import continued
from autosched.curves.csv_files import read_curve
from autosched.errors import UsageError
from autosched.laws.files import read_law
from autosched.schedules.schedule import Schedule
from autosched.space import load_space
from autosched.space.document import Document
from autosched.space.yaml_file import read_space
from autosched.study.results import Study
from autosched.study.start import CHECKS
from autosched.tracking.translation import curve_csv
from workers.gpt import GptTrainer
from workers.registry import trainer_fingerprints

SIZES = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 2, "eval_batches": 2, "device": "cpu"}


def space(study: str, **changes: Any) -> dict[str, Any]:
    return {
        "study": study,
        "trainer": {"use": "gpt", "with": SIZES},
        "horizon_steps": 8,
        "eval_every": 2,
        "checkpoint_every": 4,
        "candidates": [{"constant": {"peak_lr": 0.01}}, {"constant": {"peak_lr": 0.02}}],
        "controller": "random",
        "pruner": "none",
        "budget": {"trials": 2},
        "tracking": "none",
        **changes,
    }


def going_on(**changes: Any) -> dict[str, Any]:
    options = {**SIZES, "data": "headers", "old_data": "stdlib", "init_from": "pretrained.pt"}
    return space("continual", trainer={"use": "gpt", "with": options}, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model was trained, its checkpoint exported, and a study went on from it."""
    folder = tmp_path_factory.mktemp("continual")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        autosched.tune(space("first"), backend="local", progress=False)
        assert run(["export", "first", "--to", "checkpoint", "--out", "pretrained.pt"]) == 0
        autosched.tune(going_on(objective={"new": 0.25, "old": 0.75}), backend="local", progress=False)
    return folder


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_run_begins_with_the_weights_of_the_file_whatever_its_seed() -> None:
    first, best = Study("first"), Study("first").trial()
    for seed in (3, 4):
        trainer = GptTrainer({**SIZES, "init_from": "pretrained.pt"}, seed=seed, horizon=8)
        trainer.start()
        assert (trainer.step, trainer.evaluate()) == (0, best.value)
    assert first.checkpoint() == Path("pretrained.pt").read_bytes()


def test_a_state_dict_of_another_program_will_do(tmp_path: Path) -> None:
    weights = torch.load("pretrained.pt", weights_only=True)["state"]["model"]
    for name, document in {"plain.pt": weights, "nested.pt": {"iter": 3, "model": weights}}.items():
        torch.save(document, tmp_path / name)
        trainer = GptTrainer({**SIZES, "init_from": str(tmp_path / name)}, seed=0, horizon=8)
        trainer.start()
        assert trainer.evaluate() == Study("first").trial().value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_from": "absent.pt"}, "init_from: absent.pt cannot be read: No such file"),
        ({"init_from": "autosched.db"}, "init_from: autosched.db: the checkpoint is damaged or no checkpoint at all"),
        ({"layers": 2}, "blocks.1.attention.project.weight is not in pretrained.pt, and the model here has it"),
        ({"width": 32}, r"embed.weight must have the shape \(256, 32\) here, but in pretrained.pt it has \(256, 16\)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^gpt trainer: (init_from: )?{message}"):
        GptTrainer.check_options({**SIZES, "init_from": "pretrained.pt", **options})


def test_what_the_file_holds_is_a_part_of_the_identity_of_finished_work(tmp_path: Path) -> None:
    def identity(path: str) -> dict[str, str]:
        return trainer_fingerprints("gpt", {**SIZES, "init_from": path})

    other = tmp_path / "pretrained.pt"
    other.write_bytes(Path("pretrained.pt").read_bytes())
    assert list(identity(str(other)).values()) == list(identity("pretrained.pt").values())
    other.write_bytes(other.read_bytes() + b"1")
    assert list(identity(str(other)).values()) != list(identity("pretrained.pt").values())
    assert trainer_fingerprints("gpt", SIZES) == {}


def test_all_losses_are_kept_and_their_weighted_sum_is_judged() -> None:
    study = Study("continual")
    points = [point for trial in study.trials for point in trial.points]
    assert len(points) == 8
    for point in points:
        assert list(point.losses) == ["new", "old"]
        assert point.loss == 0.25 * point.losses["new"] + 0.75 * point.losses["old"]
    assert study.trial().value == min(trial.points[-1].loss for trial in study.trials)
    assert study.curves_of("old")[1].losses.tolist() == [point.losses["old"] for point in study.trials[1].points]
    assert study.summary["best"]["losses"] == dict(study.trial().points[-1].losses)
    assert study.plot("named_losses").axes[1].get_title(loc="left") == "old"
    with pytest.raises(UsageError, match=r"^loss must be one of new, old, but got 'odl'\.$"):
        study.curves_of("odl")


def test_without_an_objective_the_first_loss_is_judged() -> None:
    study = autosched.tune(going_on(), name="first-loss", backend="local", progress=False)
    assert all(point.loss == point.losses["new"] for point in study.trials[0].points)
    assert study.space.objective == {}


def test_a_law_is_fitted_to_one_of_the_losses_after_the_run_that_trained_the_model(
    tmp_path: Path,
) -> None:
    schedules = [Schedule(np.linspace(peak, 0.1 * peak, 200)) for peak in (0.01, 0.02, 0.03)]
    trial = Study("continual").trials[0]
    for number, schedule in enumerate(schedules):
        points = [
            dataclasses.replace(trial.points[0], step=step, losses={"new": 2.0 + step**-0.5, "old": 3.0 - step**-0.5})
            for step in range(10, 201, 10)
        ]
        table = curve_csv(dataclasses.replace(trial, points=points), schedule)
        assert table.startswith(b"step,lr,loss,loss_new,loss_old\n")
        (tmp_path / f"{number}.csv").write_bytes(table)
    before, law = Schedule(np.full(100, 0.02)), tmp_path / "law.json"
    (tmp_path / "before.json").write_text(before.to_json())
    told = ["--law", "continual", "--after", str(tmp_path / "before.json"), "--effect", "adaptation", "--out", str(law)]
    assert run(["fit", *map(str, sorted(tmp_path.glob("*.csv"))), "--loss", "new", *told]) == 0
    whole = continued(read_curve(tmp_path / "0.csv"), before)
    assert whole.losses[0] == trial.points[0].loss
    assert read_law(law).law.predict(whole.schedule)[-1] == pytest.approx(2.0 + 200**-0.5, abs=0.01)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("odl", r"^objective names the loss 'odl', but the gpt trainer gives the losses new, old\."),
        ({"new": 1, "old": -1}, r"^objective must be the name of a loss, or positive weights by name"),
        (["new"], r"^objective must be the name of a loss"),
    ],
)
def test_an_objective_of_what_there_is_not_is_refused(objective: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CHECKS["trainer"](read_space(Document(data=going_on(objective=objective), places={})))


def test_the_shipped_space_goes_on_from_the_demos_model() -> None:
    path = "continual.yaml"
    with pytest.raises(UsageError, match=r"continual\.yaml:\d+: gpt trainer: init_from: embed\.weight must have"):
        load_space(path, [], CHECKS)
    fitting = [f"trainer.with.{name}={json.dumps(value)}" for name, value in SIZES.items()]
    assert load_space(path, fitting, CHECKS).objective == {"new": 0.5, "old": 0.5}
