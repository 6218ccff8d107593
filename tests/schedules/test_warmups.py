"""Each warmup against its literal formula, its source's code, and every body."""

import math

import numpy as np
import pytest
import torch

from autosched.errors import ScheduleError
from autosched.schedules import build, family_names, get_family
from autosched.schedules.warmups import first_rectified, rectified

BODIES = [name for name in family_names() if "warmup_shape" in get_family(name).parameters]


def rise(warmup_steps, **params):
    """The warmup of a schedule whose peak LR is 1."""
    given = {"peak_lr": 1.0, "warmup_steps": warmup_steps, **params}
    return build("constant", given, steps=warmup_steps + 1).lrs[:-1]


def literal_rectification(t, beta2):
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    if rho <= 4:
        return 0.0
    return math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))


@pytest.mark.parametrize("beta2", [0.7, 0.9, 0.95, 0.99, 0.999])
def test_the_rectification_is_its_formula(beta2):
    expected = [literal_rectification(t, beta2) for t in range(1, 3001)]
    np.testing.assert_allclose(rectified(3000, beta2), expected, rtol=1e-9, atol=1e-12)


def test_the_rectification_is_what_torch_s_radam_does():
    """With gradients of 1 both moments are 1, so an update is -lr * rect once rho is above 5, where torch begins."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.RAdam([weight], lr=1.0, eps=0.0)
    updates = []
    for _ in range(300):
        before = weight.item()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        updates.append(before - weight.item())
    np.testing.assert_allclose(rectified(300, 0.999)[5:], updates[5:], rtol=1e-9)


@pytest.mark.parametrize("beta2", [0.7, 0.99, 0.999, 0.999999])
def test_the_shortest_radam_warmup_is_the_one_that_ends_with_the_first_rectified_update(beta2):
    least = first_rectified(beta2)
    assert rise(least, warmup_shape="radam", warmup_beta2=beta2).tolist() == [0.0] * (least - 1) + [1.0]
    with pytest.raises(ScheduleError, match=rf"warmup_steps must be 0 or >= {least} for a radam warmup"):
        rise(least - 1, warmup_shape="radam", warmup_beta2=beta2)


def test_a_radam_warmup_is_the_rectification_over_its_last_value():
    expected = [literal_rectification(t, 0.99) / literal_rectification(200, 0.99) for t in range(1, 201)]
    np.testing.assert_allclose(rise(200, warmup_shape="radam", warmup_beta2=0.99), expected, rtol=1e-9, atol=1e-12)


def test_a_long_radam_warmup_has_nearly_risen_after_six_time_constants():
    assert rectified(2000, 0.999)[-1] == pytest.approx(0.828, abs=1e-3)
    assert rectified(6000, 0.999)[-1] == pytest.approx(0.9925, abs=1e-4)


@pytest.mark.parametrize("constants", [0.01, 1.0, 5.0, 100.0])
def test_an_exponential_warmup_is_its_formula(constants):
    made = rise(50, warmup_shape="exponential", warmup_time_constants=constants)
    expected = [(1 - math.exp(-constants * (i + 1) / 50)) / (1 - math.exp(-constants)) for i in range(50)]
    np.testing.assert_allclose(made, expected, rtol=1e-12)
    assert made[-1] == 1.0


def test_the_untuned_exponential_warmup_is_reached_as_it_gets_longer():
    """Ma and Yarats: 1 - exp(-(1 - beta2) t); here W = k / (1 - beta2) updates of it, divided by 1 - exp(-k)."""
    made = rise(10_000, warmup_shape="exponential", warmup_time_constants=10.0)
    t = np.arange(1, 10_001)
    np.testing.assert_allclose(made, 1 - np.exp(-(1 - 0.999) * t), rtol=5e-5)


@pytest.mark.parametrize("start", [0.0, 0.01, 1.0])
def test_a_ramp_reaches_the_full_lr_one_update_after_it(start):
    made = rise(40, warmup_shape="ramp", warmup_start_ratio=start)
    np.testing.assert_allclose(made, [start + (1 - start) * i / 40 for i in range(40)], rtol=1e-14)


@pytest.mark.parametrize("shape", ["linear", "ramp", "exponential", "radam"])
@pytest.mark.parametrize("body", BODIES)
def test_a_warmup_s_shape_changes_the_warmup_alone(body, shape):
    family = get_family(body)
    required = {"values": [0.3, 0.1], "boundaries": [60], "peak_lr": 0.3, "expression": "peak * (1 - t / T)"}
    params = {name: required[name] for name, p in family.parameters.items() if p.required} | {"warmup_steps": 20}
    plain, shaped = build(body, params, steps=100), build(body, {**params, "warmup_shape": shape}, steps=100)
    assert shaped.lrs[20:].tobytes() == plain.lrs[20:].tobytes()
    assert (shaped == plain) == (shape == "linear")


@pytest.mark.parametrize("shape", ["ramp", "exponential", "radam"])
def test_without_updates_a_warmup_s_shape_changes_nothing(shape):
    plain = build("cosine", {"peak_lr": 0.1}, steps=30)
    assert build("cosine", {"peak_lr": 0.1, "warmup_shape": shape}, steps=30).fingerprint == plain.fingerprint
