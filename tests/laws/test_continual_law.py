"""The continual-pretraining law: its two stages, and the fits that the paper prints."""

from dataclasses import replace

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.continual import ContinualFamily, ContinualLaw
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.laws.robust import Robustness
from autosched.schedules.schedule import Schedule

LAMBDA = 0.999
MEMORY = -1 / np.log(LAMBDA)
PRINTED = {  # Fig. 3: old data (FineWeb), new data (Knowledge-Pile)
    "forgetting": {
        "floor": 3.057,
        "scale": 0.490,
        "exponent": 0.497,
        "pretraining_gain": 0.299 / (1 - LAMBDA),
        "continual_gain": 0.298 / (1 - LAMBDA),
        "shift": 0.366,
        "speed": 28.0,
        "saturation": 0.189,
    },
    "adaptation": {
        "floor": 3.024,
        "scale": 0.412,
        "exponent": 0.677,
        "pretraining_gain": 0.278 / (1 - LAMBDA),
        "continual_gain": 0.324 / (1 - LAMBDA),
        "shift": 0.666,
        "speed": 5662.0,
        "saturation": 0.146,
    },
}
FIRST, STEPS = 12_000, 20_000


def printed(effect):
    return ContinualLaw(**PRINTED[effect], memory=MEMORY, effect=effect, pretraining_steps=FIRST)


def run(*, annealed_to=1.0, peak=2e-4, final=0.1):
    """Warmup, a stable phase that is annealed or not, then a second stage that warms up again and decays."""
    stable = np.concatenate([np.arange(1, 501) / 500, np.ones(8_500), np.linspace(1, annealed_to, 3_000)]) * 2e-4
    again = np.linspace(stable[-1], peak, 400)
    return Schedule(np.concatenate([stable, again, np.linspace(peak, final * peak, STEPS - FIRST - 400)]))


RUNS = (run(), run(annealed_to=0.1), run(peak=1e-4), run(annealed_to=0.1, peak=1e-4, final=1.0))


def recursion(constants, effect, lrs):
    """The paper's formula, its S2 by the recursion of a momentum, one update after another."""
    sign = 1 if effect == "forgetting" else -1
    momentum, annealed, losses = np.zeros(2), np.zeros(2), []
    area, late_area = np.cumsum(lrs), np.cumsum(np.where(np.arange(lrs.size) < FIRST, 0.0, lrs))
    for i in range(lrs.size):
        momentum *= LAMBDA
        if i >= 500:  # the warmup's rises are no drops
            momentum[int(i >= FIRST)] += lrs[i - 1] - lrs[i]
        annealed += momentum
        gains = np.array([constants["pretraining_gain"], constants["continual_gain"]]) * (1 - LAMBDA)
        shift = sign * constants["shift"] * (1 - (constants["speed"] * late_area[i] + 1) ** -constants["saturation"])
        losses.append(
            constants["floor"] + constants["scale"] * area[i] ** -constants["exponent"] - gains @ annealed + shift
        )
    return np.array(losses)


def shift_of(law, schedule, steps):
    """What the new data added to (or, negative, took from) the loss, nats."""
    return law.predict_at(schedule, steps) - replace(law, shift=1e-300).predict_at(schedule, steps)


@pytest.mark.parametrize("effect", ["forgetting", "adaptation"])
def test_the_law_is_the_papers_recursion_within_1e_4_nats(effect):
    steps = np.array([600.0, 9_500.0, 12_000.0, 12_001.0, 12_400.0, 14_000.0, 20_000.0])
    for schedule in RUNS:
        literal = recursion(PRINTED[effect], effect, schedule.lrs)[steps.astype(int) - 1]
        np.testing.assert_allclose(printed(effect).predict_at(schedule, steps), literal, atol=1e-4)


