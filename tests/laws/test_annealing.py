"""The annealing law against the paper's recursion."""

import numpy as np
import pytest
from made_curves import made_curve

from autosched.laws.annealing import AnnealingFamily, AnnealingLaw
from autosched.laws.drops import warmup_steps
from autosched.laws.fit import LawFit, fit_law
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import LawContract

LAW = AnnealingLaw(floor=3.1, scale=0.5, exponent=0.5, gain=400.0, memory=0.04)


def recursion(law: AnnealingLaw, lrs: np.ndarray) -> np.ndarray:
    """S2 by the paper's recursion, one update after another; its C is gain * (1 - lambda)."""
    decay = np.exp(-1 / (law.memory * lrs.size))
    momentum, area, losses = 0.0, 0.0, []
    first = max(warmup_steps(lrs), 1)
    for i in range(lrs.size):
        momentum = decay * momentum + (lrs[i - 1] - lrs[i] if i >= first else 0.0)
        area += momentum
        losses.append(law.floor + law.scale * lrs[: i + 1].sum() ** -law.exponent - law.gain * (1 - decay) * area)
    return np.array(losses)


class TestAnnealingContract(LawContract):
    @pytest.fixture
    def family(self):
        return AnnealingFamily()


@pytest.mark.parametrize("name", ["wsd_20000_24000", "cosine_24000", "wsdcon_3"])
def test_the_compressed_sum_is_the_recursion_within_1e_4_nats(name):
    schedule = made_curve(f"gpt25m/{name}").schedule
    steps = np.array([9_000.0, float(schedule.steps)])
    np.testing.assert_allclose(
        LAW.predict_at(schedule, steps), recursion(LAW, schedule.lrs)[steps.astype(int) - 1], atol=1e-4
    )


def test_a_single_drop_brings_its_closed_form():
    lrs = np.concatenate([np.full(500, 3e-4), np.full(500, 1e-4)])
    without = LAW.floor + LAW.scale * lrs.sum() ** -LAW.exponent
    gained = without - LAW.predict(Schedule(lrs))[-1]
    assert gained == pytest.approx(LAW.gain * 2e-4 * (1 - np.exp(-500 / (LAW.memory * 1_000))), rel=1e-9)


@pytest.mark.parametrize(("group", "error"), [("gpt25m", 0.00141), ("gpt100m", 0.00153)])
def test_three_curves_predict_six_others_as_well_as_with_the_papers_memory(curve, group, error):
    fit = fit_law(AnnealingFamily(), [curve(f"{group}/{n}") for n in ("cosine_24000", "constant_24000", "wsdcon_9")])
    assert isinstance(fit, LawFit)
    names = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
    curves = [curve(f"{group}/{name}") for name in names]
    errors = [np.mean(np.abs(fit.law.predict_at(c.schedule, c.steps) / c.losses - 1)) for c in curves]
    assert np.mean(errors) < error
