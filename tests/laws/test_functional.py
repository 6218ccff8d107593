"""The functional law against the literal convolution, and the shapes it promises."""

import numpy as np
import pytest
from made_curves import made_curve

from autosched.laws.functional import FunctionalFamily, FunctionalLaw, Units
from autosched.schedules.schedule import Schedule
from autosched.testing.law_contract import LawContract, wsd

LAW = FunctionalLaw(
    floor=2.6,
    scale=0.5,
    exponent=0.5,
    noise=0.1,
    noise_power=0.9,
    noise_peak_power=1.1,
    time_power=0.5,
    time_peak_power=0.4,
    speed=2.0,
    saturation=0.6,
)


def literal(law: FunctionalLaw, lrs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The formula of the module, one update after another."""
    z, u = lrs / lrs.max(), lrs.max() / law.reference_lr
    tau = np.concatenate([[0.0], np.cumsum(u**law.time_peak_power * z**law.time_power / law.reference_steps)])
    losses = []
    for t in steps.astype(int):
        grown = 1 - (1 + law.speed * (tau[t] - tau[: t + 1])) ** -law.saturation
        noise = sum(z[i] ** law.noise_power * (grown[i] - grown[i + 1]) for i in range(t))
        losses.append(law.floor + law.scale * tau[t] ** -law.exponent + law.noise * u**law.noise_peak_power * noise)
    return np.array(losses)


class TestFunctionalContract(LawContract):
    @pytest.fixture
    def family(self):
        return FunctionalFamily(units=Units(lr=0.01, steps=24.0))


@pytest.mark.parametrize("name", ["gpt25m/wsdcon_3", "gpt25m/cosine_24000", "llama124m/wsd_lr0.002_T25000_cd0.2_sqrt"])
def test_the_compressed_convolution_is_the_literal_one_within_1e_4_nats(name):
    curve = made_curve(name)
    steps = curve.steps[[20, 60, -1]]
    np.testing.assert_allclose(
        LAW.predict_at(curve.schedule, steps), literal(LAW, curve.schedule.lrs, steps), atol=1e-4
    )


def test_at_a_constant_lr_the_noise_reaches_its_level():
    last = LAW.predict_at(Schedule(np.full(10_000_000, LAW.reference_lr)), np.array([1e7]))[0]
    tau = 1e7 / LAW.reference_steps
    assert last == pytest.approx(LAW.floor + LAW.scale * tau**-LAW.exponent + LAW.noise, abs=1e-3)


def test_peak_lr_has_a_u_shape():
    finals = [LAW.predict(wsd(peak_lr=peak, final=0.5, steps=20_000))[-1] for peak in (1e-4, 1e-3, 1e-2)]
    assert finals[1] < finals[0]
    assert finals[1] < finals[2]


def test_units_are_the_geometric_means_of_the_runs():
    units = Units.of([wsd(peak_lr=0.01, steps=600), wsd(peak_lr=0.04, steps=2_400)])
    assert units.lr == pytest.approx(0.02)
    assert units.steps == pytest.approx(1_200 / 25)
