"""Each optimizer is its formula, restated here in numpy, on a small quadratic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from workers.optimizers.registry import METHODS, read_choice
from workers.optimizers.updates import Updates, Usual
from workers.optimizers.volsched import volatility_factor

CURVATURES = np.array([1.0, 0.25])
START = np.array([1.0, -2.0])
USUAL = Usual(weight_decay=0.1, betas=(0.9, 0.95))


class Quadratic(nn.Module):
    """``L(w) = 1/2 sum(h w^2)``, in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(START))

    def forward(self) -> torch.Tensor:
        return 0.5 * (torch.tensor(CURVATURES) * self.w.square()).sum()


def loss_at(w: np.ndarray) -> float:
    return float(0.5 * (CURVATURES * w**2).sum())


def made(name: str, usual: Usual = USUAL, **options) -> tuple[Quadratic, Updates]:
    model = Quadratic()
    return model, read_choice({"use": name, "with": options}).make(model, usual)


def trained(model: Quadratic, updates: Updates, lrs) -> np.ndarray:
    """The weights after each update, (updates, 2)."""
    path = []
    for lr in lrs:
        updates.optimizer.zero_grad()
        loss = model()
        loss.backward()
        updates.update(float(lr), loss.item())
        path.append(model.w.detach().numpy().copy())
    return np.array(path)


def evaluated(model: Quadratic, updates: Updates) -> np.ndarray:
    with updates.evaluating():
        return model.w.detach().numpy().copy()


