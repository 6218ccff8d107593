"""How each kind of data is rewound with an AutoLRS run, and who is told that it is not."""

import random
import warnings

import numpy as np
import pytest
import torch
from autolrs_loops import NUMBERS, epochs, equal, examples, loader, make, train, train_by
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset, RandomSampler

from autosched.errors import UsageError
from autosched.integrations.autolrs import AutoLRS, RewindableLoader

# A stage of so small a run may end above its probe; these tests are about data.
pytestmark = pytest.mark.filterwarnings("ignore:AutoLRS. stage:UserWarning")


class Augmented:
    """A map-style dataset that draws from all three generators."""

    def __init__(self):
        self.whole = examples()

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, index):
        x, y = self.whole[index]
        return x + random.random() + np.random.rand() + torch.rand(4), y


class Seekable:
    """Counts, and can go anywhere."""

    def __init__(self):
        self.at = 0

    def seek(self, batches):
        self.at = batches

    def __iter__(self):
        for _ in range(6 - self.at % 6):  # the rest of an epoch
            self.at += 1
            yield numbered(self.at)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(examples())


def numbered(number):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(8, 4, generator=generator)
    return x, x.sum(1, keepdim=True)


def own_generator(**options):
    return loader(generator=torch.Generator().manual_seed(3), **options)


def with_replacement():
    """A sampler that goes on drawing during an epoch."""
    sampler = RandomSampler(examples(), replacement=True, num_samples=70, generator=torch.Generator().manual_seed(4))
    return DataLoader(examples(), batch_sampler=BatchSampler(sampler, batch_size=8, drop_last=True))


def distributed():
    sampler = DistributedSampler(examples(), num_replicas=2, rank=1)
    return DataLoader(examples(), batch_size=4, sampler=sampler)


def epochs_of(data):
    """As an ordinary loop goes through them."""
    for epoch in range(10_000):
        if isinstance(getattr(data, "sampler", None), DistributedSampler):
            data.sampler.set_epoch(epoch)
        yield from data


@pytest.mark.parametrize(
    "data",
    [
        loader,
        own_generator,
        with_replacement,
        distributed,
        lambda: DataLoader(Augmented(), batch_size=8, shuffle=True),
        lambda: RewindableLoader(DataLoader(Augmented(), batch_size=8, shuffle=True)),
        lambda: [numbered(i) for i in range(11)],
        Seekable,
    ],
    ids=["DataLoader", "generator", "replacement", "distributed", "augmented", "rewindable", "list", "seek"],
)
def test_a_rewound_run_sees_the_batches_of_an_ordinary_one(data):
    numpy_state, python_state = np.random.get_state(), random.getstate()
    models = []
    for schedule in (None, "found"):
        np.random.seed(0)
        random.seed(0)
        model, optimizer = make()
        if schedule is None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", "AutoLRS: stage")  # not what is asked here
                found = train(model, optimizer, data()).schedule()
        else:
            train_by(found, model, optimizer, epochs_of(data()))
        models.append(model.state_dict())
    np.random.set_state(numpy_state)
    random.setstate(python_state)
    assert equal(*models)


def test_a_function_gives_the_batch_of_a_number():
    asked = []

    def batch(number):
        asked.append(number)
        return numbered(number)

    model, optimizer = make()
    found = train(model, optimizer, batch).schedule()
    assert asked[:24] == [*range(8)] * 3
    assert asked[-1] == 239
    plain, plain_optimizer = make()
    train_by(found, plain, plain_optimizer, map(numbered, range(240)))
    assert equal(model.state_dict(), plain.state_dict())


@pytest.mark.slow
def test_augmentations_in_worker_processes_are_replayed():
    def data():
        return DataLoader(Augmented(), batch_size=8, shuffle=True, num_workers=1)

    numbers = {"steps": 80, "probes": 2}
    model, optimizer = make()
    found = train(model, optimizer, data(), **numbers).schedule()
    plain, plain_optimizer = make()
    train_by(found, plain, plain_optimizer, epochs(data()))
    assert equal(model.state_dict(), plain.state_dict())


@pytest.mark.parametrize(
    ("data", "why"),
    [(lambda: iter(numbered(i) for i in range(999)), "a generator"), (lambda: DataLoader(Stream(), 8), "a DataLoader")],
    ids=["generator", "stream"],
)
def test_data_that_cannot_be_rewound_is_named_once(data, why):
    model, optimizer = make()
    with pytest.warns(UserWarning, match=f"its batches are not \\({why} cannot be rewound\\): probes see diff") as told:
        tuner = train(model, optimizer, data())
    assert sum("its batches are not" in str(one.message) for one in told) == 1
    assert tuner.position == 240


def test_data_that_ends_is_said_to():
    for data, text in [
        (iter([numbered(0)] * 5), "no more batches after 5: it must be iterable again"),
        ([], "data has no batches"),
    ]:
        with pytest.raises(UsageError, match=text):
            train(*make(), data)


def test_batches_that_were_not_taken_from_the_tuner_are_noticed():
    tuner = AutoLRS(*make(), loader(), **NUMBERS)
    with pytest.raises(UsageError, match="only rewound when batches come from"):
        tuner.step(1.0)


def test_a_rewindable_loader_goes_back_to_any_batch_of_any_epoch():
    data, seen, positions = RewindableLoader(loader(), seed=3), [], []
    for _ in range(3):
        for x, _ in data:
            seen.append(x)
            positions.append(data.state_dict())
    assert len(seen) == 3 * len(data) == 21
    assert not torch.equal(seen[0], seen[7])
    assert torch.equal(torch.cat(seen[:7]).sort(0).values, examples().tensors[0].sort(0).values)
    for number in (0, 5, 6, 12):
        again = RewindableLoader(loader(), seed=0)
        again.load_state_dict(positions[number])
        assert torch.equal(next(iter(again))[0], seen[number + 1])


def test_the_order_of_a_loader_that_is_not_shuffled_stays():
    data = RewindableLoader(DataLoader(examples(20), batch_size=8, drop_last=True))
    assert [len(x) for x, _ in data] == [8, 8]
    assert torch.equal(next(iter(data))[0], examples(20).tensors[0][:8])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (lambda: DataLoader(Stream(), batch_size=8), "needs a map-style dataset"),
        (with_replacement, "needs a loader with a batch_size"),
        (lambda: DataLoader([], batch_size=8), "the dataset is empty"),
        (lambda: DataLoader(examples(), 8, sampler=[1, 2]), "not with a list of its own"),
    ],
)
def test_a_loader_whose_order_is_not_known_is_refused(data, text):
    with pytest.raises(UsageError, match=text):
        RewindableLoader(data())
