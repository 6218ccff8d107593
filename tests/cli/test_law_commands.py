"""`fit`, `predict`, `evaluate` and `optimize` on curves, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import document, refuse, run

from autosched.curves import read_curve
from autosched.laws.continual import ContinualLaw
from autosched.laws.files import SavedLaw, read_law
from autosched.laws.multi_power import PUBLISHED, MultiPowerFamily
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule

Capture = pytest.CaptureFixture[str]
FITTED = ("cosine_24000", "constant_24000", "wsdcon_9")
UNSEEN = ("wsd_20000_24000", "wsdld_20000_24000")
SCORES = {"r2", "mae", "rmse", "prede", "worste", "final_error", "coverage90"}
OPTIMIZE = ("optimize", "law.json", "--steps", "24000", "--peak-lr", "3e-4", "--warmup-steps", "2160")


@pytest.fixture(scope="session")
def fitted_folder(made_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five curves, their exact schedules, and the default law of three of them; copy it."""
    made = tmp_path_factory.mktemp("laws")
    for name in (*FITTED, *UNSEEN):
        folder = made / ("fitted" if name in FITTED else "unseen") / "gpt25m"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(made_folder / "gpt25m" / f"{name}.csv", folder)
        shutil.copy(made_folder / "runs.csv", folder.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert run(["fit", "fitted/gpt25m", "--out", "law.json"]) == 0
        Path("multi_power.json").write_text(SavedLaw.of(PUBLISHED["400M"], []).to_json())
        params = {"peak_lr": 3e-4, "warmup_steps": 2160, "cooldown_fraction": 0.3}
        Path("schedule.json").write_text(build("wsd", params, steps=24_000).to_json())
    return made


@pytest.fixture
def here(fitted_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the current folder."""
    shutil.copytree(fitted_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


# -- fit --------------------------------------------------------------------------------------------------------------


def test_fit_tells_parameters_time_and_left_out_errors(here: Path, capsys: Capture) -> None:
    paths = [f"./fitted/gpt25m/{name}.csv" for name in FITTED]
    told = document(capsys, "fit", *paths)
    assert told["law"] == "auto"
    assert told["curves"] == paths
    assert 0 < told["fit_seconds"] < 10
    assert set(told["params"]) == set(told["loo"]) == set(told["weights"])
    assert all(0 < error < 0.01 for error in told["loo"].values())
    assert told["params"]["multi_power"]["floor"] > 2.5


def test_fit_writes_a_law_that_says_what_it_was_fitted_to(here: Path) -> None:
    saved = read_law(Path("law.json"))
    assert saved.law.name == "auto"
    assert sorted(Path(curve.name).stem for curve in saved.curves) == sorted(FITTED)
    assert all(curve.last_step > 10_000 for curve in saved.curves)


@pytest.mark.parametrize("law", ["multi_power", "functional", "annealing"])
def test_one_kind_of_law_is_fitted_alone(here: Path, capsys: Capture, law: str) -> None:
    told = document(capsys, "fit", "fitted/gpt25m", "--law", law, "--out", "one.json")
    assert told["law"] == law
    assert told["params"]["floor"] > 2.5
    assert 0 < told["loo"][law] < 0.01
    assert read_law(Path("one.json")).law.name == law


def test_with_fewer_than_three_curves_the_left_out_error_is_unknown(here: Path, capsys: Capture) -> None:
    told = document(capsys, "fit", "fitted/gpt25m/cosine_24000.csv", "--law", "multi_power")
    assert told["loo"] == {"multi_power": None}
    assert run(["fit", "fitted/gpt25m/cosine_24000.csv", "--law", "multi_power"]) == 0
    assert "unknown (fewer than three curves)" in capsys.readouterr().out


def test_the_continual_law_is_fitted_when_told_where_the_data_changed(here: Path, capsys: Capture) -> None:
    change = ("--law", "continual", "--pretraining-steps", "9000", "--effect", "adaptation")
    told = document(capsys, "fit", "fitted/gpt25m", *change, "--out", "continual.json")
    assert {"shift", "continual_gain"} <= set(told["params"])
    law = read_law(Path("continual.json")).law.fits[0].law
    assert isinstance(law, ContinualLaw)
    assert (law.pretraining_steps, law.effect) == (9000, "adaptation")


def test_curves_that_no_law_describes_are_work_that_failed(here: Path, capsys: Capture) -> None:
    rows = [f"{step},0.001,{3 + np.sin(step):.4f}" for step in range(10, 400, 10)]
    Path("odd.csv").write_text("\n".join(["step,lr,loss", *rows]))
    refuse(
        capsys, ("fit", "odd.csv", "--law", "multi_power"), "no law could be fitted: the multi_power law misses", code=1
    )


@pytest.mark.slow
def test_runs_are_read_from_mlflow(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[Path], str]
) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    uri = new_store(here)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("old runs", artifact_location=(here / "artifacts").as_uri())
    for name in FITTED:
        created = client.create_run(experiment, run_name="same name", tags={"kind": name.partition("_")[0]})
        table = np.genfromtxt(f"fitted/gpt25m/{name}.csv", delimiter=",", names=True)
        logged = [
            Metric(key, float(row[key]), 1_000 + i, int(row["step"]))
            for i, row in enumerate(table[::4])
            for key in ("lr", "loss")
        ]
        client.log_batch(created.info.run_id, metrics=logged)
    told = document(capsys, "fit", "mlflow:old runs", "--law", "multi_power", "--out", "mlflow.json")
    names = ["mlflow:old runs/same name", *(f"mlflow:old runs/same name ({n})" for n in (2, 3))]
    assert told["curves"] == names
    assert 0 < told["loo"]["multi_power"] < 0.01
    arguments = ("evaluate", "mlflow.json", "mlflow:old runs", "--tracking-uri", uri, "--filter", "tags.kind='cosine'")
    assert list(document(capsys, *arguments)["curves"]) == names[:1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    refuse(
        capsys, ("fit", "mlflow:old runs"), "mlflow:old runs: no MLflow database", "elsewhere.db: give --tracking-uri"
    )
    refuse(capsys, ("fit", "mlflow:none", "--tracking-uri", uri), "no experiment 'none'")


# -- predict ----------------------------------------------------------------------------------------------------------


def test_predict_gives_losses_and_their_standard_deviation(here: Path, capsys: Capture) -> None:
    told = document(capsys, "predict", "law.json", "--schedule", "schedule.json")
    assert told["steps"][0] == 1
    assert told["steps"][-1] == 24_000
    assert len(told["steps"]) == len(told["mean"]) == len(told["sd"])
    assert 3.2 < told["mean"][-1] < 3.35
    assert 0 < told["sd"][-1] < 0.05


def test_predict_takes_steps_at_an_even_distance(here: Path, capsys: Capture) -> None:
    told = document(capsys, "predict", "law.json", "--schedule", "schedule.json", "--every", "9000")
    assert told["steps"] == [9_000, 18_000, 24_000]


def test_predict_shows_a_person_the_interval_at_the_end(here: Path, capsys: Capture) -> None:
    assert run(["predict", "law.json", "--schedule", "schedule.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    step, loss, low, high = map(float, lines[-1].split())
    assert step == 24_000
    assert low < loss < high


def test_published_parameters_predict_without_an_interval(here: Path, capsys: Capture) -> None:
    told = document(capsys, "predict", "multi_power.json", "--schedule", "schedule.json")
    assert told["sd"] == [0.0] * len(told["steps"])


# -- evaluate ---------------------------------------------------------------------------------------------------------


def test_evaluate_scores_every_curve_by_its_path_as_given(here: Path, capsys: Capture) -> None:
    paths = ["./unseen/gpt25m/wsd_20000_24000.csv", "unseen/../unseen/gpt25m/wsdld_20000_24000.csv"]
    told = document(capsys, "evaluate", "law.json", *paths)
    assert list(told["curves"]) == paths
    for scores in (*told["curves"].values(), told["mean"]):
        assert set(scores) == SCORES
        assert scores["r2"] > 0.99
        assert scores["prede"] <= scores["worste"] < 0.01
        assert scores["mae"] <= scores["rmse"]
        assert 0 <= scores["coverage90"] <= 1
    for name in SCORES:
        assert told["mean"][name] == pytest.approx(np.mean([told["curves"][path][name] for path in paths]))


def test_evaluate_takes_a_folder(here: Path, capsys: Capture) -> None:
    told = document(capsys, "evaluate", "law.json", "unseen/gpt25m/")
    assert list(told["curves"]) == [f"unseen/gpt25m/{name}.csv" for name in UNSEEN]


def test_the_final_error_is_predicted_minus_observed_at_the_last_logged_step(here: Path, capsys: Capture) -> None:
    path = f"unseen/gpt25m/{UNSEEN[0]}.csv"
    found = document(capsys, "evaluate", "law.json", path)["curves"][path]["final_error"]
    step, _, loss = np.genfromtxt(path, delimiter=",", skip_header=1)[-1]
    params = {"peak_lr": 3e-4, "warmup_steps": 2160, "cooldown_fraction": 1 / 6}
    shape = {"cooldown_shape": "exponential", "final_lr_ratio": 0.1}
    Path("wsd.json").write_text(build("wsd", {**params, **shape}, steps=24_000).to_json())
    predicted = document(capsys, "predict", "law.json", "--schedule", "wsd.json", "--every", str(int(step)))["mean"][0]
    assert found == pytest.approx(predicted - loss, abs=5e-4)


def test_a_run_that_was_fitted_half_way_is_anchored_at_its_own_start(here: Path, capsys: Capture) -> None:
    half = Path("half/gpt25m")
    half.mkdir(parents=True)
    shutil.copy("unseen/runs.csv", "half")
    table = np.genfromtxt(f"unseen/gpt25m/{UNSEEN[0]}.csv", delimiter=",", skip_header=1)
    rows = [f"{int(step)},{lr!r},{loss + 0.02!r}" for step, lr, loss in table.tolist()]  # a run with an offset
    part = half / f"{UNSEEN[0]}.csv"
    part.write_text("\n".join(["step,lr,loss", *rows[: len(rows) // 2]]))
    document(capsys, "fit", "fitted/gpt25m", str(half), "--out", "half.json")
    part.write_text("\n".join(["step,lr,loss", *rows]))
    known, unknown = (document(capsys, "evaluate", law, str(part))["mean"] for law in ("half.json", "law.json"))
    assert known["mae"] < 0.5 * unknown["mae"]
    assert abs(known["final_error"]) < 0.8 * abs(unknown["final_error"])


def test_evaluate_shows_a_person_a_table(here: Path, capsys: Capture) -> None:
    assert run(["evaluate", "law.json", "unseen/gpt25m"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [*(f"unseen/gpt25m/{name}.csv" for name in UNSEEN), "mean"]


# -- optimize ---------------------------------------------------------------------------------------------------------


def test_optimize_finds_the_published_laws_optimum(here: Path, capsys: Capture) -> None:
    told = document(capsys, "optimize", "multi_power.json", *OPTIMIZE[2:], "--out", "best.json", "--plot", "best.png")
    assert told["predicted"]["mean"] <= 2.6891
    schedule = Schedule.from_json(json.dumps(told["schedule"]))
    assert schedule == Schedule.from_json(Path("best.json").read_text())
    assert schedule.final_lr < 3e-6
    assert set(told["alternatives"]) == {"cosine", "linear", "wsd"}
    for other in told["alternatives"].values():
        assert other["difference"]["mean"] == pytest.approx(other["predicted"]["mean"] - told["predicted"]["mean"])
        assert other["difference"]["mean"] > 0
    assert 0 < told["seconds"] < 5
    assert Path("best.png").read_bytes().startswith(b"\x89PNG")


def test_optimize_says_by_how_much_and_how_sure_it_is(here: Path, capsys: Capture) -> None:
    told = document(capsys, *OPTIMIZE)
    cosine = told["alternatives"]["cosine"]
    assert 0 < cosine["difference"]["low"] < cosine["difference"]["mean"] < cosine["difference"]["high"]
    assert told["predicted"]["low"] < told["predicted"]["mean"] < told["predicted"]["high"]
    assert run([*OPTIMIZE]) == 0
    shown = capsys.readouterr().out
    assert "predicted final loss" in shown
    assert "worse by" in shown
    assert "24000 updates" in shown
    (further,) = told["next_runs"]
    assert (further["steps"], further["peak_lr"]) == (24000, 3e-4)
    assert 0 <= further["sd_after"] < further["sd_before"]
    assert "one more run of 24000 updates that teaches most: wsd(" in shown


def test_optimize_keeps_to_a_family_a_lowest_lr_and_bounds_of_the_peak(here: Path, capsys: Capture) -> None:
    bounds = ("--peak-lr-low", "1e-4", "--peak-lr-high", "1e-3")
    arguments = ("optimize", "law.json", "--steps", "9000", *bounds, "--family", "wsd", "--min-lr", "1e-5")
    told = document(capsys, *arguments)
    schedule = Schedule.from_json(json.dumps(told["schedule"]))
    assert schedule.family == "wsd"
    assert 1e-4 <= schedule.peak_lr <= 1e-3
    assert schedule.lrs.min() >= 1e-5 * (1 - 1e-12)
    shaped = document(capsys, *arguments, "--cooldown-shape", "sqrt")["schedule"]["params"]
    assert shaped["cooldown_shape"] == "sqrt"


def test_a_schedule_that_may_rise_can_be_asked_for(here: Path, capsys: Capture) -> None:
    told = document(capsys, "optimize", "multi_power.json", *OPTIMIZE[2:], "--free")
    assert told["predicted"]["mean"] <= 2.6891


def begun(until: int) -> tuple[Path, float]:
    """The first updates of a run that was not fitted, its schedule beside it, and the loss it ended with."""
    curve = read_curve("unseen/gpt25m/wsd_20000_24000.csv")
    lines = Path("unseen/gpt25m/wsd_20000_24000.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if int(line.split(",")[0]) <= until]
    Path("begun.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    Path("planned.json").write_text(curve.schedule.to_json())
    return Path("begun.csv"), float(curve.losses[-1])


def test_a_run_that_has_begun_is_known_when_its_end_is_predicted(here: Path, capsys: Capture) -> None:
    log, end = begun(20_000)
    asked = ("predict", "law.json", "--schedule", "planned.json")
    new, known = document(capsys, *asked), document(capsys, *asked, "--run", str(log))
    assert new["steps"] == known["steps"]
    assert abs(known["mean"][-1] - end) <= abs(new["mean"][-1] - end) + 0.002
    assert known["sd"][-1] < new["sd"][-1]


def test_a_fitted_runs_longer_log_counts_once(here: Path) -> None:
    whole = read_curve("unseen/gpt25m/wsd_20000_24000.csv")
    saved = SavedLaw.of(read_law(Path("law.json")).law, [*map(read_curve, sorted(Path("fitted/gpt25m").iterdir()))])
    law, number = saved.knowing(read_curve("fitted/gpt25m/cosine_24000.csv"))
    assert law.process is not None
    assert number == 3
    assert sorted(set(law.process.points.run.tolist())) == [0, 2, 3]
    assert sorted(set(saved.knowing(whole)[0].process.points.run.tolist())) == [0, 1, 2, 3]


def test_a_log_of_another_schedule_is_no_begun_run(here: Path, capsys: Capture) -> None:
    log, _ = begun(20_000)
    asked = ("predict", "law.json", "--schedule", "schedule.json", "--run")
    refuse(capsys, (*asked, "fitted/gpt25m/wsdcon_9.csv"), "schedule.json: LR ")
    refuse(capsys, (*asked, "none.csv"), "none.csv: there is no such file.")
    asked = ("predict", "multi_power.json", "--schedule", "planned.json", "--run", str(log))
    refuse(capsys, asked, "the multi_power law knows no single runs; fit it with --law auto.")


def test_peak_lrs_far_from_the_only_one_that_was_seen_are_warned_of(here: Path, capsys: Capture) -> None:
    bounds = ("optimize", "law.json", "--steps", "2400", "--warmup-steps", "216", "--peak-lr-low", "2e-4")
    assert document(capsys, *bounds, "--peak-lr-high", "5e-4")["warnings"] == []
    (warning,) = document(capsys, *bounds, "--peak-lr-high", "0.1")["warnings"]
    assert warning.startswith("peak LRs of 0.0002 to 0.1 were asked for, the law has seen 0.0003 alone:")


def test_runs_that_differ_in_more_than_the_lr_are_warned_of(here: Path, capsys: Capture) -> None:
    assert document(capsys, "fit", "fitted/gpt25m", "unseen/gpt25m")["warnings"] == []
    for name in ("fitted/gpt25m/constant_24000.csv", "unseen/gpt25m/wsd_20000_24000.csv"):  # another weight decay
        rows = [line.split(",") for line in Path(name).read_text().splitlines()]
        changed = [rows[0], *([s, lr, repr(float(loss) * 1.04)] for s, lr, loss in rows[1:])]
        Path(name).write_text("\n".join(map(",".join, changed)) + "\n")
    (warning,) = document(capsys, "fit", "fitted/gpt25m", "unseen/gpt25m")["warnings"]
    assert "did their weight decay, betas, batch size, data or code differ? Fit such runs apart." in warning


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("fit", "none.csv"), "none.csv: no such file or folder."),
        (("fit", "fitted"), "fitted: the folder has no *.csv with a curve, and no other log."),
        (("fit", "fitted/gpt25m", "--law", "mpl"), "--law must be one of auto, functional, multi_power"),
        (("fit", "fitted/gpt25m", "--law", "continual"), "--law continual needs --pretraining-steps >= 0"),
        (("fit", "fitted/gpt25m", "--out", "none/law.json"), "cannot write none/law.json: No such file"),
        (
            ("fit", "schedule.json"),
            "schedule.json: must be a list of objects, or Hugging Face's trainer_state.json (log_history).",
        ),
        (
            ("fit", "fitted/gpt25m", "fitted/gpt25m/cosine_24000.csv"),
            "cosine_24000.csv: this file was given before, as fitted/gpt25m/cosine_24000.csv: a run counts once.",
        ),
        (
            ("evaluate", "law.json", "fitted/gpt25m/cosine_24000.csv", "./fitted/gpt25m/../gpt25m/cosine_24000.csv"),
            "this file was given before, as fitted/gpt25m/cosine_24000.csv: a run counts once.",
        ),
        (("fit", "mlflow:"), "mlflow:: an experiment's name must follow, as in mlflow:wsd-demo."),
        (("fit", "mlflow:x"), "mlflow:x: no MLflow database"),
        (("fit", "mlflow:x", "--tracking-uri", "ftp://a"), "mlflow:x: the tracking uri must be sqlite:///FILE"),
        (("predict", "none.json", "--schedule", "schedule.json"), "none.json: there is no such file"),
        (("predict", "schedule.json", "--schedule", "schedule.json"), 'schedule.json: not a law file: "format" must'),
        (("predict", "law.json", "--schedule", "law.json"), "law.json: not a schedule file"),
        (("evaluate", "law.json", "none"), "none: no such file or folder."),
        ((*OPTIMIZE[:4],), "give either --peak-lr, or both --peak-lr-low and --peak-lr-high."),
        ((*OPTIMIZE, "--peak-lr-low", "1e-4"), "give either --peak-lr, or both --peak-lr-low and --peak-lr-high."),
        ((*OPTIMIZE[:4], "--peak-lr", "-1"), "peak_lr must have 0 < low <= high, both finite, but got -1 to -1."),
        ((*OPTIMIZE, "--min-lr", "1"), "min_lr must be >= 0 and below the peak LR 0.0003, but got 1."),
        ((*OPTIMIZE, "--family", "cosine"), "--family must be wsd, but got 'cosine'."),
        ((*OPTIMIZE, "--family", "wsd", "--free"), "give one of them."),
        (("optimize", "law.json", "--steps", "1", "--peak-lr", "1"), "steps must be >= 2, but got 1."),
        (
            ("optimize", "law.json", "--steps", "9", "--peak-lr", "1", "--cooldown-shape", "round"),
            "cooldown_shape must be linear, sqrt, cosine, power, but got 'round'.",
        ),
        (
            ("optimize", "multi_power.json", "--steps", "99", "--peak-lr-low", "1e-4", "--peak-lr-high", "1"),
            "multi_power.json: multi_power is a law of one peak LR and cannot choose it",
        ),
    ],
)
def test_bad_input_ends_in_one_line(here: Path, capsys: Capture, arguments: tuple[str, ...], says: str) -> None:
    refuse(capsys, arguments, says)


def test_the_annealing_law_alone_has_no_optimum(here: Path, capsys: Capture) -> None:
    document(capsys, "fit", "fitted/gpt25m", "--law", "annealing", "--out", "annealing.json")
    refuse(capsys, ("optimize", "annealing.json", *OPTIMIZE[2:]), "its loss is linear in every LR drop")
    told = document(capsys, "optimize", "annealing.json", *OPTIMIZE[2:], "--family", "wsd")
    assert told["schedule"]["family"] == "wsd"


def test_a_law_file_names_its_fields_and_is_refused_when_it_was_edited(here: Path, capsys: Capture) -> None:
    text = Path("multi_power.json").read_text()
    assert set(MultiPowerFamily().fields) < set(json.loads(text)["law"])
    Path("multi_power.json").write_text(text.replace("2.37474", "2.3"))
    refuse(capsys, ("evaluate", "multi_power.json", "unseen/gpt25m"), "multi_power.json: the law does not match")


def test_a_fault_in_a_curve_is_told_with_its_line(here: Path, capsys: Capture) -> None:
    Path("bad.csv").write_text("step,lr,loss\n1,0.1,4\n2,0.1,much\n")
    refuse(capsys, ("fit", "bad.csv"), "bad.csv:3: loss must be a number, but got 'much'.")
