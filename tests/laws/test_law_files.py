"""Laws written to files and read back."""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.errors import LawFileError
from autosched.laws.continual import ContinualLaw
from autosched.laws.files import RECORDS, CurvePrint, SavedLaw, from_plain, read_law, to_plain
from autosched.laws.fit import LawFit
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.multi_power import MultiPowerLaw
from autosched.laws.registry import LAWS, family_for, family_names
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import wsd

STEPS = np.arange(40.0, 601.0, 20.0)
MULTI_POWER = MultiPowerLaw(
    floor=3.0, scale=0.5, exponent=0.5, drop=10.0, speed=2.0, saturation=0.6, lr_power=0.6, warmup_drops=True
)
CONTINUAL = ContinualLaw(
    floor=3.0,
    scale=0.5,
    exponent=0.5,
    pretraining_gain=1.0,
    continual_gain=0.3,
    shift=0.1,
    speed=2.0,
    saturation=0.2,
    memory=999.5,
    effect="forgetting",
    pretraining_steps=300,
)


def curve_of(schedule: Schedule, name: str) -> Curve:
    law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=10.0, speed=2.0, saturation=0.6, lr_power=0.6)
    noise = 1e-3 * np.random.default_rng(len(name)).normal(size=STEPS.size)
    return Curve(schedule=schedule, steps=STEPS, losses=law.predict_at(schedule, STEPS) + noise, name=name)


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    shapes = {"a": wsd(), "bb": wsd(cooldown=0.9), "ccc": wsd(peak_lr=0.02, final=0.0), "dddd": wsd(cooldown=0.1)}
    return [curve_of(schedule, name) for name, schedule in shapes.items()]


@pytest.fixture(scope="module")
def auto(curves) -> Forecaster:
    law = fit_forecaster(curves)
    assert isinstance(law, Forecaster)
    return law


@pytest.fixture
def saved(auto, curves) -> SavedLaw:
    return SavedLaw.of(auto, curves)


def test_the_default_law_reads_back_to_the_same_bits(auto, saved):
    text = saved.to_json()
    again = SavedLaw.from_json(text)
    assert again.to_json() == text
    assert again.curves == saved.curves
    assert isinstance(again.law, Forecaster)
    for first, second in ((auto.weights, again.law.weights), (auto.loo, again.law.loo)):
        np.testing.assert_array_equal(first, second)
    for name in ("residuals", "matrix", "factor"):
        np.testing.assert_array_equal(getattr(auto.process, name), getattr(again.law.process, name))
    np.testing.assert_array_equal(auto.process.points.run, again.law.process.points.run)
    assert again.law.process.points.run.dtype == auto.process.points.run.dtype
    unseen = wsd(cooldown=0.5, peak_lr=0.015)
    expected, found = auto.along(unseen, STEPS), again.law.along(unseen, STEPS)
    np.testing.assert_array_equal(expected.mean, found.mean)
    np.testing.assert_array_equal(expected.sd, found.sd)


@pytest.mark.parametrize("name", family_names())
def test_every_kind_of_law_reads_back_to_the_same_bits(name, curves):
    family = family_for(name, curves)
    logs = family.prior(curves).mean
    fit = LawFit(
        law=family.law(logs),
        logs=logs,
        covariance=np.diag(np.linspace(0.01, 0.1, logs.size)),
        fields=family.fields,
        residual_sd=0.1 / 3,
        objective=1e-300,
        iterations=7,
        points=116,
    )
    law = Forecaster(
        name=name,
        families=(family,),
        fits=(fit,),
        weights=np.ones(1),
        loo=np.array([np.nan]),
        process=None,
        inflation=1.0,
        names=("a",),
    )
    again = SavedLaw.from_json(SavedLaw.of(law, curves).to_json()).law
    assert isinstance(again, Forecaster)
    assert (again.name, again.families, again.process) == (name, (family,), None)
    assert again.fits[0].law == fit.law
    assert (again.fits[0].fields, again.fits[0].objective, again.names) == (fit.fields, fit.objective, law.names)
    assert np.isnan(again.loo[0])
    np.testing.assert_array_equal(again.predict(wsd()), law.predict(wsd()))
    np.testing.assert_array_equal(again.along(wsd(), STEPS).sd, law.along(wsd(), STEPS).sd)


