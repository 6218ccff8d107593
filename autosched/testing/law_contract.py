"""The suite every kind of loss law passes.

Subclass it in a test file and give it a form, bound to the units of short runs with a peak LR near 0.01::

    class TestMyLaw(LawContract):
        @pytest.fixture
        def form(self):
            return MyForm()
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.laws.form import LawForm
from autosched.laws.robust import Robustness
from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray, Schedule

STEPS = 600


def wsd(*, peak_lr: float = 0.01, cooldown: float = 0.4, final: float = 0.1, steps: int = STEPS) -> Schedule:
    """A schedule with a short warmup and a linear cooldown."""
    params = {"peak_lr": peak_lr, "warmup_steps": 30, "cooldown_fraction": cooldown, "final_lr_ratio": final}
    return build("wsd", params, steps=steps)


def curves_of(form: LawForm[Any], x: FloatArray, schedules: list[Schedule]) -> list[Curve]:
    """Curves that obey the law exactly, a point every 20 updates."""
    steps = np.arange(40, STEPS + 1, 20, dtype=np.float64)
    return [Curve(schedule=s, steps=steps, losses=form.law(x).predict_at(s, steps)) for s in schedules]


class LawContract:
    """What fitting, forecasting and optimising rely on."""

    @pytest.fixture
    def x(self, form: LawForm[Any]) -> FloatArray:
        """Sound log-parameters: the form's own belief about a curve from 4 to 3 nats."""
        schedule = wsd()
        steps = np.array([40.0, 600.0])
        return form.belief([Curve(schedule=schedule, steps=steps, losses=np.array([4.0, 3.0]))]).mean

    def test_a_prediction_has_one_finite_loss_per_update(self, form: LawForm[Any], x: FloatArray) -> None:
        losses = form.law(x).predict(wsd())
        assert losses.shape == (STEPS,)
        assert np.all(np.isfinite(losses))

    def test_asking_for_some_steps_gives_what_asking_for_all_gives(self, form: LawForm[Any], x: FloatArray) -> None:
        law, schedule = form.law(x), wsd()
        steps = np.array([1.0, 31.0, 400.0, 600.0])
        np.testing.assert_allclose(
            law.predict_at(schedule, steps), law.predict(schedule)[steps.astype(int) - 1], rtol=2e-4
        )

    def test_a_loss_depends_on_the_past_only(self, form: LawForm[Any], x: FloatArray) -> None:
        law, whole = form.law(x), wsd(cooldown=0.1)
        other = Schedule(np.concatenate([whole.lrs[:300], np.linspace(0.01, 0.001, 300)]))
        steps = np.arange(40.0, 301.0, 20.0)
        np.testing.assert_allclose(law.predict_at(whole, steps), law.predict_at(other, steps), rtol=1e-6)

    def test_a_decay_to_exactly_zero_is_the_limit_of_small_final_lrs(self, form: LawForm[Any], x: FloatArray) -> None:
        law = form.law(x)
        to_zero = Schedule(np.append(wsd(final=0.0).lrs[:-1], 0.0))
        near = Schedule(np.append(wsd(final=0.0).lrs[:-1], 1e-7))
        assert law.predict(to_zero)[-1] == pytest.approx(law.predict(near)[-1], rel=1e-4)

    def test_zeros_for_a_long_time_stay_finite(self, form: LawForm[Any], x: FloatArray) -> None:
        lrs = np.concatenate([wsd(final=0.0).lrs, np.zeros(200), np.full(50, 0.01)])
        assert np.all(np.isfinite(form.law(x).predict(Schedule(lrs))))

    def test_the_derivatives_are_those_of_the_losses(self, form: LawForm[Any], x: FloatArray) -> None:
        steps = np.arange(40.0, 601.0, 40.0)
        prepared = form.prepare([(wsd(), steps), (wsd(peak_lr=0.03, cooldown=1.0), steps)])
        analytic = form.losses(prepared, x)[1]
        for column, nudge in enumerate(np.eye(x.size) * 1e-5):
            high, low = form.losses(prepared, x + nudge)[0], form.losses(prepared, x - nudge)[0]
            np.testing.assert_allclose(analytic[:, column], (high - low) / 2e-5, rtol=1e-5, atol=1e-7)

    def test_a_fit_predicts_curves_that_obey_the_law(self, form: LawForm[Any], x: FloatArray) -> None:
        truth = x + 0.1 * np.cos(np.arange(x.size))
        seen = curves_of(form, truth, [wsd(cooldown=0.2), wsd(cooldown=0.8), wsd(final=0.5), wsd(peak_lr=0.02)])
        unseen = curves_of(form, truth, [wsd(cooldown=0.5, final=0.3)])[0]
        options = FitOptions(robustness=Robustness(delta=1.0, noise=1e-5))
        fit = fit_law(form, seen, options)
        assert isinstance(fit, LawFit)
        np.testing.assert_allclose(fit.law.predict_at(unseen.schedule, unseen.steps), unseen.losses, rtol=2e-4)

    def test_the_fields_name_the_parameters(self, form: LawForm[Any], x: FloatArray) -> None:
        law = form.law(x)
        assert [getattr(law, field) for field in form.fields] == pytest.approx(np.exp(x).tolist())
