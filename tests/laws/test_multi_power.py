"""The Multi-Power Law against the paper's double sum and its published accuracy."""

import numpy as np
import pytest
from made_curves import made_curve

from autosched.laws.drops import DEFAULT_INTERVALS, drop_table, warmup_steps
from autosched.laws.multi_power import PUBLISHED, MultiPowerFamily, MultiPowerLaw
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import LawContract
from autosched.testing.published_curves import published_curve

SIZES = {"gpt25m": "25M", "gpt100m": "100M"}
TEST_CURVES = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")


def double_loop(law: MultiPowerLaw, lrs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The formula as the paper writes it, one drop after another."""
    first = 1 if law.warmup_drops else max(warmup_steps(lrs), 1)
    losses = []
    for t in steps.astype(int):
        reduction = 0.0
        for k in range(first, t):
            if lrs[k - 1] == lrs[k]:
                continue
            since = lrs[k:t].sum()
            grown = 1 - (1 + law.speed * max(lrs[k], 1e-3 * lrs.max()) ** -law.lr_power * since) ** -law.saturation
            reduction += (lrs[k - 1] - lrs[k]) * grown
        losses.append(law.floor + law.scale * lrs[:t].sum() ** -law.exponent - law.drop * reduction)
    return np.array(losses)


class TestMultiPowerContract(LawContract):
    @pytest.fixture
    def family(self):
        return MultiPowerFamily()


@pytest.mark.recorded
@pytest.mark.parametrize(("group", "error"), [("gpt25m", 0.00111), ("gpt100m", 0.00143)])
def test_published_parameters_reach_their_published_accuracy(group, error):
    law = PUBLISHED[SIZES[group]]
    means = []
    for name in TEST_CURVES:
        curve = published_curve(f"{group}/{name}")
        means.append(np.mean(np.abs(law.predict_at(curve.schedule, curve.steps) / curve.losses - 1)))
    assert np.mean(means) == pytest.approx(error, abs=2e-5)


@pytest.mark.parametrize("name", ["wsd_20000_24000", "cosine_24000", "wsdcon_3"])
@pytest.mark.parametrize("warmup_drops", [False, True])
def test_the_compressed_sum_is_the_double_loop_within_5e_5_nats(name, warmup_drops):
    curve = made_curve(f"gpt25m/{name}")
    published = PUBLISHED["25M"]
    law = MultiPowerLaw(**{f: getattr(published, f) for f in MultiPowerFamily().fields}, warmup_drops=warmup_drops)
    steps = curve.steps[[0, 60, -1]]
    np.testing.assert_allclose(
        law.predict_at(curve.schedule, steps), double_loop(law, curve.schedule.lrs, steps), atol=5e-5
    )


def test_finer_intervals_bring_the_compressed_sum_closer():
    curve = made_curve("gpt25m/wsd_20000_24000")
    law, steps = PUBLISHED["25M"], curve.steps[-1:]
    exact = double_loop(law, curve.schedule.lrs, steps)
    errors = []
    for intervals in (DEFAULT_INTERVALS, 8 * DEFAULT_INTERVALS):
        table = drop_table(curve.schedule, steps, intervals=intervals, warmup_drops=True)
        errors.append(abs(float(MultiPowerFamily().losses(table, law.logs())[0][0] - exact[0])))
    assert errors[1] < 0.5 * errors[0]


def test_a_constant_stretch_of_any_length_costs_nothing():
    lrs = np.concatenate([np.full(10_000, 3e-4), np.full(10_000, 1e-4)])
    table = drop_table(Schedule(lrs), np.array([5_000.0, 10_000.0, 20_000.0]))
    assert table.size.size <= 3 * 3  # one drop, seen from the last step only, at the nodes of one rule
    assert table.size.sum() == pytest.approx(2e-4)


def test_a_drop_pays_nothing_at_first_and_everything_in_the_end():
    law = MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=100.0, speed=2.0, saturation=0.6, lr_power=0.6)
    lrs = np.concatenate([np.full(1_000, 3e-4), np.full(400_000, 1e-4)])
    steps = np.array([1_000.0, 401_000.0])
    without = law.floor + law.scale * np.cumsum(lrs)[steps.astype(int) - 1] ** -law.exponent
    gained = without - law.predict_at(Schedule(lrs), steps)
    assert gained[0] == pytest.approx(0, abs=1e-12)
    assert 0.95 * 0.02 < gained[1] < 0.02


def test_the_warmup_ends_at_the_first_update_that_does_not_rise():
    assert warmup_steps(np.array([1.0, 2.0, 3.0, 3.0, 1.0])) == 3
    assert warmup_steps(np.array([3.0, 3.0, 1.0])) == 0
    assert warmup_steps(np.array([1.0, 2.0, 3.0])) == 3


def test_a_field_that_is_not_positive_is_refused_by_name():
    with pytest.raises(ValueError, match="drop must be finite and > 0, but got 0"):
        MultiPowerLaw(floor=3.0, scale=0.5, exponent=0.5, drop=0, speed=2.0, saturation=0.6, lr_power=0.6)
