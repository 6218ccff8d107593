"""What a probe is worth: the law looks to the end of the run, the blend learns whom to believe."""

import numpy as np
import pytest

from autosched.laws.functional import FunctionalLaw
from autosched.schedules import Schedule
from autosched.search.autolrs import Seen, Settings, State, Work, ask, stage_of, tell
from autosched.search.autolrs.blend import weight_of
from autosched.search.autolrs.forecasts import level, values
from autosched.search.autolrs.law_forecast import law_ends
from autosched.search.autolrs.machine import schedule
from autosched.search.autolrs.records import Expectation, Passed, Tried, short, thinned

TRUTH = FunctionalLaw(
    floor=1.5,
    scale=0.6,
    exponent=0.5,
    noise=0.2,
    noise_power=0.6,
    noise_peak_power=0.6,
    time_power=0.6,
    time_peak_power=0.6,
    speed=3.0,
    saturation=1.0,
    reference_lr=0.01,
    reference_steps=400.0,
)
STEPS = 6000
LRS = np.geomspace(1e-3, 1e-1, 7)
SETTINGS = Settings(
    low=1e-3, high=1e-1, steps=STEPS, probes=7, forecast="law", validation_from=None, cooldown_fraction=0.2
)


def losses_of(state, work):
    """By the true law, along the LRs of the committed run and the work."""
    done = [part.lrs for part in state.done]
    before = np.full(work.start - sum(part.size for part in done), work.lr)
    lrs = np.concatenate([*done, before, work.lrs])
    steps = np.arange(work.start, work.stop, dtype=np.float64)
    return steps, TRUTH.predict_at(Schedule(lrs), np.maximum(steps, 1.0))


def told(settings, state, work):
    steps, losses = losses_of(state, work)
    seen = Seen(updates=work.updates, steps=tuple(steps.tolist()), losses=tuple(losses.tolist()))
    return tell(settings, state, work, seen)


def after_probes(settings, state):
    stage = stage_of(settings, state.position)
    for number, lr in enumerate(LRS.tolist()):
        stop = stage.checkpoint + stage.probe
        work = Work(kind="probe", start=stage.checkpoint, stop=stop, lr=lr, stage=stage.index, probe=number)
        state = told(settings, state, work)
    return state, stage


def ends_of(state, lr, stop):
    """True losses of going on with one LR: at the end of the stage, and of the run with its cooldown."""
    done = [part.lrs for part in state.done]
    lrs = np.concatenate([*done, np.full(STEPS - sum(part.size for part in done), lr)])
    lrs[4800:] = lr * (1 - np.arange(1200) / 1200)
    return TRUTH.predict_at(Schedule(lrs), np.array([float(stop), float(STEPS)]))


def test_the_law_tells_what_is_best_for_the_run_from_what_is_best_for_the_stage():
    state, _ = after_probes(SETTINGS, State())
    first = Work(kind="commit", start=100, stop=1000, lr=float(LRS[3]), stage=0, probe=3)
    state, stage = after_probes(SETTINGS, told(SETTINGS, state, first))
    truth = np.array([ends_of(state, lr, stage.stop) for lr in LRS])
    found = law_ends(SETTINGS, state, stage)
    at_stage = np.array([found.stage_end[number].mean for number in range(7)])
    at_run = np.array([found.run_end[number].mean for number in range(7)])
    assert np.argmin(truth[:, 1]) > np.argmin(truth[:, 0]), "a higher LR is better for the run than for the stage"
    np.testing.assert_allclose(at_stage, truth[:, 0], rtol=0.03)
    assert np.argmin(at_run) > np.argmin(at_stage)
    assert truth[np.argmin(at_run), 1] <= truth[:, 1].min() * 1.01
    assert all(found.run_end[n].sd < found.stage_end[n].sd * 3 for n in range(7))


def test_the_law_that_describes_nothing_leaves_the_exponential():
    settings = Settings(low=1e-3, high=1e-1, steps=2000, probes=2, forecast="law", validation_from=None)
    state = State()
    for _ in range(2):
        work = ask(settings, state)
        losses = tuple((2 + 1.5 * np.sin(np.arange(work.updates) / (5 + 40 * work.lr))).tolist())
        steps = tuple(float(i) for i in range(work.updates))
        state = tell(settings, state, work, Seen(updates=work.updates, steps=steps, losses=losses))
    stage = stage_of(settings, 0)
    assert "law misses the curves" in law_ends(settings, state, stage).reason
    assert [worth.mean for worth in values(settings, state, stage).worths] == [one.end.mean for one in state.tried]


def passed(reached, **forecasts):
    expected = tuple(Expectation(name=name, mean=mean, sd=0.0) for name, mean in forecasts.items())
    return Passed(
        index=0,
        start=0,
        checkpoint=0,
        stop=10,
        lr=0.1,
        by_validation=False,
        tried=(),
        worths=(),
        steps=(),
        losses=(),
        expected=expected,
        reached=reached,
    )


def test_the_blend_believes_who_was_right_lately():
    ours = State(passed=(passed(2.0, exponential=2.01, law=2.6),))
    theirs = State(passed=(passed(2.0, exponential=2.6, law=2.01),))
    assert weight_of(ours, "exponential") > 3 * weight_of(ours, "law")
    assert weight_of(theirs, "law") > 3 * weight_of(theirs, "exponential")
    lately = State(passed=(*ours.passed, *theirs.passed))
    assert weight_of(lately, "law") > weight_of(lately, "exponential")


def test_the_blend_lies_between_the_two_and_takes_what_comes_later_from_the_law():
    law_state, stage = after_probes(SETTINGS, State())
    found = law_ends(SETTINGS, law_state, stage)
    blend = Settings(**{**SETTINGS.plain(), "forecast": "blend"})
    worths = values(blend, law_state, stage).worths
    for tried, worth in zip(law_state.tried, worths, strict=True):
        at_stage = worth.mean - found.later[tried.number].mean
        low, high = sorted([tried.end.mean, found.stage_end[tried.number].mean])
        assert low - 1e-9 <= at_stage <= high + 1e-9


def test_a_committed_stage_remembers_who_forecast_what():
    state, _ = after_probes(SETTINGS, State())
    work = ask(SETTINGS, state)
    state = told(SETTINGS, state, work)
    assert {expected.name for expected in state.passed[0].expected} == {"exponential", "law"}
    assert state.passed[0].reached == pytest.approx(ends_of(State(), work.lr, 975)[0], rel=0.01)
    assert schedule(state).steps == 1000


def test_thinning_keeps_means_and_drops_what_diverged():
    steps, losses = thinned(tuple(map(float, range(100))), tuple(map(float, range(100))), 8)
    assert len(steps) == 8
    assert steps == losses
    assert np.mean(steps) == pytest.approx(49.5, abs=1)
    dead = Tried(number=0, lr=0.1, steps=(0.0, 1.0), losses=(1.0, np.nan), reason="it diverged")
    assert short(dead, 8).losses == ()
    assert level(()) is None
