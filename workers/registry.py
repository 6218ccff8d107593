"""From a trainer's name in a space file to a trainer; the only place where these names become objects."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from autosched.engine.trainer import Trainer
from autosched.errors import UsageError

BUILT_IN: dict[str, str] = {
    "gpt": "workers.gpt:GptTrainer",
    "vision": "workers.vision:VisionTrainer",
    "simulated": "workers.simulated:SimulatedTrainer",
}
"""Imported when first used: the simulated trainer needs no torch."""


def make_trainer(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
    """A trainer; the :data:`autosched.engine.trainer.TrainerFactory` of all backends.

    Args:
        use: a built-in name, or ``package.module:Class`` with the constructor ``(options, *, seed, horizon)``.

    Raises:
        UsageError: an unknown name, a class that cannot be imported, or options it does not allow.
    """
    trainer: Trainer = trainer_class(use)(options, seed=seed, horizon=horizon)
    return trainer


def check_trainer(use: str, options: Mapping[str, Any]) -> None:
    """Whether a trainer could be made, as far as that is known without making one.

    A trainer class may have a static ``check_options(options)``; the built-in ones do.

    Raises:
        UsageError: as :func:`make_trainer`.
    """
    check = getattr(trainer_class(use), "check_options", None)
    if check is not None:
        check(options)


def trainer_class(use: str) -> Any:
    """The class behind a name.

    Raises:
        UsageError: there is none; the text lists the built-in ones, or says why the import failed.
    """
    target = BUILT_IN.get(use, use)
    module, colon, name = target.partition(":")
    if not colon or not module or not name:
        raise UsageError(f"trainer must be one of {', '.join(BUILT_IN)}, or package.module:Class, but got {use!r}.")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UsageError(f"trainer {use!r} cannot be imported: {error}.") from None
    except AttributeError:
        raise UsageError(f"trainer {use!r}: the module {module} has no {name}.") from None
