"""Runs that start from a trained model: the option ``init_from`` of the torch trainers.

The weights alone are taken. The optimizer begins anew, update 0 is the first on this run's data, and the seed draws the
batches, not the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from autosched.errors import CheckpointError, UsageError
from autosched.trainer.checkpoints import read_weights
from autosched.trainer.fingerprints import data_fingerprints


def started_from(model: nn.Module, path: str | None, *, trainer: str) -> nn.Module:
    """The model with the weights of a file, or as it is where no file is named.

    Raises:
        UsageError: the file cannot be read, or its weights are of another model.
    """
    if path is not None:
        model.load_state_dict(_fitting(path, model.state_dict(), trainer))
    return model


def check_initial(make: Callable[[], nn.Module], path: str | None, *, trainer: str) -> None:
    """Whether :func:`started_from` would do; the model is made without memory for its weights."""
    if path is not None:
        with torch.device("meta"):
            own = make().state_dict()
        _fitting(path, own, trainer)


def initial_identity(path: str | None) -> dict[str, str]:
    """What a checkpoint must have in common with a run that started from this file: its content, wherever it lies."""
    return {} if path is None else {"init_from": next(iter(data_fingerprints([path]).values()), "")}


def _fitting(path: str, own: Mapping[str, Tensor], trainer: str) -> dict[str, Tensor]:
    what = f"{trainer} trainer: init_from"
    try:
        found = read_weights(path)
    except CheckpointError as error:
        raise UsageError(f"{what}: {error} `autosched export STUDY --to checkpoint --out FILE` writes one.") from None
    for name in [*own, *found]:
        if name not in found or name not in own:
            lack = "the model here has it" if name in own else "the model here does not have it"
            where = "is not in" if name in own else "is in"
            raise UsageError(f"{what}: {name} {where} {path}, and {lack}: give the options of the run that made it.")
        if found[name].shape != own[name].shape:
            there, here = tuple(found[name].shape), tuple(own[name].shape)
            raise UsageError(f"{what}: {name} must have the shape {here} here, but in {path} it has {there}.")
    return found
