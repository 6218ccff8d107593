import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from autosched.errors import CheckpointError
from autosched.testing.trainer_contract import saved
from autosched.trainer import read_checkpoint, write_checkpoint
from autosched.trainer.checkpoints import FORMAT
from workers.vision import VisionTrainer

CONFIGURATION = {"trainer": "mine", "seed": 0, "width": 8}
STATE = {"model": {"weight": torch.arange(6.0)}, "step": 7}


def written(state=STATE, configuration=CONFIGURATION) -> bytes:
    file = io.BytesIO()
    write_checkpoint(file, state, configuration=configuration)
    return file.getvalue()


def read(content: bytes, configuration=CONFIGURATION):
    return read_checkpoint(io.BytesIO(content), configuration=configuration)


def archive(document: object) -> bytes:
    file = io.BytesIO()
    torch.save(document, file)
    return file.getvalue()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


def test_a_state_comes_back_to_the_bit():
    state = read(written())
    assert state["step"] == 7
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])


def test_the_order_of_a_configuration_does_not_matter():
    assert read(written(), dict(reversed(CONFIGURATION.items())))["step"] == 7


def test_the_bomb_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "exploded")))
    assert (tmp_path / "exploded").is_dir()


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    bomb = Bomb(tmp_path / "exploded")
    head = {"format": FORMAT, "version": 1, "configuration": "{}", "digest": ""}
    for content in (archive(bomb), archive({**head, "state": {"model": bomb}}), pickle.dumps(bomb)):
        with pytest.raises(CheckpointError, match=r"damaged or no checkpoint at all \(\w+\)"):
            read(content)
    assert not (tmp_path / "exploded").exists()


def test_a_trainer_refuses_code_and_does_not_run_it(tmp_path):
    trainer = VisionTrainer({"width": 4, "device": "cpu"}, seed=0, horizon=1)
    trainer.start()
    document = torch.load(io.BytesIO(saved(trainer)), weights_only=True)
    document["state"]["optimizer"]["state"] = Bomb(tmp_path / "exploded")
    with pytest.raises(CheckpointError):
        trainer.load(io.BytesIO(archive(document)))
    assert not (tmp_path / "exploded").exists()


def test_every_byte_of_a_tensor_is_checked():
    content = written({"weight": torch.arange(1000.0)})
    weights = torch.arange(1000.0).numpy().tobytes()
    damaged = bytearray(content)
    damaged[content.index(weights[:400]) + 1001] ^= 1
    with pytest.raises(CheckpointError, match=r"damaged: .*data/0 does not match its checksum"):
        read(bytes(damaged))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18), pickle.dumps({"format": FORMAT})])
def test_what_is_no_archive_is_refused(content):
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        read(content)


def test_another_archive_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as other:
        other.writestr("readme", "nothing to see here")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read(file.getvalue())


@pytest.mark.parametrize("document", [[1, 2], {}, {"format": "other"}, torch.zeros(3)])
def test_another_torch_file_is_refused(document):
    with pytest.raises(CheckpointError, match="another format"):
        read(archive(document))


def test_another_version_is_refused():
    with pytest.raises(CheckpointError, match="version must be 1, but got 2"):
        read(archive({"format": FORMAT, "version": 2}))


def test_an_edited_head_is_refused():
    document = torch.load(io.BytesIO(written()), weights_only=True)
    edits = [
        {"configuration": document["configuration"].replace("8", "9")},
        {"configuration": 8},
        {"digest": "0" * 64},
        {"state": [1]},
    ]
    for edit in edits:
        with pytest.raises(CheckpointError, match="head does not match its digest"):
            read(archive({**document, **edit}))


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({**CONFIGURATION, "width": 16}, "width is 8 there, but 16 here"),
        ({**CONFIGURATION, "seed": 1}, "seed is 0 there, but 1 here"),
        ({**CONFIGURATION, "depth": 1}, "depth is None there, but 1 here"),
        ({"trainer": "mine", "seed": 0}, "width is 8 there, but None here"),
    ],
)
def test_the_first_difference_between_two_configurations_is_named(configuration, message):
    with pytest.raises(CheckpointError, match=f"of another configuration: {message}"):
        read(written(), configuration)


def test_a_state_that_does_not_fit_the_model_is_refused():
    trainer = VisionTrainer({"width": 4, "device": "cpu"}, seed=0, horizon=1)
    trainer.start()
    trainer.train(np.full(2, 0.01))
    document = torch.load(io.BytesIO(saved(trainer)), weights_only=True)
    state, loss = document["state"], trainer.evaluate()
    weights, moments = state["model"], state["optimizer"]
    zeros = {name: torch.zeros_like(weight) for name, weight in weights.items()}  # would be seen if it were copied
    for change in (
        {"model": {}},
        {"model": [1]},
        {"model": {**zeros, "head.bias": torch.zeros(3)}},
        {"model": {**zeros, "head.bias": torch.zeros(10, dtype=torch.int64)}},
        {"model": {**zeros, "head.bias": "zeros"}},
        {"optimizer": "none"},
        {"optimizer": {**moments, 99: moments[0]}},
        {"optimizer": {**moments, 1: {}}},
        {"optimizer": {**moments, 1: {**moments[1], "exp_avg": torch.zeros(3)}}},
        {"watch": None},
        {"watch": {"first": "high"}},
        {"step": -5},
        {"step": "7"},
        {"step": float("inf")},
    ):
        with pytest.raises(CheckpointError, match="does not fit the model"):
            trainer.load(io.BytesIO(archive({**document, "state": {**state, "model": zeros, **change}})))
        assert (trainer.step, trainer.evaluate()) == (2, loss)
    for missing in state:
        rest = {name: value for name, value in state.items() if name != missing}
        with pytest.raises(CheckpointError, match="does not fit the model"):
            trainer.load(io.BytesIO(archive({**document, "state": rest})))
