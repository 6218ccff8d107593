"""The Gaussian process: what it makes of worths, noise, divergence, other stages and pending probes."""

import numpy as np
import pytest

from autosched.search.autolrs.surrogate import Points, Surrogate, compressed


def points(u, worth, sd=0.0, stage=None):
    u = np.asarray(u, dtype=np.float64)
    stage = np.zeros(u.size) if stage is None else np.asarray(stage, dtype=np.float64)
    sds = np.broadcast_to(np.asarray(sd, dtype=np.float64), u.shape).copy()
    return Points(u=u, stage=stage, worth=np.asarray(worth, dtype=np.float64), sd=sds)


def bowl(u):
    return 1 + (np.asarray(u) - 0.3) ** 2


def test_the_lowest_bound_approaches_the_minimum():
    u = [0.5, 0.0, 1.0]
    for _ in range(6):
        u.append(Surrogate.fit(points(u, bowl(u))).lowest_bound(2.0, u, apart=0.035))
    assert min(abs(np.array(u) - 0.3)) < 0.03


def test_a_huge_kappa_explores_and_nothing_else():
    """As the published 1e6: the next point is the one farthest from those tried, however good these are."""
    u = [0.5]
    for _ in range(4):
        u.append(Surrogate.fit(points(u, bowl(u))).lowest_bound(1e6, u, apart=0.035))
    assert np.diff(np.sort(u)) == pytest.approx(0.25, abs=0.05)


def test_new_points_keep_their_distance():
    u = [0.25, 0.3, 0.35]
    found = Surrogate.fit(points(u, bowl(u))).lowest_bound(0.0, u, apart=0.1)
    assert min(abs(np.array(u) - found)) >= 0.1
    crowded = np.linspace(0, 1, 9)
    found = Surrogate.fit(points(crowded, bowl(crowded))).lowest_bound(0.0, crowded, apart=0.2)
    assert min(abs(crowded - found)) == pytest.approx(1 / 16, abs=0.005)


def test_noisy_worths_are_smoothed_and_exact_ones_are_not():
    u = np.linspace(0, 1, 9)
    worth = bowl(u)
    worth[6] = 0.9
    exact = Surrogate.fit(points(u, worth)).at(u)[0]
    noisy = Surrogate.fit(points(u, worth, sd=np.where(u == u[6], 0.5, 0.01))).at(u)[0]
    assert np.argmin(exact) == 6
    assert np.argmin(noisy) in (2, 3)


def test_compression_keeps_the_order_and_puts_the_diverged_last():
    y, noise = compressed(points(np.linspace(0, 1, 5), [2.0, 1.0, 1.1, 900.0, np.nan], sd=0.1))
    assert np.argsort(y).tolist() == [1, 2, 0, 3, 4]
    assert noise[1] > noise[3]
    assert noise[4] == 0


def test_memory_turns_to_where_earlier_stages_were_good():
    earlier = np.linspace(0, 1, 9)
    u, worth = np.append(earlier, 0.8), np.append(bowl(earlier) + 5, 2.0)
    found = Surrogate.fit(points(u, worth, stage=[1] * 9 + [0])).lowest_bound(1.0, [0.8], apart=0.05)
    assert found == pytest.approx(0.3, abs=0.12)


def test_pending_probes_are_believed_to_turn_out_as_expected():
    u = [0.0, 0.5, 1.0]
    data = points(u, bowl(u))
    surrogate = Surrogate.fit(data)
    first = surrogate.lowest_bound(2.0, u, apart=0.035)
    believing = surrogate.believing(data, [first])
    assert believing.at(np.array([first]))[1] < 0.5 * surrogate.at(np.array([first]))[1]
    assert abs(believing.lowest_bound(2.0, [*u, first], apart=0.035) - first) > 0.1
    assert surrogate.believing(data, []) is surrogate


def test_one_point_is_enough():
    surrogate = Surrogate.fit(points([0.5], [2.0]))
    assert surrogate.lowest_bound(2.0, [0.5], apart=0.035) in (0.0, 1.0)