@pytest.mark.parametrize("effect", ["forgetting", "adaptation"])
def test_the_printed_fits_are_found_again_from_noisy_curves(effect):
    law, rng, curves = printed(effect), np.random.default_rng(3), []
    for schedule in RUNS:
        steps = np.unique(np.concatenate([np.arange(600, 12_001, 200), np.geomspace(12_001, 20_000, 150).round()]))
        losses = law.predict_at(schedule, steps) * np.exp(3e-4 * rng.standard_normal(steps.size))
        curves.append(Curve(schedule=schedule, steps=steps, losses=losses))
    options = FitOptions(robustness=Robustness(delta=1e-3, noise=3e-4), iterations=200)
    fit = fit_law(ContinualFamily(effect=effect, pretraining_steps=FIRST), curves, options)
    assert isinstance(fit, LawFit)
    well_known = ("floor", "scale", "exponent", "pretraining_gain", "continual_gain", "memory")
    expected = {**PRINTED[effect], "memory": MEMORY}
    assert {name: fit.params[name] for name in well_known} == pytest.approx(
        {name: expected[name] for name in well_known}, rel=0.05
    )
    found = fit.law
    assert isinstance(found, ContinualLaw)
    steps = np.array([12_100.0, 13_000.0, 16_000.0, 20_000.0])
    np.testing.assert_allclose(shift_of(found, RUNS[0], steps), shift_of(law, RUNS[0], steps), rtol=0.02)


@pytest.mark.parametrize(("effect", "sign"), [("forgetting", 1), ("adaptation", -1)])
def test_the_shift_starts_at_zero_and_grows_one_way(effect, sign):
    steps = np.arange(FIRST, STEPS + 1, dtype=np.float64)
    shift = shift_of(printed(effect), run(), steps)
    assert shift[0] == 0.0
    assert np.all(sign * np.diff(shift) > 0)
    assert abs(shift[-1]) < PRINTED[effect]["shift"]


def test_before_the_data_changes_there_is_no_shift():
    law = printed("forgetting")
    steps = np.array([1.0, 600.0, 11_999.0, 12_000.0])
    assert shift_of(law, run(), steps).tolist() == [0.0] * 4
    other = replace(law, shift=2 * law.shift, speed=3 * law.speed, continual_gain=0.5 * law.continual_gain)
    assert law.predict_at(run(), steps).tolist() == other.predict_at(run(), steps).tolist()


def test_the_shift_does_not_depend_on_when_the_data_changed():
    lrs = np.full(STEPS, 1e-4)
    early, late = (replace(printed("adaptation"), pretraining_steps=first) for first in (4_000, 10_000))
    after = np.array([0.0, 10.0, 1_000.0, 9_000.0])
    np.testing.assert_allclose(
        shift_of(early, Schedule(lrs), 4_000 + after), shift_of(late, Schedule(lrs), 10_000 + after), atol=1e-12
    )


def test_a_high_loss_potential_ends_lower_on_the_new_data():
    """A stable phase that was not annealed before (LR still at the peak) leaves more to gain from annealing later."""
    law = printed("adaptation")
    start = [law.predict_at(run(annealed_to=share, peak=2e-4), np.array([12_000.0]))[0] for share in (0.1, 1.0)]
    end = [law.predict_at(run(annealed_to=share, peak=2e-4), np.array([20_000.0]))[0] for share in (0.1, 1.0)]
    assert start[0] < start[1]
    assert end[1] < end[0]


def test_a_rewarmup_gives_the_annealing_back():
    law = printed("forgetting")
    annealed = run(annealed_to=0.05)
    kept = Schedule(np.concatenate([annealed.lrs[:FIRST], np.full(STEPS - FIRST, annealed.lrs[FIRST - 1])]))
    step = np.array([14_000.0])
    assert law.predict_at(annealed, step)[0] > law.predict_at(kept, step)[0]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"effect": "drift"}, "effect must be forgetting or adaptation, but got 'drift'"),
        ({"pretraining_steps": -1}, "pretraining_steps must be >= 0, but got -1"),
    ],
)
def test_a_stage_that_cannot_be_is_refused(fault, text):
    with pytest.raises(UsageError, match=text):
        ContinualFamily(**{"effect": "forgetting", "pretraining_steps": 10, **fault})
    with pytest.raises(UsageError, match=text):
        replace(printed("forgetting"), **fault)