@pytest.mark.parametrize("law", [MULTI_POWER, CONTINUAL], ids=["multi_power", "continual"])
def test_published_parameters_are_a_law_file_too(law):
    again = SavedLaw.from_json(SavedLaw.of(law, []).to_json())
    assert again.law == law
    assert again.curves == ()


OLD = Path(__file__).parent / "old_laws"


def test_the_default_law_of_the_last_version_is_read_and_forecasts_what_it_did():
    """Both files and the figures are what the version before presets wrote and forecast."""
    law = read_law(OLD / "auto.json").law
    assert isinstance(law, Forecaster)
    assert (law.name, law.names) == ("auto", ("a", "bb", "ccc", "dddd"))
    unseen, steps = wsd(cooldown=0.5, peak_lr=0.015), np.array([100.0, 300.0, 600.0])
    found = law.along(unseen, steps)
    np.testing.assert_allclose(found.mean, [3.427291942637394, 3.2307866909830736, 3.072206760884344], rtol=1e-12)
    np.testing.assert_allclose(found.sd, [0.007724112588118791, 0.0036868761223270946, 0.004340148898609153], rtol=1e-9)
    known = law.along(wsd(cooldown=0.9), steps, run=1)
    np.testing.assert_allclose(known.mean, [3.5397341492742638, 3.2911211862921603, 3.193129430722163], rtol=1e-12)
    np.testing.assert_allclose(known.sd, [0.006447527320344751, 0.0025262364042967053, 0.004041827476674149], rtol=1e-9)


def test_a_law_alone_of_the_last_version_is_read_and_forecasts_what_it_did():
    saved = read_law(OLD / "functional.json")
    assert isinstance(saved.law, Forecaster)
    assert (saved.law.name, saved.law.process) == ("functional", None)
    found = saved.law.along(wsd(cooldown=0.5, peak_lr=0.015), np.array([100.0, 300.0, 600.0]))
    np.testing.assert_allclose(found.mean, [3.4276171625676075, 3.2336348596369087, 3.0788963907941542], rtol=1e-12)
    np.testing.assert_allclose(found.sd, [0.020559182926313313, 0.02014871498451328, 0.020221573276103074], rtol=1e-9)
    assert json.loads(saved.to_json())["law"]["record"] == "Forecaster"


def test_every_law_of_the_registry_can_be_stored():
    assert {law.__name__ for law in LAWS.values()} <= set(RECORDS)


