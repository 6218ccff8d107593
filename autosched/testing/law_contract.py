"""The suites every kind of loss law passes: what users of a law rely on, and that its fast form is the literal one.

Subclass them in a test file and give them a law family, bound to the units of short runs with a peak LR near 0.01, and
for the second one the paper's formula, written as plainly as possible::

    class TestMyLaw(LawContract, LiteralContract):
        @pytest.fixture
        def family(self):
            return MyFamily()

        @pytest.fixture
        def literal(self):
            return lambda law, lrs, t: law.floor + law.scale * sum(lrs[i] for i in range(t)) ** -law.exponent

A law without a family of its own, such as a stack of several, passes :class:`PredictionContract`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autosched.curves.curve import Curve
from autosched.laws.fit import FitOptions, LawFit, fit_law
from autosched.laws.law import LawFamily, LossLaw
from autosched.laws.robust import Robustness
from autosched.schedules.registry import build
from autosched.schedules.schedule import FloatArray, Schedule

STEPS = 600


def wsd(*, peak_lr: float = 0.01, cooldown: float = 0.4, final: float = 0.1, steps: int = STEPS) -> Schedule:
    """A schedule with a short warmup and a linear cooldown."""
    params = {"peak_lr": peak_lr, "warmup_steps": 30, "cooldown_fraction": cooldown, "final_lr_ratio": final}
    return build("wsd", params, steps=steps)


def curves_of(family: LawFamily[Any], x: FloatArray, schedules: list[Schedule]) -> list[Curve]:
    """Curves that obey the law exactly, a point every 20 updates."""
    steps = np.arange(40, STEPS + 1, 20, dtype=np.float64)
    return [Curve(schedule=s, steps=steps, losses=family.law(x).predict_at(s, steps)) for s in schedules]


def prior_mean(family: LawFamily[Any]) -> FloatArray:
    """Sound log-parameters: the family's own prior for a curve from 4 to 3 nats."""
    steps = np.array([40.0, 600.0])
    return family.prior([Curve(schedule=wsd(), steps=steps, losses=np.array([4.0, 3.0]))]).mean


