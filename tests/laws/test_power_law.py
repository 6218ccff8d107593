"""The power law of the updates done: the baseline."""

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.annealing import AnnealingFamily
from autosched.laws.baselines import PowerFamily, PowerLaw
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.testing.law_contract import wsd

LAW = PowerLaw(floor=2.8, scale=30.0, exponent=0.7)


def test_schedules_of_one_length_end_at_one_loss():
    finals = [LAW.predict(schedule)[-1] for schedule in (wsd(), wsd(peak_lr=0.1), wsd(cooldown=1.0, final=0.0))]
    assert finals == pytest.approx([2.8 + 30 * 600**-0.7] * 3, rel=1e-12)


def test_a_noisy_curve_gives_back_the_parameters():
    steps = np.geomspace(40, 60_000, 200).round()
    schedule = wsd(steps=60_000)
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(steps.size))
    curve = Curve(schedule=schedule, steps=steps, losses=LAW.predict_at(schedule, steps) * noise)
    fit = fit_law(PowerFamily(), [curve.until(20_000)])
    assert isinstance(fit, LawFit)
    assert fit.params == pytest.approx({"floor": 2.8, "scale": 30.0, "exponent": 0.7}, rel=0.05)
    assert fit.law.predict(schedule)[-1] == pytest.approx(LAW.predict(schedule)[-1], rel=1e-3)


def test_a_law_that_sees_the_lr_halves_its_error(curve):
    fitted = [curve(f"gpt25m/{name}") for name in ("cosine_24000", "constant_24000", "wsdcon_9")]
    names = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
    unseen = [curve(f"gpt25m/{name}") for name in names]
    errors = []
    for form in (PowerFamily(), AnnealingFamily()):
        fit = fit_law(form, fitted, FitOptions(first_share=0.1))
        assert isinstance(fit, LawFit)
        errors.append(
            np.mean([np.mean(np.abs(fit.law.predict_at(c.schedule, c.steps) / c.losses - 1)) for c in unseen])
        )
    assert errors[1] < 0.5 * errors[0]
