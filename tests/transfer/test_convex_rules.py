"""The convex bound's transfer: published factors, and the best peak LRs of recorded Llama runs."""

import math
from collections import defaultdict
from functools import lru_cache

import numpy as np
import pytest

from autosched.curves.recorded_runs import read_runs
from autosched.schedules.registry import build
from autosched.testing.published_curves import published_curves
from autosched.transfer import Change, Setting, best_peak, get_rule
from autosched.transfer.convex_rules import CONVEX_BOUND, CONVEX_SHAPE

COOLDOWNS = (0.2, 0.4, 0.6, 0.8, 0.9)
HORIZONS = (15_000, 25_000, 35_000)


def wsd(cooldown, steps=4_000, peak_lr=1.0, **params):
    return build("wsd", {"peak_lr": peak_lr, "cooldown_fraction": cooldown, **params}, steps=steps)


def change(old, new, **settings):
    return Change(old=Setting(schedule=old, **settings), new=Setting(schedule=new, **settings))


@lru_cache(maxsize=1)
def recorded():
    """Of the Llama runs with a linear cooldown: (horizon, cooldown) -> {peak LR: run}."""
    groups = defaultdict(dict)
    for run in read_runs(published_curves(), "llama124m"):
        params = run.schedule.params
        if run.schedule.family == "wsd" and params["cooldown_shape"] == "linear" and run.full_val_loss is not None:
            groups[run.horizon, params["cooldown_fraction"]][params["peak_lr"]] = run
    return groups


def peaks_and_losses(horizon, cooldown):
    runs = recorded()[horizon, cooldown]
    peaks = sorted(runs)
    return np.array(peaks), np.array([runs[peak].full_val_loss for peak in peaks])


def schedule_of(horizon, cooldown):
    return next(iter(recorded()[horizon, cooldown].values())).schedule


def predicted_peak(horizon, cooldown):
    """From the runs at cooldown 0.1 alone, and the two schedules."""
    seen = best_peak(*peaks_and_losses(horizon, 0.1))
    said = CONVEX_SHAPE.apply(change(schedule_of(horizon, 0.1), schedule_of(horizon, cooldown)))
    return seen.peak_lr * said.factor


def nearest(peaks, peak):
    return int(np.argmin(np.abs(np.log(peaks / peak))))


@pytest.mark.recorded
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("cooldown", COOLDOWNS)
def test_runs_at_cooldown_10_percent_predict_the_best_peak_of_longer_cooldowns_within_a_grid_step(horizon, cooldown):
    peaks, losses = peaks_and_losses(horizon, cooldown)
    assert abs(nearest(peaks, predicted_peak(horizon, cooldown)) - int(np.argmin(losses))) <= 1


@pytest.mark.recorded
def test_carrying_the_peak_over_costs_a_tenth_of_what_keeping_it_costs():
    """Loss at the tried peak that is nearest to the prediction, above the least one: what a grid step is worth."""
    carried, kept = [], []
    for horizon in HORIZONS:
        old = best_peak(*peaks_and_losses(horizon, 0.1)).peak_lr
        for cooldown in COOLDOWNS:
            peaks, losses = peaks_and_losses(horizon, cooldown)
            carried.append(losses[nearest(peaks, predicted_peak(horizon, cooldown))] - losses.min())
            kept.append(losses[nearest(peaks, old)] - losses.min())
    assert sum(loss == 0 for loss in carried) >= 12
    assert np.mean(carried) < 0.0005
    assert np.mean(carried) < 0.1 * np.mean(kept)


@pytest.mark.recorded
def test_the_claimed_spread_holds_the_errors_of_the_recorded_runs():
    """Log errors where the best peak is bracketed, over the rule's own deviation and that of both estimates."""
    scores = []
    for horizon in HORIZONS:
        old = best_peak(*peaks_and_losses(horizon, 0.1))
        for cooldown in COOLDOWNS:
            new = best_peak(*peaks_and_losses(horizon, cooldown))
            said = CONVEX_SHAPE.apply(change(schedule_of(horizon, 0.1), schedule_of(horizon, cooldown)))
            error = old.log_lr + math.log(said.factor) - new.log_lr
            scores.append(error / math.hypot(said.log_sd, old.log_sd, new.log_sd))
    assert len(scores) == 15
    assert np.max(np.abs(scores)) < 1.645


@pytest.mark.recorded
@pytest.mark.parametrize("cooldown", [0.1, 0.2])
def test_on_recorded_horizons_the_token_horizon_is_nearer_than_the_bounds_square_root(cooldown):
    """Why the default for a horizon is not the bound; longer cooldowns have their best peak at the edge of the grid."""
    old = best_peak(*peaks_and_losses(15_000, cooldown))
    errors = {"token-horizon": [], "convex-bound": []}
    for horizon in HORIZONS[1:]:
        new = best_peak(*peaks_and_losses(horizon, cooldown))
        assert new.bracketed
        said = change(schedule_of(15_000, cooldown), schedule_of(horizon, cooldown))
        for name, found in errors.items():
            found.append(abs(old.log_lr + math.log(get_rule(name).apply(said).factor) - new.log_lr))
    assert max(errors["token-horizon"]) < 0.1
    assert max(errors["token-horizon"]) < 0.5 * max(errors["convex-bound"])


def test_a_tuned_lr_transfers_between_cooldowns_by_the_published_factors():
    published = {0.1: 0.775, 0.2: 0.665, 0.4: 0.499, 0.6: 0.345, 0.8: 0.183, 1.0: 0.0}
    for cooldown, log_factor in published.items():
        for rule in (CONVEX_BOUND, CONVEX_SHAPE):
            said = rule.apply(change(wsd(cooldown), wsd(1.0)))
            assert math.log(said.factor) == pytest.approx(log_factor, abs=6e-4)


def test_the_bound_falls_with_the_root_of_the_horizon_and_the_shape_rule_does_not():
    longer = change(wsd(0.2, 5_000), wsd(0.2, 50_000))
    assert CONVEX_BOUND.apply(longer).factor == pytest.approx(10**-0.5, rel=2e-3)
    assert CONVEX_SHAPE.apply(longer).factor == pytest.approx(1.0, rel=2e-3)
    assert CONVEX_BOUND.apply(longer).log_sd == pytest.approx(0.2 * math.log(10), rel=0.01)


def test_only_the_shape_of_a_schedule_counts():
    said = [CONVEX_BOUND.apply(change(wsd(0.1, peak_lr=peak), wsd(0.9, peak_lr=0.3))).factor for peak in (0.01, 1.0)]
    assert said[0] == pytest.approx(said[1], rel=1e-12)


def test_shapes_farther_apart_than_any_that_were_compared_are_warned_of():
    near, far = change(wsd(0.1), wsd(0.9)), change(build("constant", {"peak_lr": 1.0}, steps=4_000), wsd(1.0))
    assert CONVEX_SHAPE.apply(near).warnings == ()
    (warning,) = CONVEX_SHAPE.apply(far).warnings
    assert "for shapes up to 2.2 times apart, but these are 3.14 times apart" in warning


def test_the_bound_alone_knows_nothing_of_the_batch_size():
    two = Change(old=Setting(schedule=wsd(0.2), batch=8), new=Setting(schedule=wsd(0.2), batch=16))
    assert CONVEX_BOUND.apply(two).warnings == ("convex-bound counts updates and holds for one batch size.",)
    assert CONVEX_SHAPE.apply(two).warnings == ()
