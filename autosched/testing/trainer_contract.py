"""The suite every `Trainer` passes, built-in or your own.

Subclass it in a test file and say which trainer, with options that make it small and without noise in its losses::

    class TestMlp(TrainerContract):
        @pytest.fixture
        def case(self):
            return TrainerCase(
                factory=make_trainer,                       # of workers.registry
                use="own_trainer:Mlp",
                options={"width": 8},
                other={"width": 4},                         # another configuration
                faulty=[{"width": 0}, {"no_such": 1}],      # what must be refused
            )
"""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from autosched.errors import CheckpointError, UsageError
from autosched.schedules.schedule import FloatArray
from autosched.trainer import Diverged, Trainer, TrainerFactory
from autosched.trainer.values import as_loss

STEPS = 12
FLIPS = 40
"""Positions of a checkpoint at which a bit is flipped."""


def _small_lrs() -> FloatArray:
    return np.geomspace(1e-2, 1e-3, STEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerCase:
    """A trainer and what the suite has to know about it.

    Attributes:
        factory: a function at the top level of a module, so that another process can import it.
        use: the trainer's name for the factory.
        options: small, and without noise: with an LR of 0 the validation loss must stay what it is.
        other: options of another configuration, whose checkpoints must be refused.
        faulty: options that must be refused.
        lrs: LRs that train well, at least 6 of them.
        huge_lr: an LR that no model survives.
    """

    factory: TrainerFactory
    use: str
    options: Mapping[str, Any]
    other: Mapping[str, Any]
    faulty: Sequence[Mapping[str, Any]]
    lrs: FloatArray = field(default_factory=_small_lrs)
    huge_lr: float = 1e4

    def make(self, *, seed: int = 0, options: Mapping[str, Any] | None = None) -> Trainer:
        """A trainer that has not started yet."""
        trainer = self.factory(self.use, self.options if options is None else options, seed, len(self.lrs))
        return cast(Trainer, trainer)  # one that trains whole segments by itself has no `train` to test

    def started(self, *, seed: int = 0, options: Mapping[str, Any] | None = None) -> Trainer:
        """A trainer with a fresh model."""
        trainer = self.make(seed=seed, options=options)
        trainer.start()
        return trainer


def losses_of(trainer: Trainer, lrs: FloatArray) -> list[float]:
    """The training loss of every update, then the validation loss: all that a run shows."""
    losses = [float(trainer.train(lrs[index : index + 1])["train_loss"]) for index in range(len(lrs))]
    return [*losses, as_loss(trainer.evaluate())]


def saved(trainer: Trainer) -> bytes:
    """A checkpoint, in memory."""
    file = io.BytesIO()
    trainer.save(file)
    return file.getvalue()


def random_streams() -> list[bytes]:
    """State of the process's random streams: of Python, numpy, and torch where it is loaded."""
    name, keys, *rest = np.random.get_state()
    states = [repr(random.getstate()).encode(), repr((name, rest)).encode() + np.asarray(keys).tobytes()]
    if "torch" in sys.modules:
        states.append(importlib.import_module("torch").get_rng_state().numpy().tobytes())
    return states


def disturb_random_streams() -> None:
    """Draw from the streams of :func:`random_streams`, as any other code of the process may."""
    random.random()  # noqa: S311 - the point is to move the stream
    np.random.random()
    if "torch" in sys.modules:
        importlib.import_module("torch").rand(7)


ELSEWHERE = """
import importlib, json, sys
import numpy as np
from autosched.testing.trainer_contract import losses_of

order = json.load(sys.stdin)
factory = getattr(importlib.import_module(order["module"]), order["factory"])
trainer = factory(order["use"], order["options"], 0, order["horizon"])
with open(order["file"], "rb") as file:
    trainer.load(file)
step = trainer.step
print(json.dumps([step, losses_of(trainer, np.array(order["lrs"]))]))
"""


def go_on_elsewhere(case: TrainerCase, file: Path, lrs: FloatArray) -> tuple[int, list[float]]:
    """Load `file` in a new process and train on; the update it starts at, and what :func:`losses_of` gives."""
    order = {
        "module": case.factory.__module__,
        "factory": getattr(case.factory, "__name__", ""),
        "use": case.use,
        "options": dict(case.options),
        "horizon": len(case.lrs),
        "file": str(file),
        "lrs": lrs.tolist(),
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if "torch" in sys.modules:  # another number of threads rounds in another way
        environment["OMP_NUM_THREADS"] = str(importlib.import_module("torch").get_num_threads())
    done = subprocess.run(  # noqa: S603 - this Python with the program above
        [sys.executable, "-c", ELSEWHERE],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    step, losses = json.loads(done.stdout)
    return step, losses


class TrainerContract:
    """What the engine relies on; see the module for the fixture."""

    def test_steps_are_counted(self, case: TrainerCase) -> None:
        trainer = case.started()
        seen = [trainer.step]
        for length in (1, 3, 2):
            trainer.train(case.lrs[:length])
            seen.append(trainer.step)
        trainer.start()
        assert [*seen, trainer.step] == [0, 1, 4, 6, 0]

    def test_training_on_no_lrs_does_nothing(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:2])
        trainer.train(case.lrs[:0])
        assert trainer.step == 2
        untouched = case.started()
        untouched.train(case.lrs[:2])
        assert losses_of(trainer, case.lrs[2:]) == losses_of(untouched, case.lrs[2:])

    def test_the_same_seed_and_lrs_give_the_same_losses(self, case: TrainerCase) -> None:
        first = losses_of(case.started(), case.lrs)
        assert all(math.isfinite(loss) for loss in first)
        assert losses_of(case.started(), case.lrs) == first

    def test_the_process_random_streams_do_not_matter(self, case: TrainerCase) -> None:
        calm, disturbed = case.started(), []
        expected = losses_of(calm, case.lrs)
        disturb_random_streams()
        trainer = case.started()
        for lr in case.lrs:
            disturb_random_streams()
            disturbed.append(float(trainer.train(np.array([lr]))["train_loss"]))
        assert [*disturbed, as_loss(trainer.evaluate())] == expected

    @pytest.mark.parametrize("cuts", [[], [1], [5], [1, 2, 3], [2, 2, 4]])
    def test_how_a_run_is_cut_changes_no_bit(self, case: TrainerCase, cuts: list[int]) -> None:
        steps = len(case.lrs)
        parts = case.started()
        for start, stop in zip([0, *cuts], [*cuts, steps - 1], strict=True):
            parts.train(case.lrs[start:stop])
        whole = case.started()
        losses = losses_of(whole, case.lrs)
        assert losses_of(parts, case.lrs[steps - 1 :]) == losses[-2:]

    def test_means_are_those_of_the_single_updates(self, case: TrainerCase) -> None:
        losses = losses_of(case.started(), case.lrs)[:-1]
        means = case.started().train(case.lrs)
        assert means["train_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-12)

    def test_starting_again_is_starting_afresh(self, case: TrainerCase) -> None:
        trainer = case.started()
        first = losses_of(trainer, case.lrs)
        trainer.start()
        assert losses_of(trainer, case.lrs) == first

    def test_a_saved_run_goes_on_in_a_fresh_trainer(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        file = io.BytesIO(saved(trainer))
        fresh = case.make()
        fresh.load(file)
        assert fresh.step == 4
        assert losses_of(fresh, case.lrs[4:]) == losses_of(trainer, case.lrs[4:])

    def test_loading_replaces_a_run_that_has_gone_further(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        file = saved(trainer)
        expected = losses_of(trainer, case.lrs[4:])
        trainer.load(io.BytesIO(file))
        assert trainer.step == 4
        assert losses_of(trainer, case.lrs[4:]) == expected

    @pytest.mark.slow
    def test_a_saved_run_goes_on_in_another_process(self, case: TrainerCase, tmp_path: Path) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        file = tmp_path / "checkpoint"
        file.write_bytes(saved(trainer))
        elsewhere, here = go_on_elsewhere(case, file, case.lrs[4:]), (4, losses_of(trainer, case.lrs[4:]))
        assert elsewhere == here, f"(update, losses) of another process: {elsewhere}; of this one: {here}"

    def test_saving_changes_nothing(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        saved(trainer)
        assert [trainer.step, *losses_of(trainer, case.lrs[4:])] == [4, *losses_of(case.started(), case.lrs)[4:]]

    def test_evaluating_changes_nothing(self, case: TrainerCase) -> None:
        trainer, expected = case.started(), losses_of(case.started(), case.lrs)
        seen = []
        for lr in case.lrs:
            streams = random_streams()
            assert trainer.evaluate() == trainer.evaluate()
            assert random_streams() == streams
            seen += losses_of(trainer, np.array([lr]))[:1]
        assert [*seen, as_loss(trainer.evaluate())] == expected

    def test_an_lr_of_zero_leaves_the_validation_loss_as_it_is(self, case: TrainerCase) -> None:
        trainer = case.started()
        before = as_loss(trainer.evaluate())
        trainer.train(np.zeros(3))
        assert as_loss(trainer.evaluate()) == before

    def test_the_lr_matters_from_the_first_update_on(self, case: TrainerCase) -> None:
        finals = []
        for factor in (1.0, 0.5):
            trainer = case.started()
            trainer.train(case.lrs[:1] * factor)
            finals.append(as_loss(trainer.evaluate()))
        assert finals[0] != finals[1]

    def test_another_seed_gives_other_losses(self, case: TrainerCase) -> None:
        assert losses_of(case.started(seed=1), case.lrs)[-1] != losses_of(case.started(seed=0), case.lrs)[-1]

    def test_a_huge_lr_ends_in_a_divergence_or_in_finite_losses(self, case: TrainerCase) -> None:
        trainer, steps = case.started(), 60
        divergence = _divergence(trainer, np.full(steps, case.huge_lr))
        if divergence is not None:
            assert 1 <= divergence.step <= steps
            assert divergence.reason
            assert "\n" not in divergence.reason
        trainer.start()
        assert losses_of(trainer, case.lrs) == losses_of(case.started(), case.lrs)

    def test_a_file_that_is_no_checkpoint_is_refused(self, case: TrainerCase) -> None:
        noise = np.random.default_rng(0).bytes(5000)
        for content in (b"", b"\0" * 100, b"no checkpoint\n", b"[1, 2]\n", b"{}\n", b"PK\x03\x04" + noise, noise):
            _refused(case.make(), content)

    def test_a_truncated_checkpoint_is_refused(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        content = saved(trainer)
        for share in (0.0, 0.1, 0.5, 0.9):
            _refused(case.make(), content[: int(len(content) * share)])
        _refused(case.make(), content[:-2])

    def test_a_flipped_bit_is_refused_or_harmless(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:4])
        content = saved(trainer)
        expected = losses_of(trainer, case.lrs[4:])
        refused, rng = 0, np.random.default_rng(1)
        for place in np.linspace(0, len(content) - 1, FLIPS).astype(int):
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(rng.integers(8))
            fresh = case.make()
            try:
                fresh.load(io.BytesIO(bytes(damaged)))
            except CheckpointError:
                refused += 1
            else:
                assert [fresh.step, *losses_of(fresh, case.lrs[4:])] == [4, *expected]
        assert refused > 0

    def test_a_checkpoint_of_another_run_is_refused(self, case: TrainerCase) -> None:
        for other in (case.started(options=case.other), case.started(seed=1)):
            assert "configuration" in _refused(case.make(), saved(other))

    def test_after_a_refused_checkpoint_it_starts_afresh(self, case: TrainerCase) -> None:
        trainer = case.started()
        trainer.train(case.lrs[:2])
        _refused(trainer, saved(trainer)[:-2])
        trainer.start()
        assert losses_of(trainer, case.lrs) == losses_of(case.started(), case.lrs)

    def test_a_faulty_option_is_refused_in_one_line(self, case: TrainerCase) -> None:
        check = getattr(type(case.make()), "check_options", None)
        for options in case.faulty:
            for refuse in (check, lambda options: case.make(options=options)):
                if refuse is None:
                    continue
                with pytest.raises(UsageError) as info:
                    refuse(options)
                assert "\n" not in str(info.value)

    def test_sound_options_pass_the_check(self, case: TrainerCase) -> None:
        check = getattr(type(case.make()), "check_options", None)
        if check is not None:
            check(case.options)
            check(case.other)


def _divergence(trainer: Trainer, lrs: FloatArray) -> Diverged | None:
    """How training with these LRs diverges; None if the losses stay finite."""
    try:
        means = trainer.train(lrs)
    except Diverged as error:
        return error
    assert math.isfinite(means["train_loss"])
    return None


def _refused(trainer: Trainer, content: bytes) -> str:
    """Load a file that must be refused; the reason."""
    with pytest.raises(CheckpointError) as info:
        trainer.load(io.BytesIO(content))
    assert "\n" not in str(info.value)
    return str(info.value)