class PredictionContract:
    """What everyone who asks a law for losses relies on; needs a `law` alone."""

    def test_a_prediction_has_one_finite_positive_loss_per_update(self, law: LossLaw) -> None:
        losses = law.predict(wsd())
        assert losses.shape == (STEPS,)
        assert np.all(np.isfinite(losses))
        assert np.all(losses > 0)

    def test_asking_for_some_steps_gives_what_asking_for_all_gives(self, law: LossLaw) -> None:
        schedule = wsd()
        steps = np.array([1.0, 31.0, 400.0, 600.0])
        np.testing.assert_allclose(
            law.predict_at(schedule, steps), law.predict(schedule)[steps.astype(int) - 1], rtol=2e-4
        )

    def test_steps_may_be_asked_in_any_order_and_twice(self, law: LossLaw) -> None:
        steps = np.array([600.0, 40.0, 333.0, 40.0])
        np.testing.assert_allclose(
            law.predict_at(wsd(), steps), [law.predict_at(wsd(), np.array([step]))[0] for step in steps], rtol=1e-12
        )

    def test_a_loss_depends_on_the_past_only(self, law: LossLaw) -> None:
        whole = wsd(cooldown=0.1)
        other = Schedule(np.concatenate([whole.lrs[:300], np.linspace(0.01, 0.001, 300)]))
        steps = np.arange(40.0, 301.0, 20.0)
        np.testing.assert_allclose(law.predict_at(whole, steps), law.predict_at(other, steps), rtol=1e-6)

    def test_a_decay_to_exactly_zero_is_the_limit_of_small_final_lrs(self, law: LossLaw) -> None:
        to_zero = Schedule(np.append(wsd(final=0.0).lrs[:-1], 0.0))
        near = Schedule(np.append(wsd(final=0.0).lrs[:-1], 1e-7))
        assert law.predict(to_zero)[-1] == pytest.approx(law.predict(near)[-1], rel=1e-4)

    def test_zeros_for_a_long_time_stay_finite(self, law: LossLaw) -> None:
        lrs = np.concatenate([wsd(final=0.0).lrs, np.zeros(200), np.full(50, 0.01)])
        assert np.all(np.isfinite(law.predict(Schedule(lrs))))

    def test_the_warmup_alone_can_be_predicted(self, law: LossLaw) -> None:
        for warmup in (Schedule(np.array([0.01])), Schedule(wsd().lrs[:30]), Schedule(wsd().lrs[:31])):
            losses = law.predict(warmup)
            assert losses.shape == (warmup.steps,)
            assert np.all(np.isfinite(losses))

    def test_nothing_jumps_where_the_warmup_ends(self, law: LossLaw) -> None:
        steps = np.arange(26.0, 36.0)
        changes = np.abs(np.diff(law.predict_at(wsd(), steps)))
        assert changes[4:6].max() <= 1.2 * changes[[0, 1, 2, 3, 6, 7, 8]].max()

    def test_a_hundred_times_longer_run_is_predicted_too(self, law: LossLaw) -> None:
        long = wsd(steps=100 * STEPS)
        losses = law.predict(long)
        assert losses.shape == (100 * STEPS,)
        assert np.all(np.isfinite(losses))
        assert 0 < losses[-1] <= losses[STEPS // 10]


class LawContract(PredictionContract):
    """What fitting, forecasting and optimising rely on; needs a `family`, from which the law comes."""

    @pytest.fixture
    def x(self, family: LawFamily[Any]) -> FloatArray:
        return prior_mean(family)

    @pytest.fixture
    def law(self, family: LawFamily[Any], x: FloatArray) -> LossLaw:
        return family.law(x)

    def test_the_derivatives_are_those_of_the_losses(self, family: LawFamily[Any], x: FloatArray) -> None:
        steps = np.arange(40.0, 601.0, 40.0)
        prepared = family.prepare([(wsd(), steps), (wsd(peak_lr=0.03, cooldown=1.0), steps)])
        analytic = family.losses(prepared, x)[1]
        for column, nudge in enumerate(np.eye(x.size) * 1e-5):
            high, low = family.losses(prepared, x + nudge)[0], family.losses(prepared, x - nudge)[0]
            np.testing.assert_allclose(analytic[:, column], (high - low) / 2e-5, rtol=1e-5, atol=1e-7)

    def test_the_means_are_the_losses_without_their_derivatives(self, family: LawFamily[Any], x: FloatArray) -> None:
        steps = np.arange(1.0, 601.0, 7.0)
        prepared = family.prepare([(wsd(), steps), (wsd(peak_lr=0.03, cooldown=1.0), steps)])
        np.testing.assert_allclose(family.means(prepared, x), family.losses(prepared, x)[0], rtol=1e-12)

    def test_a_fit_predicts_curves_that_obey_the_law(self, family: LawFamily[Any], x: FloatArray) -> None:
        truth = x + 0.1 * np.cos(np.arange(x.size))
        seen = curves_of(family, truth, [wsd(cooldown=0.2), wsd(cooldown=0.8), wsd(final=0.5), wsd(peak_lr=0.02)])
        unseen = curves_of(family, truth, [wsd(cooldown=0.5, final=0.3)])[0]
        options = FitOptions(robustness=Robustness(delta=1.0, noise=1e-5))
        fit = fit_law(family, seen, options)
        assert isinstance(fit, LawFit)
        np.testing.assert_allclose(fit.law.predict_at(unseen.schedule, unseen.steps), unseen.losses, rtol=2e-4)

    def test_the_fields_name_the_parameters(self, family: LawFamily[Any], x: FloatArray) -> None:
        law = family.law(x)
        assert [getattr(law, field) for field in family.fields] == pytest.approx(np.exp(x).tolist())

    def test_a_parameter_that_is_not_positive_is_refused_by_name(self, family: LawFamily[Any], x: FloatArray) -> None:
        law: Any = family.law(x)
        for field in family.law_type.fields:
            for value in (0.0, -1.0, float("nan"), float("inf")):
                with pytest.raises(ValueError, match=rf"{field} must be finite and > 0, but got {value}"):
                    replace(law, **{field: value})

    def test_the_parameters_survive_json(self, family: LawFamily[Any], x: FloatArray) -> None:
        law = family.law(x)
        written = json.dumps({field: getattr(law, field) for field in family.fields})
        again = family.law(np.log(list(json.loads(written).values())))
        np.testing.assert_allclose(again.predict(wsd()), law.predict(wsd()), rtol=1e-12)


Literal = Callable[[Any, FloatArray, int], float]
"""A law, the LRs of a whole schedule and a count of updates -> the loss after them, by the paper's formula."""


class LiteralContract:
    """A law's fast evaluation agrees with its formula, from the end of the warmup on, on schedules of every kind."""

    @pytest.fixture
    def error(self) -> float:
        """Largest relative difference that the law's docstring admits."""
        return 1e-4

    @pytest.mark.parametrize(
        "kind", ["constant", "wsd", "to_zero", "cosine", "two_stage", "cyclic", "zigzag", "stairs"]
    )
    def test_the_fast_evaluation_is_the_formula(
        self, family: LawFamily[Any], literal: Literal, error: float, kind: str
    ) -> None:
        law, schedule = family.law(prior_mean(family)), schedule_of(kind)
        steps = np.array([30.0, 31.0, 32.0, 100.0, 301.0, 302.0, 310.0, 450.0, 599.0, 600.0])
        slow = [literal(law, schedule.lrs, int(step)) for step in steps]
        np.testing.assert_allclose(law.predict_at(schedule, steps), slow, rtol=error)


def schedule_of(kind: str) -> Schedule:
    """A schedule of 600 updates with a peak LR of 0.01 and a warmup of 30."""
    after = np.arange(STEPS - 30, dtype=np.float64)
    bodies = {
        "constant": np.ones(after.size),
        "wsd": wsd().lrs[30:] / 0.01,
        "to_zero": wsd(final=0.0, cooldown=0.95).lrs[30:] / 0.01,
        "cosine": 0.55 + 0.45 * np.cos(np.pi * after / after.size),
        "two_stage": np.where(after < 271, 1.0, 0.1),
        "cyclic": 0.6 + 0.4 * np.cos(2 * np.pi * after / 190),
        "zigzag": 1 - 0.9 * np.abs((after % 200) / 100 - 1),
        "stairs": 0.2 + 0.8 * np.random.default_rng(0).random(19)[(after // 30).astype(int)],
    }
    return Schedule(0.01 * np.concatenate([np.arange(1, 31) / 30, bodies[kind]]))
