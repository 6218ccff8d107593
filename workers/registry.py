"""From a trainer's name in a space file to a trainer; the only place where these names become objects."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autosched.errors import UsageError
from autosched.schedules import get_family
from autosched.schedules.batch_ramp import DOUBLE_BATCH_AT
from autosched.space.domains import endpoints
from autosched.space.hyperparameters import central
from autosched.space.records import Space
from autosched.space.trainer_spec import TrainerSpec
from autosched.trainer import Trainer
from autosched.trainer.fingerprints import code_fingerprints, data_fingerprints, named_paths
from autosched.trainer.protocol import SegmentTrainer

BUILT_IN: dict[str, str] = {
    "gpt": "workers.gpt:GptTrainer",
    "vision": "workers.vision:VisionTrainer",
    "simulated": "workers.simulated:SimulatedTrainer",
    "command": "workers.command.trainer:CommandTrainer",
}
"""Imported when first used: the simulated trainer needs no torch."""
METHODS = ("start", "train", "evaluate", "save", "load")
SEGMENT_METHODS = ("start", "train_segment", "save", "load", "close")
"""What a trainer class must have; `step` may also be an attribute that its objects get."""


def make_trainer(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer | SegmentTrainer:
    """A trainer; the :data:`autosched.trainer.TrainerFactory` of all backends.

    Args:
        use: a built-in name, or ``package.module:Class`` with the constructor ``(options, *, seed, horizon)``.

    Raises:
        UsageError: an unknown name, a class that cannot be imported, or options it does not allow.
    """
    trainer: Trainer | SegmentTrainer = trainer_class(use)(options, seed=seed, horizon=horizon)
    return trainer


def check_trainer(use: str, options: Mapping[str, Any]) -> None:
    """Whether a trainer could be made, as far as that is known without making one.

    A trainer class may have a static ``check_options(options)``; the built-in ones do.

    Raises:
        UsageError: as :func:`make_trainer`; also a class that is no trainer.
    """
    found = trainer_class(use)
    methods = SEGMENT_METHODS if hasattr(found, "train_segment") else METHODS
    missing = [name for name in methods if not callable(getattr(found, name, None))]
    if missing:
        needed = ", ".join(methods)
        raise UsageError(f"trainer {use!r}: must have the methods {needed}, but has no {', '.join(missing)}.")
    try:
        inspect.signature(found).bind(options, seed=0, horizon=1)
    except TypeError as error:
        raise UsageError(
            f"trainer {use!r}: its constructor must take (options, *, seed, horizon), but: {error}."
        ) from None
    check = getattr(found, "check_options", None)
    if check is not None:
        check(options)


def check_trainer_space(space: Space) -> None:
    """:func:`check_trainer` of a space's trainer, and whether it can do what the space lets be tried.

    A trainer class may have a static ``check_space(space)``.

    Raises:
        UsageError: as :func:`check_trainer`, or it cannot.
    """
    try:
        check_trainer(space.trainer.use, space.trainer.options)
    except UsageError as error:  # what it lacks may be a hyperparameter
        together = space.trainer.beside(central(space.hyperparameters))
        if together is space.trainer or not _is_allowed(together):
            raise error
    check = getattr(trainer_class(space.trainer.use), "check_space", None)
    if check is not None:
        check(space)


def _is_allowed(trainer: TrainerSpec) -> bool:
    try:
        check_trainer(trainer.use, trainer.options)
    except UsageError:
        return False
    return True


def check_hyperparameters(space: Space) -> None:
    """:func:`check_trainer` with the values that span a space's hyperparameters, one after another.

    Raises:
        UsageError: the trainer has no such option, or does not allow a value that would be tried.
    """
    if not space.hyperparameters:
        return
    middle = central(space.hyperparameters)
    points = [dict(middle)]
    for name, parameter in space.hyperparameters.items():
        needed = {other: values[0] for other, values in parameter.when.items()}
        points += [{**middle, **needed, name: value} for value in endpoints(parameter.domain)]
    for point in points:
        exist = {name: value for name, value in point.items() if space.hyperparameters[name].exists(point)}
        try:
            check_trainer(space.trainer.use, space.trainer.beside(exist).options)
        except UsageError as error:
            raise UsageError(f"hyperparameters: {error}") from None


def check_ramps(space: Space) -> None:
    """Whether a space's trainer can raise its batch, where a family that competes does.

    Raises:
        UsageError: it has no such option.
    """
    for family in (one.family for one in space.schedule if get_family(one.family).ramp is not None):
        try:
            check_trainer(space.trainer.use, space.trainer.beside({DOUBLE_BATCH_AT: [1]}).options)
        except UsageError as error:
            raise UsageError(f"{family} raises the batch by the trainer's {DOUBLE_BATCH_AT}, but {error}") from None


def trainer_fingerprints(use: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of a trainer's code and data, by module and file; see :mod:`autosched.trainer.fingerprints`.

    A built-in trainer's code is the version of autosched. A trainer class may name its data with a static
    ``data_files(options)``, which gives paths; of any other, the options that are paths of files or folders count.

    Raises:
        UsageError: as :func:`make_trainer`, or a file that cannot be read.
    """
    found = trainer_class(use)
    naming = getattr(found, "data_files", None)
    paths = named_paths(options) if naming is None else naming(options)
    try:
        code = {} if use in BUILT_IN else code_fingerprints(use.partition(":")[0])
        return {**code, **data_fingerprints(paths)}
    except OSError as error:
        raise UsageError(f"trainer {use!r}: {error.filename} cannot be read: {error.strerror}.") from None


def trainer_class(use: str) -> Any:
    """The class behind a name.

    A module is looked for where Python looks, and then in the working directory, where an installed program, unlike
    ``python``, does not look by itself. Ray tells its workers the driver's working directory.

    Raises:
        UsageError: there is none; the text lists the built-in ones, or says why the import failed.
    """
    target = BUILT_IN.get(use, use)
    module, colon, name = target.partition(":")
    if not colon or not module or not name or module.startswith("."):
        raise UsageError(f"trainer must be one of {', '.join(BUILT_IN)}, or package.module:Class, but got {use!r}.")
    if use not in BUILT_IN:
        _search_also(str(Path.cwd()))
    try:
        imported = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does wrong
        reason = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"trainer {use!r} cannot be imported: {' '.join(reason.split()).rstrip('.')}.") from None
    found = getattr(imported, name, None)
    if not callable(found):
        raise UsageError(f"trainer {use!r}: the module {module} has no class {name}.")
    return found


def trainer_name(trainer: type) -> str:
    """The name under which a class can be had in any process: a built-in one, or ``package.module:Class``.

    Raises:
        UsageError: no other process could import it: it was written in a script or a notebook, or inside of something.
    """
    module, name = trainer.__module__, trainer.__qualname__
    if module == "__main__":
        raise UsageError(
            f"trainer {name} is written in the script or notebook itself, where workers and `autosched resume` "
            "cannot find it: put it into a module, e.g. my_trainer.py, and import it from there."
        )
    if getattr(sys.modules.get(module), name, None) is not trainer:
        raise UsageError(f"trainer {name} must stand at the top of its module {module}, where workers can import it.")
    target = f"{module}:{name}"
    return next((built_in for built_in, there in BUILT_IN.items() if there == target), target)


def _search_also(folder: str) -> None:
    """Look for modules in `folder` too, after all other places, so that it hides nothing that is installed."""
    if folder not in sys.path:
        sys.path.append(folder)
