"""All that a trainer of one's own needs; importing this loads no torch.

A trainer is a class in a module of one's own, named ``package.module:Class`` in a space file, with five methods and a
``step`` (see :class:`Trainer`)::

    from autosched.trainer import Diverged, number, read_checkpoint, read_options, write_checkpoint

``examples/own_trainer.py`` is a whole one; ``autosched check-trainer`` says whether yours keeps its promises, and
``autosched.testing.trainer_contract`` has tests for it.

==========================================================  =========================================================
:class:`Trainer`, :class:`Diverged`, :class:`OutOfMemoryError`  what the engine calls, and what a trainer tells it
:func:`read_options`, :func:`whole`, :func:`number`, …       options of a space file as a checked record
:func:`write_checkpoint`, :func:`read_checkpoint`            files that a run goes on from, for models of torch
:func:`generator`, :func:`key`                               randomness as a function of (seed, step)
:class:`Point`                                               an evaluation, as a study keeps it
==========================================================  =========================================================
"""

from autosched.errors import CheckpointError, UsageError
from autosched.ledger.records import Point
from autosched.randomness import generator, key
from autosched.schedules.schedule import FloatArray
from autosched.trainer.checkpoints import read_checkpoint, write_checkpoint
from autosched.trainer.options import (
    Rule,
    flag,
    number,
    one_of,
    pair,
    positive,
    read_options,
    read_record,
    several,
    text,
    whole,
)
from autosched.trainer.protocol import Diverged, MergingTrainer, OutOfMemoryError, Trainer, TrainerFactory

__all__ = [
    "CheckpointError",
    "Diverged",
    "FloatArray",
    "MergingTrainer",
    "OutOfMemoryError",
    "Point",
    "Rule",
    "Trainer",
    "TrainerFactory",
    "UsageError",
    "flag",
    "generator",
    "key",
    "number",
    "one_of",
    "pair",
    "positive",
    "read_checkpoint",
    "read_options",
    "read_record",
    "several",
    "text",
    "whole",
    "write_checkpoint",
]
