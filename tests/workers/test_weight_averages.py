import numpy as np
import pytest
import torch
from torch import nn

from autosched.errors import UsageError
from workers.gpt import GptTrainer
from workers.optimizers.registry import read_choice
from workers.optimizers.updates import Updates, Usual
from workers.vision import VisionTrainer
from workers.weight_averages import Wanted, WeightAverages, averages_of, blocks_at, unit_at

SHARES = [(0.05, 0.1), (0.03, 0.2), (0.3, 0.8), (0.07,)]


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("host", [False, True])
def test_each_window_is_the_mean_of_the_weights_after_its_updates(shares, host):
    weight, seen = torch.zeros(3), []
    averages = WeightAverages([weight], shares=shares, host=host)
    noise = torch.Generator().manual_seed(0)
    for step in range(1, 700):
        weight += torch.randn(3, generator=noise)
        averages.observe()
        seen.append(weight.double().numpy().copy())
        if step % 7 == 0 or step < 50:
            for window, (mean,) in averages.means():
                np.testing.assert_allclose(mean.numpy(), np.mean(seen[-window:], axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shares", SHARES)
def test_windows_lie_near_what_is_asked_for_by_few_sums(shares):
    averages = WeightAverages([torch.zeros(1)], shares=shares, host=False)
    for step in range(1, 3000):
        averages.observe()
        blocks = blocks_at(step, shares) if step % 11 == 0 else averages._blocks
        assert averages._blocks == blocks
        assert all(start < stop for start, stop in blocks)
        assert [stop for _, stop in blocks[:-1]] == [start for start, _ in blocks[1:]]
        assert len(blocks) <= 2 * np.log2(max(shares) / min(shares)) + 6
        if min(shares) * step >= 2:
            lengths = averages.windows()
            for share in shares:
                assert min(abs(np.log(length / (share * step))) for length in lengths) <= np.log(2.0)
    assert unit_at(step, shares) == 2 ** int(np.log2(step * min(shares) / 2))


def test_sums_go_on_from_what_they_gave_and_refuse_what_does_not_fit():
    weight = torch.zeros(2)
    whole, fresh = (WeightAverages([weight], shares=(0.2,), host=False) for _ in range(2))
    for _ in range(37):
        weight += 0.1
        whole.observe()
    state = whole.state()
    fresh.check(state, 37)
    fresh.load(state, 37)
    assert {window: mean[0].tolist() for window, mean in fresh.means()} == {
        window: mean[0].tolist() for window, mean in whole.means()
    }
    for broken in ({}, {**state, "closed": state["closed"][1:]}, {**state, "open": [torch.zeros(3)]}):
        with pytest.raises((ValueError, AttributeError, KeyError)):
            fresh.check(broken, 37)
    with pytest.raises(ValueError, match="closed sums after 90 updates"):
        fresh.check(state, 90)


@pytest.mark.parametrize("trainer", [GptTrainer, VisionTrainer])
@pytest.mark.parametrize("optimizer", ["schedulefree", "dog"])
def test_an_optimizer_that_evaluates_other_weights_has_no_averages(trainer, optimizer):
    options = {"optimizer": optimizer, "device": "cpu"}
    with pytest.raises(UsageError, match="averages must be auto or none here, but got 'device'"):
        trainer.check_options({**options, "averages": "device"})
    trainer.check_options(options)


def test_a_model_with_running_statistics_has_no_averages():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    updates = Updates(torch.optim.SGD(model.parameters(), lr=0.1), {})
    assert averages_of(model, updates, Wanted("auto")) is None
    with pytest.raises(UsageError, match=r"1\.running_mean belongs to single weights"):
        averages_of(model, updates, Wanted("host"))


@pytest.mark.parametrize("name", ["adamw", "sgd", "adafactor", "tempbalance"])
def test_other_optimizers_have_averages(name):
    model = nn.Linear(2, 2)
    updates = read_choice(name).make(model, Usual(weight_decay=0.0))
    assert averages_of(model, updates, Wanted("auto")) is not None


@pytest.mark.parametrize("value", [[], [0.0], [0.9], [0.1, 0.1], 0.1, ["0.1"], [True]])
def test_shares_that_are_none_are_refused(value):
    with pytest.raises(UsageError, match=r"average_windows must be a list of different shares in \(0, 0\.8\]"):
        VisionTrainer.check_options({"average_windows": value})
