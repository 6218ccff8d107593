"""What a range test needs from a file: a whole space, or no more than a trainer.

trainer: {use: gpt, with: {width: 128}}
seed: 0
range_test: {low: 1e-6, high: 10, steps: 200}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosched.curves.range_test import Sweep
from autosched.space.auto_bounds import read_sweep
from autosched.space.document import Document, read_document
from autosched.space.section import Faults, Section
from autosched.space.trainer_spec import TrainerSpec
from autosched.space.yaml_file import read_seed, read_space, read_trainer, run_check

SPACE_KEYS = frozenset({"study", "schedule", "candidates", "horizon_steps"})
"""A file with one of these is meant as a space, and read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTask:
    """A range test to run.

    Attributes:
        seed: of the model's initial weights and its batches.
        cpus: cores to train on; sums of floats depend on their number.
    """

    trainer: TrainerSpec
    seed: int
    sweep: Sweep
    cpus: float = 1


def load_sweep_task(
    path: str | Path, overrides: Sequence[str] = (), check: Callable[[TrainerSpec], object] | None = None
) -> SweepTask:
    """Read the range test that a space file or a trainer file describes.

    Args:
        overrides: texts like ``seed=1``, applied before anything is checked.
        check: further check of the trainer; what it raises is reported at the line of the trainer or its option.

    Raises:
        SpaceError: the file cannot be read or has a fault; of several faults, the one on the lowest line.
    """
    document = read_document(path).with_overrides(overrides)
    task = _of_space(document) if SPACE_KEYS & set(document.data) else _of_trainer(document)
    if check is not None:
        run_check(document, "trainer", lambda: check(task.trainer))
    return task


def _of_space(document: Document) -> SweepTask:
    space = read_space(document)
    return SweepTask(trainer=space.trainer, seed=space.seed, sweep=space.range_test, cpus=space.resources.cpus)


def _of_trainer(document: Document) -> SweepTask:
    faults = Faults(document)
    top = Section(dict(document.data), (), faults)
    trainer, seed, sweep = read_trainer(top), read_seed(top), read_sweep(top)
    top.close()
    if faults or trainer is None:
        raise faults.first()
    return SweepTask(trainer=trainer, seed=seed, sweep=sweep)