def test_numbers_that_are_not_finite_and_empty_arrays_survive():
    values = (float("nan"), float("inf"), np.array([np.nan, 0.1, -np.inf]), np.zeros((0, 5)), np.array([3, 4]))
    again = from_plain(json.loads(json.dumps(to_plain(values), allow_nan=False)))
    for first, second in zip(values, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert again[3].shape == (0, 5)
    assert again[4].dtype == np.int64


def test_what_is_no_part_of_a_law_is_not_written():
    with pytest.raises(TypeError, match="Path is no part of a law"):
        to_plain([Path()])


def test_the_file_says_what_it_was_fitted_to(saved, curves):
    document = json.loads(saved.to_json())
    assert (document["format"], document["version"], document["kind"]) == ("autosched.law", 1, "auto")
    assert document["package"]
    assert [curve["name"] for curve in document["curves"]] == ["a", "bb", "ccc", "dddd"]
    assert document["curves"][0]["schedule"] == curves[0].schedule.fingerprint
    assert document["law"]["fits"][1]["law"]["record"] == "MultiPowerLaw"
    assert document["law"]["fits"][1]["law"]["floor"] > 0


def test_a_longer_log_of_a_fitted_run_is_recognised(curves):
    first = CurvePrint.of(curves[1].until(300))
    assert first.continues_in(curves[1])
    assert first.last_step == 300
    assert not CurvePrint.of(curves[1]).continues_in(curves[1].until(300))
    assert not first.continues_in(curves[0])
    other = Curve(schedule=curves[1].schedule, steps=STEPS, losses=curves[1].losses + 1e-9)
    assert not first.continues_in(other)
    assert not CurvePrint.of(curves[1].until(0)).continues_in(curves[1])


def test_the_number_of_a_fitted_run_is_found(saved, curves):
    assert [saved.run_of(curve) for curve in curves] == [0, 1, 2, 3]
    assert saved.run_of(curve_of(wsd(peak_lr=0.03), "new")) is None


def resealed(text: str, **changes: object) -> str:
    """A file whose fingerprint is right, with some keys replaced."""
    document = {**json.loads(text), **changes}
    del document["fingerprint"]
    sealed = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return json.dumps({**document, "fingerprint": hashlib.sha256(sealed.encode()).hexdigest()})


def test_resealing_an_unchanged_file_changes_nothing(saved):
    assert SavedLaw.from_json(resealed(saved.to_json())).to_json() == saved.to_json()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "", "law.json:1: not a law file: no JSON (Expecting value)."),
        (lambda text: text[: len(text) // 2], "not a law file: no JSON"),
        (lambda text: "[" * 100_000, "law.json: not a law file: it is nested deeper than 100 levels."),
        (lambda text: "[]", "law.json: not a law file: it must be an object, but is []."),
        (lambda text: f'{{"a": {"9" * 5000}}}', "law.json: not a law file: a number in it has too many digits."),
        (lambda text: text.replace('"version"', '"kind": "auto", "version"', 1), '"kind" is given twice.'),
        (lambda text: text.replace('"version": 1', '"version": true', 1), '"version" must be 1, but got true.'),
        (lambda text: text.replace('"version": 1', '"version": 1.0', 1), '"version" must be 1, but got 1.0.'),
        (lambda text: wsd().to_json(), '"format" must be "autosched.law", but got "autosched.schedule".'),
        (lambda text: text.replace('"version": 1', '"version": 2', 1), '"version" must be 1, but got 2.'),
        (lambda text: text.replace('"inflation": ', '"inflation": 1', 1), "the file was edited or damaged."),
        (lambda text: resealed(text, law={"record": "Path"}), "does not know: fit it again."),
        (lambda text: resealed(text, law={"record": "MultiPowerLaw", "floor": 1.0}), "does not know: fit it again."),
        (lambda text: resealed(text, law={"record": "Units", "lr": 1.0, "steps": 1.0}), "fit it again."),
        (lambda text: resealed(text, law=[{"no": "law"}]), '"law" must be an object, but got [{"no": "law"}].'),
        (lambda text: resealed(text, curves=[{"name": "a"}]), '"curves.0.schedule" is missing.'),
        (lambda text: resealed(text, package="9.9", law={"record": "Oracle"}), "a law of autosched 9.9 that autosched"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(saved, tmp_path, change, says):
    path = tmp_path / "law.json"
    path.write_text(change(saved.to_json()))
    with pytest.raises(LawFileError) as refused:
        read_law(path)
    assert str(path) in str(refused.value)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [None, True, "a", [], [1, 2], {"record": "Units", "lr": 1.0, "steps": 1.0}])
def test_a_law_with_a_part_of_another_kind_is_refused_or_can_be_asked(saved, value):
    """Whoever seals a file again can put anything anywhere; a part that is not used does no harm."""
    document = json.loads(saved.to_json())["law"]
    places = [(name,) for name in document if name != "record"]
    places += [("families", 0, name) for name in document["families"][0]]
    places += [("fits", 0, name) for name in document["fits"][0]]
    for place in places:
        changed = copy.deepcopy(document)
        part = changed
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        try:
            law = SavedLaw.from_json(resealed(saved.to_json(), law=changed)).law
        except LawFileError:
            continue
        law.predict_at(Schedule([1e-3] * 10), np.array([10.0]))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(LawFileError, match=r"none.json: there is no such file."):
        read_law(tmp_path / "none.json")
    (tmp_path / "picture").write_bytes(b"\x89PNG")
    with pytest.raises(LawFileError, match="must be a law file, but is a picture"):
        read_law(tmp_path / "picture")
