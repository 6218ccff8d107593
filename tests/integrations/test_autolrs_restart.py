"""AutoLRS goes on from its state dict in new objects, anywhere, as if nothing had happened."""

import io
import itertools

import pytest
import torch
from autolrs_loops import NUMBERS, equal, loader, make, train, update

from autosched.errors import UsageError
from autosched.integrations.autolrs import AutoLRS, RewindableLoader


def stored(state):
    """What comes back from a file."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def train_in_pieces(data, every, **options):
    """A whole run whose process dies after every few updates; model, optimizer, tuner, restarts."""
    saved = None
    for restarts in itertools.count():
        model, optimizer = make(seed=restarts)  # nothing of the new process counts
        tuner = AutoLRS(model, optimizer, data(), **{**NUMBERS, **options})
        if saved is None:
            make(seed=0)
        else:
            tuner.load_state_dict(saved)
        for batch in tuner.batches():
            tuner.step(update(model, optimizer, batch))
            if tuner.trained % every == 0 and not tuner.done:
                saved = stored(tuner.state_dict())
                break
        if tuner.done:
            return model, optimizer, tuner, restarts
    raise AssertionError


@pytest.mark.parametrize("data", [lambda: RewindableLoader(loader()), loader], ids=["rewindable", "DataLoader"])
def test_a_run_that_is_restarted_again_and_again_ends_the_same(data, tmp_path):
    """In probes and stages, at their ends, and in the middle of epochs."""
    whole_model, whole_optimizer = make()
    whole = train(whole_model, whole_optimizer, data())
    model, optimizer, tuner, restarts = train_in_pieces(data, every=13, place=tmp_path)
    assert restarts == 22
    assert tuner.schedule() == whole.schedule()
    assert equal(stored(tuner.state_dict()), stored(whole.state_dict()))
    assert equal(model.state_dict(), whole_model.state_dict())
    assert equal(optimizer.state_dict(), whole_optimizer.state_dict())


def test_a_run_with_decayed_probes_that_is_restarted_in_the_middle_of_decays_ends_the_same(tmp_path):
    """Probes of 8 and 16 updates, decays of 4 and 8: every second restart is in a decay or beside one."""
    decayed = {"forecast": "decayed", "decay_share": 0.5}

    def data():
        return RewindableLoader(loader())

    whole_model, whole_optimizer = make()
    whole = train(whole_model, whole_optimizer, data(), **decayed)
    model, _, tuner, restarts = train_in_pieces(data, every=5, place=tmp_path, **decayed)
    assert restarts == (240 + 2 * 24 + 3 * 12 - 1) // 5
    assert tuner.schedule() == whole.schedule()
    assert equal(stored(tuner.state_dict()), stored(whole.state_dict()))
    assert equal(model.state_dict(), whole_model.state_dict())


@pytest.mark.parametrize("at", [7, 8, 23, 24, 25])
def test_a_restart_beside_a_rewind_goes_on_with_the_right_lr(at):
    lrs = []
    for stop in (None, at):
        model, optimizer = make()
        tuner, used = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS), []
        for batch in tuner.batches():
            used.append(optimizer.param_groups[0]["lr"])
            tuner.step(update(model, optimizer, batch))
            if tuner.trained in (stop, 40):
                break
        if stop is not None:
            saved = stored(tuner.state_dict())
            model, optimizer = make(seed=9)
            tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
            tuner.load_state_dict(saved)
            for batch in tuner.batches():
                used.append(optimizer.param_groups[0]["lr"])
                tuner.step(update(model, optimizer, batch))
                if tuner.trained == 40:
                    break
        lrs.append(used)
    assert lrs[0] == lrs[1]


def test_a_run_that_is_over_stays_over():
    model, optimizer = make()
    over = train(model, optimizer, RewindableLoader(loader()))
    again_model, again_optimizer = make(seed=5)
    again = AutoLRS(again_model, again_optimizer, RewindableLoader(loader()), **NUMBERS)
    again.load_state_dict(stored(over.state_dict()))
    assert again.done
    assert list(again.batches()) == []
    assert (again.schedule(), again.lr, again.trained) == (over.schedule(), over.lr, over.trained)
    assert equal(again_model.state_dict(), model.state_dict())


def test_a_state_of_something_else_is_refused():
    model, optimizer = make()
    state = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS).state_dict()
    other = AutoLRS(model, optimizer, RewindableLoader(loader()), **{**NUMBERS, "probes": 4})
    with pytest.raises(UsageError, match="of other settings: probes is 3 there, but 4 here"):
        other.load_state_dict(state)
    with pytest.raises(UsageError, match="no state of AutoLRS of version 1"):
        other.load_state_dict(optimizer.state_dict())
    same = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    with pytest.raises(UsageError, match="of 2 ranks, but there are 1 now"):
        same.load_state_dict({**state, "ranks": state["ranks"] * 2})
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
    more = AutoLRS(model, optimizer, RewindableLoader(loader()), scheduler=scheduler, **NUMBERS)
    with pytest.raises(UsageError, match="the state has nothing of scheduler"):
        more.load_state_dict(state)