def adam_moments(gradients: list[np.ndarray], betas: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    m = v = np.zeros(2)
    for g in gradients:
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
    return m, v


def test_adamod_takes_the_smaller_of_its_step_and_the_steps_average():
    model, updates = made("adamod", beta3=0.9, betas=[0.9, 0.99])
    path = trained(model, updates, [0.1, 0.2, 0.1])
    w, e, gradients = START, np.zeros(2), []
    for t, (lr, seen) in enumerate(zip([0.1, 0.2, 0.1], path, strict=True), start=1):
        gradients.append(CURVATURES * w)
        m, v = adam_moments(gradients, (0.9, 0.99))
        s = lr * math.sqrt(1 - 0.99**t) / (1 - 0.9**t) / (np.sqrt(v) + 1e-8)
        e = 0.9 * e + 0.1 * s
        w = w * (1 - lr * USUAL.weight_decay) - np.minimum(s, e) * m
        np.testing.assert_allclose(seen, w, rtol=1e-10)


def test_adamod_without_a_memory_of_steps_is_adam():
    model, updates = made("adamod", beta3=0.0, betas=[0.9, 0.95])
    other, adamw = made("adamw")
    # AdamW adds eps to the corrected root: the same up to eps
    np.testing.assert_allclose(trained(model, updates, [0.1] * 5), trained(other, adamw, [0.1] * 5), rtol=1e-6)


def test_radam_moves_like_momentum_until_its_second_moment_can_be_trusted_and_then_by_its_factor():
    model, updates = made("radam", betas=[0.9, 0.99], weight_decay=0.0)
    path = trained(model, updates, [0.1] * 12)
    w, gradients, limit, rectified = START, [], 2 / (1 - 0.99) - 1, []
    for t, seen in enumerate(path, start=1):
        gradients.append(CURVATURES * w)
        m, v = adam_moments(gradients, (0.9, 0.99))
        rho = limit - 2 * t * 0.99**t / (1 - 0.99**t)
        step = m / (1 - 0.9**t)
        if rho > 5:
            factor = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            step = step * factor / (np.sqrt(v) + 1e-8) * math.sqrt(1 - 0.99**t)
        rectified.append(rho > 5)
        w = w - 0.1 * step
        np.testing.assert_allclose(seen, w, rtol=1e-6)
    assert any(rectified)
    assert not all(rectified)


def test_schedule_free_is_its_three_sequences_for_a_hundred_updates():
    model, updates = made("schedulefree", weight_decay=0.0, betas=[0.9, 0.99])
    lrs = np.concatenate([np.linspace(0.01, 0.1, 10), np.full(90, 0.1)])
    path = trained(model, updates, lrs)
    x = z = y = START
    v, total, highest = np.zeros(2), 0.0, 0.0
    for t, (lr, seen) in enumerate(zip(lrs, path, strict=True), start=1):
        g = CURVATURES * y
        v = 0.99 * v + 0.01 * g**2
        z = z - lr * g / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
        highest = max(highest, lr)
        total += highest**2
        x = x + highest**2 / total * (z - x)
        y = 0.1 * z + 0.9 * x
        np.testing.assert_allclose(seen, y, atol=1e-6)
    np.testing.assert_allclose(evaluated(model, updates), x, atol=1e-6)
    assert np.abs(x - y).max() > 1e-4
    assert (model.w.detach().numpy() == path[-1]).all()  # back to y, to the bit


@pytest.mark.parametrize("name", ["dog", "ldog"])
def test_dog_steps_by_the_distance_over_the_gradients_and_is_evaluated_at_its_average(name):
    model, updates = made(name, reps_rel=1e-2, gamma=8.0)
    path = trained(model, updates, [1.0, 0.5, 1.0, 1.0])
    w, squares, mean = START, 1e-8, START
    distance = 1e-2 * (1 + np.linalg.norm(START))
    for t, (c, seen) in enumerate(zip([1.0, 0.5, 1.0, 1.0], path, strict=True), start=1):
        g = CURVATURES * w
        distance = max(distance, np.linalg.norm(w - START))
        squares += g @ g
        w = w - c * distance / math.sqrt(squares) * g
        mean = mean + 9 / (8 + t) * (w - mean)
        np.testing.assert_allclose(seen, w, rtol=1e-7)
    np.testing.assert_allclose(evaluated(model, updates), mean, rtol=1e-7)


def test_dog_without_averaging_is_evaluated_where_it_is():
    model, updates = made("dog", averaging=False)
    path = trained(model, updates, [1.0] * 3)
    assert (evaluated(model, updates) == path[-1]).all()


def test_layers_have_steps_of_their_own_in_ldog_alone():
    steps = {}
    for name in ("dog", "ldog"):
        model = nn.ParameterList([torch.ones(1), torch.ones(1)])
        updates = read_choice({"use": name, "with": {"reps_rel": 0.1}}).make(model, USUAL)
        model[0].grad, model[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
        updates.update(1.0, 1.0)
        steps[name] = [1.0 - weight.item() for weight in model]
    root = 1 + math.sqrt(2)
    assert steps["dog"] == pytest.approx([0.1 * root / 5 * 3, 0.1 * root / 5 * 4], rel=1e-5)
    assert steps["ldog"] == pytest.approx([0.2, 0.2], rel=1e-5)


def test_prodigy_is_its_published_recursion():
    model, updates = made("prodigy", d0=1e-2, betas=[0.9, 0.99])
    lrs = [1.0, 0.5, 1.0, 1.0, 1.0]
    path = trained(model, updates, lrs)
    w, d, num, beta3 = START, 1e-2, 0.0, math.sqrt(0.99)
    m = v = s = np.zeros(2)
    for lr, seen in zip(lrs, path, strict=True):
        g = CURVATURES * w
        num = beta3 * num + d / 1e-2 * d * lr * (g @ (START - w))
        m, v = 0.9 * m + 0.1 * d * g, 0.99 * v + 0.01 * d**2 * g**2
        s = beta3 * s + d / 1e-2 * d * lr * g
        used, d = d, max(d, num / np.abs(s).sum())
        # as packaged: the new d only where eps is, the old one in the step
        w = w * (1 - USUAL.weight_decay * used * lr) - used * lr * m / (np.sqrt(v) + d * 1e-8)
        np.testing.assert_allclose(seen, w, rtol=1e-6)
    assert updates.optimizer.param_groups[0]["d"] == pytest.approx(d, rel=1e-6)
    assert d > 1e-2


def test_d_adaptation_is_its_published_recursion():
    model, updates = made("dadaptation", d0=1e-2, betas=[0.9, 0.99])
    path = trained(model, updates, [1.0] * 5)
    w, d, num, root = START, 1e-2, 0.0, math.sqrt(0.99)
    m = v = s = np.zeros(2)
    for seen in path:
        g = CURVATURES * w
        num = root * num + (1 - root) * d * (g @ (s / (np.sqrt(v) + 1e-8)))
        m, v, s = 0.9 * m + 0.1 * d * g, 0.99 * v + 0.01 * g**2, root * s + (1 - root) * d * g
        used, d = d, max(d, num / ((1 - root) * np.abs(s).sum()))
        w = w * (1 - USUAL.weight_decay * used) - m / (np.sqrt(v) + 1e-8)
        np.testing.assert_allclose(seen, w, rtol=1e-6)
    assert d > 1e-2


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Muon's quintic Newton-Schulz iteration, which brings all singular values near 1."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
    return x


def test_muon_turns_matrices_orthogonally_and_leaves_the_rest_to_adamw():
    torch.manual_seed(0)
    model = nn.ModuleDict({"inner": nn.Linear(4, 3), "head": nn.Linear(3, 2, bias=False)})
    updates = read_choice({"use": "muon", "with": {"adamw_lr_ratio": 0.1}}).make(model, USUAL)
    before = {name: weight.detach().numpy().astype(float) for name, weight in model.named_parameters()}
    gradients = {name: np.random.default_rng(1).normal(size=w.shape) for name, w in before.items()}
    for name, weight in model.named_parameters():
        weight.grad = torch.tensor(gradients[name], dtype=torch.float32)
    updates.update(0.2, 1.0)
    after = {name: weight.detach().numpy() for name, weight in model.named_parameters()}
    decay = 1 - 0.2 * USUAL.weight_decay
    g = gradients["inner.weight"]
    moved = decay * before["inner.weight"] - 0.2 * orthogonal(0.05 * g + 0.95 * (0.05 * g))
    np.testing.assert_allclose(after["inner.weight"], moved, atol=0.02)  # the package multiplies in bf16
    for name in ("inner.bias", "head.weight"):  # Adam's first step is the sign
        moved = (1 - 0.02 * USUAL.weight_decay) * before[name] - 0.02 * np.sign(gradients[name])
        np.testing.assert_allclose(after[name], moved, atol=1e-5)


def test_soap_is_adam_in_the_eigenbasis_of_the_gradients():
    torch.manual_seed(0)
    model = nn.Linear(3, 2, bias=False)
    options = {"betas": [0.9, 0.99], "shampoo_beta": 0.5, "precondition_frequency": 1000, "weight_decay": 0.0}
    updates = read_choice({"use": "soap", "with": options}).make(model, USUAL)
    w = model.weight.detach().numpy().astype(float)
    rng, m, v = np.random.default_rng(1), np.zeros((2, 3)), np.zeros((2, 3))
    for t in range(4):
        g = rng.normal(size=(2, 3))
        model.weight.grad = torch.tensor(g, dtype=torch.float32)
        updates.update(0.1, 1.0)
        if t == 0:  # the first gradient gives the bases, and moves nothing
            left, right = np.linalg.eigh(g @ g.T)[1], np.linalg.eigh(g.T @ g)[1]
        else:
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * (left.T @ g @ right) ** 2
            step = (left.T @ m @ right) / (np.sqrt(v) + 1e-8) * math.sqrt(1 - 0.99**t) / (1 - 0.9**t)
            w = w - 0.1 * left @ step @ right.T
        np.testing.assert_allclose(model.weight.detach().numpy(), w, atol=1e-4)


def test_polyaks_step_is_the_loss_over_the_squared_direction():
    model, updates = made("polyak", momentum=0.5, bound=0.25)
    path = trained(model, updates, [10.0, 10.0])
    w, d = START, np.zeros(2)
    for seen in path:
        d = 0.5 * d + CURVATURES * w
        w = w - (loss_at(w) - 0.25) / (d @ d) * d
        np.testing.assert_allclose(seen, w, rtol=1e-10)


def test_polyaks_step_for_a_heavy_ball_counts_the_last_move():
    model, updates = made("polyak", form="heavy_ball", momentum=0.5)
    path = trained(model, updates, [10.0, 10.0, 10.0])
    w = before = START
    for seen in path:
        g, move = CURVATURES * w, w - before
        w, before = w - (loss_at(w) + 0.5 * (g @ move)) / (g @ g) * g + 0.5 * move, w
        np.testing.assert_allclose(seen, w, rtol=1e-10)


def test_the_schedules_lr_is_the_largest_step_of_polyak():
    model, updates = made("polyak")
    (w,) = trained(model, updates, [0.125])
    assert w == pytest.approx(START - 0.125 * CURVATURES * START, rel=1e-12)


def test_a_loss_under_its_bound_is_no_reason_to_go_back():
    model, updates = made("polyak", bound=100.0)
    assert (trained(model, updates, [1.0]) == START).all()


def test_polyak_takes_gradients_as_long_as_they_are():
    assert made("polyak")[1].clips is False
    assert all(made(name)[1].clips for name in METHODS if name != "polyak")


def test_hypergradient_descent_moves_the_lr_by_the_product_of_two_gradients():
    model, updates = made("hypergradient", base="sgd", momentum=0.0, rate=0.05)
    path = trained(model, updates, [0.1] * 3)
    w, alpha, last = START, 0.1, np.zeros(2)
    for seen in path:
        g = CURVATURES * w
        alpha += 0.05 * (g @ last)
        w, last = w - alpha * g, g
        np.testing.assert_allclose(seen, w, rtol=1e-10)
    assert 0.1 * updates.factor == pytest.approx(alpha, rel=1e-10)


def test_hypergradient_descent_of_adam_uses_adams_direction():
    model, updates = made("hypergradient", rate=0.01, betas=[0.9, 0.99], weight_decay=0.0)
    path = trained(model, updates, [0.1] * 3)
    w, alpha, last, gradients = START, 0.1, np.zeros(2), []
    for t, seen in enumerate(path, start=1):
        gradients.append(CURVATURES * w)
        alpha += 0.01 * (gradients[-1] @ last)
        m, v = adam_moments(gradients, (0.9, 0.99))
        last = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
        w = w - alpha * last
        np.testing.assert_allclose(seen, w, rtol=1e-7)


def test_the_relative_rule_moves_the_lr_by_the_cosine():
    model, updates = made("hypergradient", base="sgd", momentum=0.0, rule="multiplicative", rate=0.5)
    first = trained(model, updates, [0.1])[0]
    trained(model, updates, [0.1])
    before, now = CURVATURES * START, CURVATURES * first
    cosine = before @ now / np.linalg.norm(before) / np.linalg.norm(now)
    assert updates.factor == pytest.approx(1 + 0.5 * cosine, rel=1e-10)


@pytest.mark.parametrize(("rule", "rate"), [("additive", 0.5), ("multiplicative", 0.05)])
def test_an_lr_a_hundred_times_too_small_is_mended(rule, rate):
    best = 2 / CURVATURES.sum()  # of steepest descent with one LR
    model, updates = made("hypergradient", base="sgd", momentum=0.0, rule=rule, rate=rate)
    trained(model, updates, [best / 100] * 200)
    assert best / 2 < best / 100 * updates.factor < 2 * best
    assert model().item() < 1e-3


def test_fedhyper_adds_the_cosine_and_stays_within_its_bounds():
    model, updates = made("fedhyper", base="sgd", momentum=0.0)
    factors = []
    for _ in range(12):
        trained(model, updates, [0.01])
        factors.append(updates.factor)
    assert factors[0] == 1.0
    assert 1.9 < factors[1] <= 2.0
    assert factors[-1] == 3.0
    model.w.data *= -1.0  # each gradient against the last direction from here on
    for _ in range(20):
        trained(model, updates, [0.01])
        model.w.data *= -1.0
    assert updates.factor == pytest.approx(1 / 3)


def test_equal_volatilities_leave_the_lr_as_it_is():
    losses = np.exp([0.0, 0.1, 0.0, 0.1, 0.0])
    # over one window of an alternating history both deviations are the same
    assert volatility_factor(losses, window=4, weight=3.0) == pytest.approx(1.0)


def test_a_loss_that_calms_down_raises_the_lr_and_one_that_grows_wild_lowers_it():
    def history(*returns):
        return np.exp(np.cumsum([0.0, *returns]))

    wild, calm = [0.4, -0.4], [0.1, -0.1]
    long = np.std([*wild, *calm], ddof=1)
    up = 1 + math.log(1 + 0.5 * (long / np.std(calm, ddof=1) - 1))
    down = 1 - math.log(1 + 0.5 * abs(long / np.std(wild, ddof=1) - 1))
    assert volatility_factor(history(*wild, *calm), window=2, weight=0.5) == pytest.approx(up)
    assert volatility_factor(history(*calm, *wild), window=2, weight=0.5) == pytest.approx(down)
    assert up > 1 > down


@pytest.mark.parametrize("losses", [[], [1.0, 2.0], [2.0, 2.0, 2.0, 2.0], [1.0, math.nan, 1.0, 2.0]])
def test_an_unknown_volatility_changes_nothing(losses):
    assert volatility_factor(losses, window=2, weight=1.0) == 1.0


def test_volsched_scales_the_schedule_and_keeps_above_its_floor():
    model, updates = made("volsched", base="sgd", period=1, window=2, weight=50.0, floor=0.5)
    seen, losses = [], [1.0, 1.01, 1.0, 1.0, 0.2, 3.0, 1.0]
    for loss in losses:
        model.w.grad = torch.zeros_like(model.w)
        updates.update(0.1, loss)
        seen.append(updates.optimizer.param_groups[0]["lr"])
    up = volatility_factor(losses[:4], window=2, weight=50.0)
    assert up > 1.0 > volatility_factor(losses[:6], window=2, weight=50.0)
    np.testing.assert_allclose(seen, [0.1, 0.1, 0.1, 0.1, 0.1 * up, 0.1 * up, 0.05])


def test_volsched_keeps_ten_windows():
    model, updates = made("volsched", period=2, window=2)
    for index in range(100):
        model.w.grad = torch.zeros_like(model.w)
        updates.update(0.0, 1.0 + index % 3)
    assert len(updates.memory()["losses"]) == 20
