"""Options of the trainer that are searched beside the schedule: from a space to its study, export and report."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run

import autosched
from autosched.errors import SpaceError, UsageError
from autosched.laws.residual import HISTORY, history
from autosched.ledger.events import encode, kind_of
from autosched.ledger.store import Ledger
from autosched.schedules import Schedule
from autosched.space import ScheduleSpec, build_schedule, load_space, space_digest, space_from_json, space_to_json

OLD_LEDGER = "902ccad28a7c48c528a7494e819b2513537295bd937619cfd4a99995a78ad362"
"""SHA-256 of what was proposed, scheduled and reached by a study of the version before hyperparameters."""
OLD: dict[str, Any] = {
    "study": "old",
    "seed": 3,
    "trainer": {"use": "simulated"},
    "horizon_steps": 100,
    "eval_every": 10,
    "checkpoint_every": 20,
    "schedule": {
        "wsd": {
            "peak_lr": [0.003, 0.01, 0.03],
            "warmup_steps": 10,
            "cooldown_fraction": {"low": 0.1, "high": 0.8},
            "cooldown_shape": ["linear", "sqrt"],
        }
    },
    "default": {"wsd": {"peak_lr": 0.01, "warmup_steps": 10, "cooldown_fraction": 0.2}},
    "controller": "random",
    "pruner": "none",
    "budget": {"trials": 12},
    "tracking": "none",
}
BESIDE: dict[str, Any] = {
    **OLD,
    "study": "beside",
    "trainer": {"use": "simulated", "with": {"gain": 40.0}},
    "hyperparameters": {
        "gain": {"low": 10, "high": 160, "scale": "log"},
        "memory": [0.97, 0.98],
        "noise": {"value": 0.001, "when": {"memory": 0.98}},
        "checkpoint_bytes": {"low": 1, "high": 64, "scale": "log", "integer": True},
    },
    "default": {
        **OLD["default"],
        "hyperparameters": {"memory": 0.98, "noise": 0.001, "checkpoint_bytes": 8},
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hyperparameters")


def tuned(home: Path, space: dict[str, Any], **more: Any) -> autosched.Study:
    storage = {"ledger": f"sqlite:///{home}/ledger.db"}
    document = {**space, "storage": storage, **more}
    return autosched.tune(document, backend="local", progress=False)


@pytest.fixture(scope="module")
def beside(home: Path) -> autosched.Study:
    return tuned(home, BESIDE)


def test_a_space_without_hyperparameters_has_the_ledger_it_always_had(home: Path) -> None:
    study = tuned(home, OLD)
    digest = hashlib.sha256()
    for stamped in Ledger(f"sqlite:///{home}/ledger.db").read(study.name):
        if kind_of(stamped.event) in {"trial_proposed", "segment_scheduled", "trial_advanced"}:
            digest.update(encode(stamped.event).encode())
    assert digest.hexdigest() == OLD_LEDGER


def test_a_space_with_hyperparameters_is_the_same_after_the_ledger() -> None:
    space = space_from_json({**BESIDE, "storage": {}})
    assert space_from_json(json.loads(json.dumps(space_to_json(space), sort_keys=True))) == space
    assert space_digest(space) != space_digest(space_from_json({**OLD, "storage": {}}))
    assert list(space.family("wsd").parameters)[-4:] == ["gain", "memory", "noise", "checkpoint_bytes"]


def test_trials_train_with_their_hyperparameters(beside: autosched.Study) -> None:
    assert len(beside.trials) == 12
    assert all(trial.status == "complete" for trial in beside.trials)
    for trial in beside.trials:
        values = trial.hyperparameters
        assert 10 <= float(str(values["gain"])) <= 160
        assert ("noise" in values) == (values["memory"] == 0.98)
        assert isinstance(values["checkpoint_bytes"], int)
    assert dict(beside.trials[0].hyperparameters)["gain"] == 40.0  # the default's, which are the trainer's own


def test_prefixes_are_shared_by_trials_with_equal_hyperparameters_only(home: Path) -> None:
    """Three peaks, countable cooldowns: many LR prefixes are equal; a segment serves one setting."""
    space = {**OLD, "study": "prefixes", "hyperparameters": {"gain": [20, 40]}}
    study = tuned(home, {**space, "default": {**OLD["default"], "hyperparameters": {"gain": 40}}})
    holders: dict[str, set[Any]] = {}
    for trial in study.trials:
        for segment in trial.segments:
            holders.setdefault(segment, set()).add(trial.hyperparameters["gain"])
    assert all(len(settings) == 1 for settings in holders.values())
    assert sum(trial.steps_shared for trial in study.trials) > 0


def test_the_winner_is_taken_away_with_its_hyperparameters(
    home: Path, beside: autosched.Study, capsys: pytest.CaptureFixture[str]
) -> None:
    best = beside.best
    assert best is not None
    again = Schedule.from_json(beside.export("json"))
    assert again == beside.schedule()
    assert dict(again.hyperparameters) == dict(best.hyperparameters)
    assert again != beside.schedule().bare
    namespace: dict[str, Any] = {}
    exec(compile(beside.export("torch"), "schedule.py", "exec"), namespace)
    assert namespace["HYPERPARAMETERS"] == dict(best.hyperparameters)
    assert beside.summary["best"]["schedule"]["hyperparameters"] == dict(best.hyperparameters)
    shares = beside.summary["importance"]
    assert sum(shares.values()) == pytest.approx(1)
    assert {"gain", "peak_lr"} <= set(shares)
    assert run(["export", "beside", "--to", "csv", "--ledger", f"sqlite:///{home}/ledger.db"]) == 0
    assert "was tuned with gain=" in capsys.readouterr().err


@pytest.mark.parametrize("controller", ["law", "tpe", "gp", "qmc", "cmaes"])
def test_every_controller_proposes_them_and_goes_on_the_same(home: Path, controller: str) -> None:
    space = {**BESIDE, "controller": controller, "pruner": "law" if controller == "law" else "none"}
    whole = tuned(home, {**space, "study": f"{controller}-whole", "budget": {"trials": 9}})
    begun = tuned(home, {**space, "study": f"{controller}-cut", "budget": {"trials": 5}})
    assert {len(trial.hyperparameters) for trial in whole.trials} <= {3, 4}
    assert [t.fingerprint for t in begun.trials] == [t.fingerprint for t in whole.trials[: len(begun.trials)]]
    assert len({trial.fingerprint for trial in whole.trials}) == len(whole.trials)


def test_candidates_may_have_hyperparameters(home: Path) -> None:
    own = {name: part for name, part in OLD.items() if name not in {"schedule", "default"}}
    wsd = {"peak_lr": 0.01, "warmup_steps": 10, "cooldown_fraction": 0.2}
    listed = [{"wsd": wsd}, {"wsd": wsd, "hyperparameters": {"gain": 10}}, {"wsd": {**wsd, "peak_lr": 0.02}}]
    space = {**own, "study": "listed", "candidates": listed, "trainer": {"use": "simulated", "with": {"gain": 40}}}
    study = tuned(home, space, controller="tpe")
    assert sorted(trial.hyperparameters["gain"] for trial in study.trials) == [10, 40, 40]


def test_a_law_sees_weight_decay_by_the_timescale_that_it_makes() -> None:
    """Runs of equal LR x weight decay lie at one place of the timescale, at any update."""
    searched = {"low": 0.01, "high": 1.0, "scale": "log"}
    wsd = {"peak_lr": {"low": 1e-3, "high": 1e-1, "scale": "log"}, "warmup_steps": 0, "cooldown_fraction": 0.5}
    own = {name: part for name, part in BESIDE.items() if name != "default"}
    hyperparameters = {"weight_decay": searched}
    space = space_from_json({**own, "storage": {}, "schedule": {"wsd": wsd}, "hyperparameters": hyperparameters})

    def seen(peak: float, decay: float) -> Any:
        params = {"peak_lr": peak, "warmup_steps": 0, "cooldown_fraction": 0.5, "weight_decay": decay}
        spec = ScheduleSpec(family="wsd", params={**params, "cooldown_shape": "linear", "final_lr_ratio": 0.0})
        return history(build_schedule(space, spec), np.array([10.0, 100.0]))

    one, same, other = seen(0.01, 0.1), seen(0.1, 0.01), seen(0.01, 1.0)
    assert one.shape == (2, HISTORY + 2)
    assert one[:, HISTORY].tolist() == pytest.approx([0.5, 0.5])
    assert one[:, -1] == pytest.approx(same[:, -1])
    assert other[:, -1] - one[:, -1] == pytest.approx([1.0, 1.0])


def test_old_runs_are_placed_by_their_hyperparameters(home: Path, beside: autosched.Study) -> None:
    warm = tuned(home, {**BESIDE, "study": "warm", "warm_start": "beside", "controller": "law", "pruner": "law"})
    assert len(warm.trials) > 1
    with pytest.raises(SpaceError, match=r"runs were trained with gain .*: search gain, or write it as an option"):
        tuned(home, {**OLD, "study": "refused", "warm_start": "beside", "controller": "law", "pruner": "law"})


def test_groups_of_weights_have_their_ratio_of_the_lr() -> None:
    torch = pytest.importorskip("torch")
    from workers.gpt import GptTrainer

    def moved(**options: Any) -> dict[str, float]:
        model = {"layers": 1, "width": 8, "heads": 2, "context": 8, "batch": 2, "weight_decay": 0.0, "clip": 0.0}
        trainer = GptTrainer({**model, "averages": "none", **options}, seed=0, horizon=1)
        trainer.start()
        before = {name: weight.clone() for name, weight in trainer._run._parts()[0].named_parameters()}
        trainer.train(np.array([1e-3]))
        return {
            name: float((weight - before[name]).detach().abs().max())
            for name, weight in trainer._run._parts()[0].named_parameters()
        }

    assert torch.get_num_threads() >= 1
    usual, other = moved(), moved(embeddings_lr_ratio=4.0, head_lr_ratio=0.5)
    assert other["embed.weight"] == pytest.approx(4 * usual["embed.weight"], rel=1e-3)
    assert other["head.weight"] == pytest.approx(usual["head.weight"] / 2, rel=1e-3)
    assert other["blocks.0.widen.weight"] == pytest.approx(usual["blocks.0.widen.weight"], rel=1e-3)
    usual, other = moved(optimizer="muon"), moved(optimizer="muon", matrices_lr_ratio=2.0, head_lr_ratio=3.0)
    ratios = [other[name] / usual[name] for name in ("embed.weight", "blocks.0.widen.weight", "head.weight")]
    assert ratios == pytest.approx([1.0, 2.0, 3.0], rel=5e-3)
    with pytest.raises(UsageError, match="head_lr_ratio must be 1 with optimizer dog, which has one LR"):
        moved(optimizer="dog", head_lr_ratio=3.0)


def test_groups_of_weights_are_hyperparameters_in_other_words() -> None:
    searched = {"low": 0.1, "high": 10.0, "scale": "log"}
    own = {name: part for name, part in BESIDE.items() if name not in {"default", "hyperparameters"}}
    spaces = [
        space_from_json({**own, "storage": {}, **ratios})
        for ratios in (
            {"groups": {"head": {"lr_ratio": searched}}},
            {"hyperparameters": {"head_lr_ratio": searched}},
        )
    ]
    assert spaces[0] == spaces[1]
    assert space_digest(spaces[0]) == space_digest(spaces[1])


FAULTS = {
    "  gain: {low: 10, high: 160}\n  gian: 1": (14, "unknown option 'gian'"),
    "  peak_lr: {low: 1e-3, high: 1e-1}": (13, "is a parameter of the schedule family"),
    "  gain: {low: 9, high: 1}": (13, "low must be below high"),
    "  gain: {low: -3, high: 1}": (13, "gain must be a finite number >= 0"),
    "  checkpoint_bytes: {low: 1, high: 9.5}": (13, "checkpoint_bytes must be a whole number"),
    "  gain: [1, 1]": (13, "choices must differ"),
    "  gain: {low: 1, high: 9, when: {memory: 1}}": (13, "must name an earlier hyperparameter"),
    "  gain: 10\ntarget: {steps: 200, rungs: [a, b]}": (14, "target.rungs cannot stand beside hyperparameters"),
    "  gain: 10\ngroups:\n  norms: {lr_ratio: [0.5, 1]}": (15, "unknown option 'norms_lr_ratio'"),
    "  gain: 10\ngroups:\n  gain: {ratio: 1}": (15, "groups.gain.ratio is not a known key, must be one of lr_ratio"),
    "  a_lr_ratio: 10\ngroups:\n  a: {lr_ratio: 1}": (15, "groups.a has its lr_ratio as hyperparameters.a_lr_ratio"),
    "  gain: 10\ngroups: [head]": (14, "groups must be a mapping like {embeddings: {lr_ratio: {low:"),
    "  gain: 10\ncontroller: autolrs": (13, "controller autolrs trains one run"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_one_line_with_its_place(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "space.yaml"
    head = "study: a\ntrainer: {use: simulated}\nhorizon_steps: 100\neval_every: 10\ncheckpoint_every: 20\n"
    head += "tracking: none\nbudget: {full_runs: 90}\nschedule:\n  wsd:\n"
    head += "    peak_lr: {low: 1e-3, high: 1e-1, scale: log}\n    warmup_steps: 10\nhyperparameters:\n"
    file.write_text(head + text + "\n")
    line, says = FAULTS[text]
    assert run(["validate", str(file)]) == 2
    error = capsys.readouterr().err
    assert f"space.yaml:{line}:" in error
    assert says in error


def test_the_shipped_space_with_hyperparameters_is_read() -> None:
    space = load_space("hyperparameters.yaml")
    assert set(space.hyperparameters) == {"weight_decay", "batch"}
