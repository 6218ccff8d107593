"""Stage lists and step counts."""

from itertools import islice, pairwise

import pytest

from autosched.errors import UsageError
from autosched.search.autolrs import Settings, stage_of, stages

RANGE = {"low": 1e-3, "high": 1e-1}


def test_stages_double_up_to_the_longest():
    found = list(islice(stages(Settings(**RANGE)), 6))
    assert [stage.horizon for stage in found] == [1000, 2000, 4000, 8000, 8000, 8000]
    assert [stage.probe for stage in found] == [100, 200, 400, 800, 800, 800]
    assert [stage.by_validation for stage in found] == [False, False, False, False, True, True]
    assert all(one.stop == other.start for one, other in pairwise(found))


def test_the_published_server_spends_the_batches_that_were_counted():
    """2003, 4002, 8002, 16002, 16002: tau of search, tau of training, and its messages."""
    settings = Settings.published(**RANGE)
    spent = []
    for stage in islice(stages(settings), 5):
        search = sum(stage.probe_updates(number) for number in range(settings.probes))
        spent.append(stage.checkpoint - stage.start + search + stage.stop - stage.checkpoint)
    assert spent == [2003, 4002, 8002, 16002, 16002]


@pytest.mark.parametrize(
    ("steps", "lengths"),
    [
        (1000, [1000]),
        (1400, [1400]),
        (1600, [1000, 600]),
        (3000, [1000, 2000]),
        (10_000, [1000, 2000, 4000, 3000]),
        (12_000, [1000, 2000, 4000, 5000]),
    ],
)
def test_the_last_stage_ends_with_the_run_and_none_is_too_short_for_probes(steps, lengths):
    assert [stage.stop - stage.start for stage in stages(Settings(**RANGE, steps=steps))] == lengths


def test_warmup_lies_before_the_stages_and_the_cooldown_after():
    settings = Settings(**RANGE, steps=5000, warmup_steps=100, warmup_lr=0.01, cooldown_fraction=0.2)
    found = list(stages(settings))
    assert (found[0].start, found[-1].stop) == (100, 4000)
    assert stage_of(settings, 99) is None
    assert stage_of(settings, 100) == found[0]
    assert stage_of(settings, 4000) is None


@pytest.mark.parametrize(("probes", "most"), [(10, 1.9), (5, 1.4)])
def test_ten_probes_cost_at_most_nine_tenths_more_and_five_four_tenths(probes, most):
    for steps in (1000, 1537, 7000, 31_999):
        settings = Settings(**RANGE, steps=steps, probes=probes)
        trained = sum(stage.stop - stage.start + (probes - 1) * stage.probe for stage in stages(settings))
        assert trained <= most * steps


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"low": 0.0}, "low must be above 0 and finite, but got 0.0"),
        ({"high": 1e-3}, "high must be above low, 0.001, and finite, but got 0.001"),
        ({"high": float("nan")}, "high must be above low"),
        ({"probe_share": 0.6}, r"probe_share must be in \(0, 0.5\]"),
        ({"first_stage": 79}, "first_stage must be at least 80, so that a probe has 8 losses, but got 79"),
        ({"longest_stage": 500}, "longest_stage must be at least first_stage, 1000"),
        ({"probes": 0}, "probes must be at least 1"),
        ({"forecast": "best"}, "forecast must be one of exponential, published, law, blend, decayed"),
        ({"decay_share": 0.0}, r"decay_share must be in \(0, 1\], but got 0.0"),
        ({"kappa": -1.0}, "kappa must be finite and at least 0"),
        ({"first_probe": "best"}, "first_probe must be last or random"),
        ({"winner": "best"}, "winner must be posterior or forecast"),
        ({"validation_from": -1}, "validation_from must be a stage >= 0, or None"),
        ({"validations": 4}, "validations must be at least 8"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"warmup_steps": 10}, "warmup_lr must be above 0 and finite with warmup_steps"),
        ({"warmup_lr": 0.1}, "warmup_lr must be above 0 and finite with warmup_steps, else 0"),
        ({"cooldown_fraction": 0.2}, r"cooldown_fraction must be in \[0, 1\), and 0 in a run without an end"),
        ({"cooldown_fraction": float("nan"), "steps": 900}, "cooldown_fraction must be in"),
        ({"forecast": "law"}, "steps must be given: the law forecasts the end of the run"),
        ({"steps": 79}, "steps must be at least 80 more than warmup and cooldown have, but got 79"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, text):
    with pytest.raises(UsageError, match=text):
        Settings(**{**RANGE, **change})


@pytest.mark.parametrize(("probes", "share", "decay"), [(4, 0.05, 1.0), (4, 0.1, 0.25), (5, 0.08, 0.4)])
def test_decayed_probes_cost_what_is_promised(probes, share, decay):
    settings = Settings(
        **RANGE, steps=8000, probes=probes, probe_share=share, decay_share=decay, forecast="decayed", log_every=3
    )
    bound = 1 + (probes * (1 + decay) - 1) * share
    found = list(stages(settings))
    assert all(stage.decay % 3 == 0 and 0 < stage.decay <= decay * stage.probe for stage in found)
    spent = sum(stage.horizon + (probes - 1) * stage.probe + probes * stage.decay for stage in found)
    assert 1.25 * 8000 < spent <= bound * 8000


def test_a_decay_has_a_loss_at_least_and_only_decayed_probes_have_one():
    short = Settings(**RANGE, first_stage=80, forecast="decayed", decay_share=0.01)
    assert next(stages(short)).decay == 1
    assert next(stages(Settings(**RANGE))).decay == 0


def test_settings_are_plain_data():
    for settings in (Settings.published(**RANGE), Settings.far_sighted(**RANGE, steps=4000, probes=4)):
        assert Settings(**settings.plain()) == settings
