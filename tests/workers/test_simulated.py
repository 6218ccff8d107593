import io
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosched.errors import CheckpointError, UsageError
from autosched.trainer import Diverged
from workers.simulated import SimulatedOptions, SimulatedTrainer

LAW = SimulatedOptions()
STEPS = 600


def trainer(seed: int = 0, **options) -> SimulatedTrainer:
    return SimulatedTrainer(options, seed=seed, horizon=STEPS)


def wsd(peak: float, cooldown: float, steps: int = STEPS) -> np.ndarray:
    lrs = np.full(steps, peak)
    lrs[:30] = peak * np.arange(1, 31) / 30
    length = round(cooldown * steps)
    lrs[steps - length :] = np.minimum(lrs[steps - length :], peak * (1 - np.arange(1, length + 1) / length))
    return lrs


def saved(one: SimulatedTrainer) -> bytes:
    file = io.BytesIO()
    one.save(file)
    return file.getvalue()


@given(cuts=st.lists(st.integers(0, 50), max_size=6))
def test_how_updates_are_cut_and_stored_changes_no_bit(cuts):
    lrs = wsd(0.02, 0.5, 50)
    whole = trainer()
    whole.train(lrs)
    parts = trainer()
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 50], strict=True):
        parts.train(lrs[start:stop])
        parts.evaluate()
        fresh = trainer()
        fresh.load(io.BytesIO(saved(parts)))
        parts = fresh
    assert parts.step == 50
    assert saved(parts) == saved(whole)
    assert parts.evaluate() == whole.evaluate()


def test_the_law_is_the_annealing_law_plus_an_offset():
    peak, memory = 0.02, LAW.memory
    lrs = np.concatenate([np.full(400, peak), np.linspace(peak, 0.0, 200)])
    drops = -np.diff(lrs, prepend=peak)
    steps = np.arange(STEPS)
    annealing = np.array(
        [sum(drops[k] * memory ** (i - k) for i in range(s + 1) for k in range(i + 1)) for s in steps[::100]]
    )
    area = np.cumsum(lrs)[::100]
    warm = peak * memory ** (steps[::100] + 1)  # the heat starts at 0, the annealing law at the peak
    literal = (
        LAW.floor
        + LAW.scale * (1 + area / LAW.unit) ** -LAW.exponent
        + LAW.gain * (peak - warm - (1 - memory) * annealing)
    )
    np.testing.assert_allclose(LAW.predict(lrs)[::100], literal, rtol=1e-12)


def test_the_trainer_follows_the_law():
    lrs = wsd(0.02, 0.3)
    one = trainer(noise=0.0, seed_noise=0.0)
    assert one.evaluate() == pytest.approx(LAW.floor + LAW.scale)
    means = one.train(lrs)
    assert one.evaluate() == LAW.predict(lrs)[-1]
    assert means["train_loss"] == pytest.approx(LAW.predict(lrs).mean())


def test_noise_depends_on_seed_and_step_alone():
    one, other, repeated = trainer(seed=1), trainer(seed=2), trainer(seed=1)
    for some in (one, other, repeated):
        some.train(np.full(5, 0.01))
    assert one.evaluate() == one.evaluate() == repeated.evaluate()
    assert one.evaluate() != other.evaluate()


def test_noise_has_the_asked_spread():
    lrs = np.zeros(1)
    one = trainer(noise=0.1, seed_noise=0.0)
    losses = []
    for _ in range(400):
        one.train(lrs)
        losses.append(one.evaluate())
    assert np.std(losses) == pytest.approx(0.1, rel=0.1)
    firsts = [trainer(seed=seed, noise=0.0, seed_noise=0.1).evaluate() for seed in range(400)]
    assert np.std(firsts) == pytest.approx(0.1, rel=0.1)


def test_the_best_peak_rises_with_the_length_of_the_cooldown():
    peaks = np.geomspace(1e-3, 0.3, 60)
    finals = [[LAW.predict(wsd(peak, cooldown))[-1] for peak in peaks] for cooldown in (0.1, 0.8)]
    short, long = (peaks[int(np.argmin(final))] for final in finals)
    assert 0.008 < short < 0.013
    assert 0.03 < long < 0.05
    assert min(finals[1]) < min(finals[0])


def test_a_long_cooldown_looks_worse_half_way_and_ends_better():
    high, low = LAW.predict(wsd(0.03, 0.5)), LAW.predict(wsd(0.005, 0.5))
    assert high[299] > low[299]
    assert high[-1] < low[-1]


def test_a_large_lr_diverges_at_its_update():
    one = trainer(diverge_above=0.1)
    with pytest.raises(Diverged, match=r"LR 0\.2 is above 0\.1") as info:
        one.train(np.array([0.05, 0.1, 0.2, 0.05]))
    assert (info.value.step, info.value.loss) == (3, math.inf)


def test_it_starts_again_after_a_divergence():
    one = trainer()
    with pytest.raises(Diverged):
        one.train(np.array([0.01, 9.0]))
    one.start()
    one.train(np.full(3, 0.01))
    fresh = trainer()
    fresh.train(np.full(3, 0.01))
    assert saved(one) == saved(fresh)


def test_it_fails_at_the_asked_update_every_time():
    one = trainer(fail_at=3)
    for _ in range(2):
        one.start()
        one.train(np.full(2, 0.01))
        with pytest.raises(RuntimeError, match="update 3 fails"):
            one.train(np.full(2, 0.01))


def test_updates_take_the_asked_time():
    one = trainer(seconds_per_step=0.002)
    began = time.perf_counter()
    one.train(np.full(20, 0.01))
    assert time.perf_counter() - began >= 0.04


def test_checkpoints_have_the_asked_size():
    assert len(saved(trainer(checkpoint_bytes=10_000))) == 10_000
    assert len(saved(trainer())) < 1_000


def test_a_damaged_or_foreign_checkpoint_is_refused():
    whole = saved(trainer(checkpoint_bytes=5_000))
    other = json.loads(saved(trainer()))
    damaged = {
        "damaged": [b"", b"\x00\x01\x02", b"[1, 2]\n", whole[:100], json.dumps({**other, "area": None}).encode()],
        "cut short": [whole[:-1]],
        "another configuration": [saved(trainer(seed=1, checkpoint_bytes=5_000)), saved(trainer(gain=1.0))],
    }
    for message, files in damaged.items():
        for file in files:
            one = trainer(checkpoint_bytes=5_000)
            with pytest.raises(CheckpointError, match=message):
                one.load(io.BytesIO(file))
            assert one.step == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floors": 1.0}, "unknown option 'floors'; allowed are floor, scale"),
        ({"noise": -0.1}, "noise must be a finite number >= 0, but got -0.1"),
        ({"gain": math.nan}, "gain must be a finite number"),
        ({"scale": "4"}, "scale must be a finite number >= 0, but got '4'"),
        ({"scale": True}, "scale must be a finite number >= 0, but got True"),
        ({"fail_at": 2.5}, "fail_at must be a whole number >= 0, but got 2.5"),
        ({"unit": 0}, "unit must be a finite number > 0"),
        ({"memory": 1.0}, r"memory must be a number in \[0, 1\)"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        trainer(**options)
    with pytest.raises(UsageError, match=message):
        SimulatedTrainer.check_options(options)
