import numpy as np
import pytest
from made_curves import made_curve

from autosched.laws.forecaster_fit import fit_forecaster
from autosched.laws.optimum import OptimumTask
from autosched.schedules import build
from autosched.search.next_run import lessons, next_runs


def test_the_value_of_a_run_is_what_choosing_after_it_gains_as_drawing_its_end_says():
    random = np.random.default_rng(0)
    roots = random.normal(size=(4, 4)) * 0.02
    mean, covariance = np.array([1.0, 1.01, 1.02, 0.9]), roots @ roots.T
    noise = np.full(4, 1e-4)
    values, sds = lessons(mean, covariance, noise, choices=3)
    draws = random.multivariate_normal(mean, covariance, size=400_000)
    for run in range(4):
        seen = draws[:, run] + random.normal(0, 0.01, draws.shape[0])
        share = covariance[:, run] / (covariance[run, run] + noise[run])
        after = mean[:3] + np.outer(seen - mean[run], share[:3])
        assert values[run] == pytest.approx(1.0 - after.min(axis=1).mean(), abs=1e-4)
        assert sds[run] == pytest.approx(np.std(draws[:, 0] - share[0] * (seen - mean[run])), rel=1e-2)
    assert values.max() > 1e-3


def test_a_run_that_tells_nothing_of_the_others_has_no_value():
    values, sds = lessons(np.array([1.0, 1.5]), np.diag([0.01, 0.02]), np.zeros(2), choices=1)
    assert values == pytest.approx([0.0, 0.0], abs=1e-8)
    assert sds.tolist() == pytest.approx([0.0, 0.1], abs=1e-8)


def test_nothing_is_taught_where_nothing_is_unsure():
    values, sds = lessons(np.array([1.0, 1.5]), np.zeros((2, 2)), np.zeros(2), choices=2)
    assert values.tolist() == sds.tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_after_a_fit_the_run_that_teaches_most_is_named_for_each_length():
    names = ("cosine_24000", "wsdld_20000_24000", "constant_24000")
    law = fit_forecaster([made_curve(f"gpt25m/{name}") for name in names])
    peak = law.peaks[1]
    task = OptimumTask(steps=48000, peak_lr=(0.5 * peak, 2 * peak), warmup_steps=500)
    best = build("wsd", {"peak_lr": peak, "warmup_steps": 500}, steps=48000)
    runs = next_runs(law, best, task, longest=24000)
    assert 48000 in {run.schedule.steps for run in runs} <= {48000, 24000}
    assert all(run.value >= 0 and run.sd_after < run.sd_before for run in runs)
