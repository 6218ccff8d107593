"""All laws against the contract and their literal formulas; and the contract notices broken laws."""

from dataclasses import dataclass

import numpy as np
import pytest
from literal_laws import LITERAL

from autosched.curves.curve import Curve
from autosched.errors import UsageError
from autosched.laws.baselines import PowerFamily, PowerLaw
from autosched.laws.continual import ContinualFamily
from autosched.laws.forecaster import Forecaster
from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.registry import FAMILIES, LAWS, family_for, family_names
from autosched.testing.law_contract import LawContract, LiteralContract, PredictionContract, curves_of, prior_mean, wsd

WHOLE = Curve(schedule=wsd(), steps=np.array([600.0]), losses=np.array([3.0]))
BOUND = {
    "forgetting": ContinualFamily(effect="forgetting", pretraining_steps=270, memory=40.0),
    "adaptation": ContinualFamily(effect="adaptation", pretraining_steps=270, memory=40.0),
}


@pytest.fixture(params=[*FAMILIES, "forgetting", "adaptation"])
def family(request):
    return BOUND[request.param] if request.param in BOUND else family_for(request.param, [WHOLE])


class TestEveryLaw(LawContract, LiteralContract):
    @pytest.fixture
    def literal(self, family):
        return LITERAL[family.name]

    @pytest.fixture
    def error(self, family):
        """The functional law counts time continuously: half an update, which shows in a run of 600."""
        return 1e-3 if family.name == "functional" else 1e-4


@pytest.fixture(scope="module")
def stacked_law():
    """Of noisy curves, so that every law has a weight and the residual process has something to say."""
    rng, curves = np.random.default_rng(0), []
    family = family_for("functional", [WHOLE])
    for curve in curves_of(family, prior_mean(family), [wsd(cooldown=0.2), wsd(cooldown=0.8), wsd(final=0.5)]):
        losses = curve.losses * np.exp(0.003 * rng.standard_normal(curve.losses.size))
        curves.append(Curve(schedule=curve.schedule, steps=curve.steps, losses=losses))
    fitted = fit_forecaster(curves)
    assert isinstance(fitted, Forecaster)
    return fitted


class TestStackedLaws(PredictionContract):
    @pytest.fixture
    def law(self, stacked_law):
        return stacked_law


def test_forms_are_named_as_their_laws():
    assert set(LAWS) == {*FAMILIES, "continual"}
    for name in family_names():
        family = family_for(name, [WHOLE])
        assert family.name == name
        assert LAWS[name].name == name


def test_an_unknown_law_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"law must be one of functional, .*power, but got 'cubic'\."):
        family_for("cubic", [])


def looks_ahead(schedule, steps):
    return 10 * schedule.final_lr * np.ones(steps.size)


def explodes_at_zero(schedule, steps):
    return 1e-3 * np.maximum(schedule.lrs[steps.astype(int) - 1], 1e-12) ** -0.6


def jumps_after_the_warmup(_schedule, steps):
    return np.where(steps > 30, 5.0, 0.0)


def forgets_its_order(_schedule, steps):
    return np.linspace(0, 1, steps.size)


def falls_below_zero(_schedule, steps):
    return -steps


def grows_with_the_horizon(_schedule, steps):
    return 1e-3 * steps


@dataclass(frozen=True, kw_only=True)
class BrokenLaw(PowerLaw):
    """A power law with something added that a law must not have."""

    added: object

    def predict_at(self, schedule, steps):
        return super().predict_at(schedule, steps) + self.added(schedule, steps)


class SteepForm(PowerFamily):
    def losses(self, prepared, x):
        losses, jacobian = PowerFamily.losses(self, prepared, x)
        return losses, 1.01 * jacobian


CONTRACT = LawContract()


@pytest.mark.parametrize(
    ("promise", "fault"),
    [
        (CONTRACT.test_a_prediction_has_one_finite_positive_loss_per_update, falls_below_zero),
        (CONTRACT.test_asking_for_some_steps_gives_what_asking_for_all_gives, forgets_its_order),
        (CONTRACT.test_steps_may_be_asked_in_any_order_and_twice, forgets_its_order),
        (CONTRACT.test_a_loss_depends_on_the_past_only, looks_ahead),
        (CONTRACT.test_a_decay_to_exactly_zero_is_the_limit_of_small_final_lrs, explodes_at_zero),
        (CONTRACT.test_nothing_jumps_where_the_warmup_ends, jumps_after_the_warmup),
        (CONTRACT.test_a_hundred_times_longer_run_is_predicted_too, grows_with_the_horizon),
    ],
)
def test_a_law_that_breaks_a_promise_is_noticed(promise, fault):
    with pytest.raises(AssertionError):
        promise(BrokenLaw(floor=3.0, scale=2.0, exponent=0.5, added=fault))


def test_wrong_derivatives_are_noticed():
    with pytest.raises(AssertionError):
        CONTRACT.test_the_derivatives_are_those_of_the_losses(SteepForm(), prior_mean(SteepForm()))


def test_a_fast_form_that_is_not_the_formula_is_noticed():
    with pytest.raises(AssertionError):
        LiteralContract().test_the_fast_evaluation_is_the_formula(
            PowerFamily(), lambda law, lrs, t: 1.001 * LITERAL["power"](law, lrs, t), 1e-4, "wsd"
        )
