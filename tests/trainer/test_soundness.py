"""What is wrong with a trainer is found by training a few updates, and told with a remedy."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from autosched.errors import CheckpointError, UsageError
from autosched.trainer import Diverged, generator, read_checkpoint, write_checkpoint
from autosched.trainer.findings import Case
from autosched.trainer.soundness import check_soundness
from autosched.trainer.values import as_loss, as_means, own_place

CURVATURE = torch.logspace(0, -2, 16)


class Sound:
    """SGD with momentum on a noisy quadratic, and with dropout from torch's stream, which it stores."""

    parameters: ClassVar[int] = 1

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.start()

    def start(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.weights = [nn.Parameter(torch.ones(16) / self.parameters) for _ in range(self.parameters)]
        groups = [{"params": [weight]} for weight in self.weights]
        self.optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9)
        self.step = 0

    def batch(self) -> torch.Tensor:
        return torch.from_numpy(generator(self.seed, self.step).normal(size=16)).float()

    def set_lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = float(lr)

    def update(self, lr: float) -> float:
        kept = torch.rand(16, generator=self.generator) < 0.9
        weight = sum(self.weights)
        loss = 1 + (CURVATURE * weight.square()).sum() / 2 + (0.1 * self.batch() * kept * weight).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.set_lr(lr)
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def train(self, lrs: Any) -> Any:
        losses = [self.update(lr) for lr in lrs]
        if not np.all(np.isfinite(losses)):
            raise Diverged(self.step, losses[-1], "the loss is not finite")
        return {"train_loss": float(np.mean(losses))}

    def evaluate(self) -> Any:
        with torch.no_grad():
            return 1 + (CURVATURE * sum(self.weights).square()).sum().item() / 2

    def state(self) -> dict[str, Any]:
        parts = {"weights": [weight.detach() for weight in self.weights], "optimizer": self.optimizer.state_dict()}
        return {**parts, "step": self.step, "random": self.generator.get_state()}

    def save(self, file: Any) -> None:
        write_checkpoint(file, self.state(), configuration={"seed": self.seed})

    def load(self, file: Any) -> None:
        state = read_checkpoint(file, configuration={"seed": self.seed})
        with torch.no_grad():
            for weight, value in zip(self.weights, state["weights"], strict=True):
                weight.copy_(value)
        self.step = state["step"]
        if "optimizer" in state:
            self.optimizer.load_state_dict(state["optimizer"])
        if "random" in state:
            self.generator.set_state(state["random"])


class Normalised(Sound):
    """As sound, with a running statistic that training moves and evaluation reads, as batch norm's."""

    def start(self) -> None:
        super().start()
        self.running = torch.zeros(())

    def update(self, lr: float) -> float:
        loss = super().update(lr)
        self.running = 0.9 * self.running + 0.1 * float(self.batch().var())
        return loss

    def evaluate(self) -> Any:
        return super().evaluate() + 0.01 * float(self.running)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "running": self.running}

    def load(self, file: Any) -> None:
        super().load(file)
        file.seek(0)
        self.running = read_checkpoint(file, configuration={"seed": self.seed})["running"]


class IgnoresTheLr(Sound):
    def set_lr(self, lr: float) -> None:
        super().set_lr(0.05)


class OneStepLate(Sound):
    def start(self) -> None:
        super().start()
        self.next_lr = 0.1

    def set_lr(self, lr: float) -> None:
        super().set_lr(self.next_lr)
        self.next_lr = lr

    def state(self) -> dict[str, Any]:
        return {**super().state(), "next_lr": float(self.next_lr)}

    def load(self, file: Any) -> None:
        super().load(file)
        file.seek(0)
        self.next_lr = read_checkpoint(file, configuration={"seed": self.seed})["next_lr"]


class ForgetsTheOptimizer(Sound):
    def state(self) -> dict[str, Any]:
        return {name: value for name, value in super().state().items() if name != "optimizer"}


class ForgetsRandomState(Sound):
    def state(self) -> dict[str, Any]:
        return {name: value for name, value in super().state().items() if name != "random"}


class EvaluationTrains(Sound):
    def evaluate(self) -> Any:
        with torch.no_grad():
            self.weights[0].mul_(0.99)
        return super().evaluate()


class EvaluationMovesStatistics(Normalised):
    def evaluate(self) -> Any:
        loss = super().evaluate()
        self.running = 0.9 * self.running
        return loss


class RestartsItsData(Sound):
    def train(self, lrs: Any) -> Any:
        self.batches = itertools.count()
        return super().train(lrs)

    def batch(self) -> torch.Tensor:
        return torch.from_numpy(generator(self.seed, next(self.batches)).normal(size=16)).float()


class Leaks(Sound):
    def start(self) -> None:
        super().start()
        self.kept: list[torch.Tensor] = []

    def update(self, lr: float) -> float:
        self.kept.append(sum(self.weights))
        return super().update(lr)


class HidesItsDivergence(Sound):
    def train(self, lrs: Any) -> Any:
        return {"train_loss": float(np.nan_to_num(np.mean([self.update(lr) for lr in lrs]), posinf=0.0))}

    def evaluate(self) -> Any:
        return float(np.nan_to_num(super().evaluate(), nan=0.1, posinf=0.1))


class OneGroupOnly(Sound):
    parameters: ClassVar[int] = 2

    def set_lr(self, lr: float) -> None:
        self.optimizer.param_groups[0]["lr"] = float(lr)
        self.optimizer.param_groups[1]["lr"] = 0.01


class SumsItsLosses(Sound):
    def train(self, lrs: Any) -> Any:
        return {"train_loss": super().train(lrs)["train_loss"] * len(lrs)}


class HasASchedulerOfItsOwn(Sound):
    def train(self, lrs: Any) -> Any:
        return super().train(np.full(len(lrs), lrs[0]) * 0.9 ** np.arange(len(lrs)) if len(lrs) else lrs)


class CutsItsBatches(Sound):
    def train(self, lrs: Any) -> Any:
        self.length = len(lrs)
        return super().train(lrs)

    def batch(self) -> torch.Tensor:
        return torch.from_numpy(generator(self.seed, self.step, self.length).normal(size=16)).float()


class IgnoresTheSeed(Sound):
    def batch(self) -> torch.Tensor:
        return torch.from_numpy(generator(0, self.step).normal(size=16)).float()

    def start(self) -> None:
        super().start()
        self.generator.manual_seed(0)


class DrawsGlobally(Sound):
    def batch(self) -> torch.Tensor:
        return torch.from_numpy(np.random.normal(size=16)).float()


class OneUpdateTooFew(Sound):
    def train(self, lrs: Any) -> Any:
        return super().train(lrs[:-1])


class GivesAList(Sound):
    def train(self, lrs: Any) -> Any:
        return [self.update(lr) for lr in lrs]


class GivesATuple(Sound):
    def evaluate(self) -> Any:
        return super().evaluate(), 0.9


class BelowZero(Sound):
    def evaluate(self) -> Any:
        return super().evaluate() - 3.0


class TakesAnyFile(Sound):
    def load(self, file: Any) -> None:
        try:
            super().load(file)
        except CheckpointError:
            self.step = 2


class Raises(Sound):
    def batch(self) -> torch.Tensor:
        return torch.ones(3) @ torch.ones(4)


@dataclass(frozen=True, kw_only=True)
class Wrong:
    trainer: type[Sound]
    promise: str
    says: str
    level: str = "broken"


WRONG = (
    Wrong(trainer=IgnoresTheLr, promise="Update i uses", says="changed nothing for i = 0, 1, 2, 3"),
    Wrong(trainer=OneStepLate, promise="Update i uses", says="changed nothing for i = 3"),
    Wrong(trainer=ForgetsTheOptimizer, promise="save() and load()", says="when a fresh trainer loaded its middle"),
    Wrong(trainer=ForgetsRandomState, promise="save() and load()", says="when a fresh trainer loaded its middle"),
    Wrong(trainer=EvaluationTrains, promise="evaluate() changes", says="after update 0 it gave"),
    Wrong(trainer=EvaluationMovesStatistics, promise="evaluate() changes", says="and asked again"),
    Wrong(trainer=RestartsItsData, promise="How a run is cut", says="when cut after (1,)"),
    Wrong(trainer=Leaks, promise="Memory does not grow", says="objects"),
    Wrong(trainer=HidesItsDivergence, promise="A model that an LR", says="the loss is 0.1 and then 0.1"),
    Wrong(trainer=OneGroupOnly, promise="Every parameter group", says="group 1 of 2 kept an LR of 0.01"),
    Wrong(trainer=SumsItsLosses, promise="train_loss is the mean", says="for a call of 4 updates, whose mean is"),
    Wrong(trainer=HasASchedulerOfItsOwn, promise="Update i uses", says="changed nothing for i = 1, 2, 3"),
    Wrong(trainer=CutsItsBatches, promise="How a run is cut", says="when cut after (1,)"),
    Wrong(trainer=IgnoresTheSeed, promise="Another seed", says="seeds 0 and 1 both ended"),
    Wrong(trainer=DrawsGlobally, promise="The same seed", says="two runs of 4 updates ended at"),
    Wrong(trainer=OneUpdateTooFew, promise="train() counts", says="step was 0 after start() and 1 after 2 updates"),
    Wrong(trainer=GivesAList, promise="train() counts", says="as {'train_loss': 2.5}, but gave the list"),
    Wrong(trainer=GivesATuple, promise="train() counts", says="evaluate() must give one number"),
    Wrong(trainer=BelowZero, promise="train() counts", says="evaluate() gave", level="unsure"),
    Wrong(trainer=TakesAnyFile, promise="A file that is no", says="load() took a text"),
    Wrong(trainer=Raises, promise="train() counts", says="in batch)"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.trainer.__name__)
def test_a_wrong_trainer_is_found_out(wrong: Wrong) -> None:
    findings = check_soundness(Case(make=wrong.trainer, lr=0.1), thorough=True)
    found = next(finding for finding in findings if finding.promise.startswith(wrong.promise))
    assert found.level == wrong.level
    assert wrong.says in found.seen
    assert found.remedy


@pytest.mark.parametrize("trainer", [Sound, Normalised])
def test_a_sound_one_keeps_every_promise_for_all_that_one_can_see(trainer: type[Sound]) -> None:
    findings = list(check_soundness(Case(make=trainer, lr=0.1), thorough=True))
    assert [finding.promise for finding in findings if finding.level == "broken"] == []
    unsure = [finding.promise for finding in findings if finding.level == "unsure"]
    assert unsure == (["An LR of 0 leaves the validation loss as it is"] if trainer is Normalised else [])
    assert len(findings) == 13


def test_what_a_device_sums_in_any_order_is_allowed_for() -> None:
    chance = np.random.default_rng(0)

    class Unordered(Sound):
        def evaluate(self) -> Any:
            return super().evaluate() * (1 + 1e-6 * chance.normal())

    levels: Mapping[str, str] = {f.promise: f.level for f in check_soundness(Case(make=Unordered, lr=0.1))}
    assert levels.pop("The same seed and LRs give the same losses") == "unsure"
    assert set(levels.values()) == {"kept"}


def test_losses_that_are_all_0_are_found_out_and_no_error_of_ours() -> None:
    class Zero(Sound):
        def evaluate(self) -> Any:
            return 0.0 * super().evaluate()

    findings = list(check_soundness(Case(make=Zero, lr=0.1), thorough=True))
    assert {finding.promise for finding in findings if finding.level == "broken"} >= {
        "Update i uses lrs[i]",
        "Another seed gives other losses",
    }
    assert not [finding.seen for finding in findings if "Error" in finding.seen]


def test_values_of_any_framework_are_numbers_and_texts_are_none() -> None:
    assert as_loss(torch.tensor(2.0)) == as_loss(np.float32(2)) == as_loss(2) == 2.0
    assert as_means({"train_loss": np.float64(1), "norm": torch.tensor([3.0])}) == {"train_loss": 1.0, "norm": 3.0}
    for value in ("0.5", None, [1.0, 2.0], torch.ones(2)):
        with pytest.raises(UsageError, match=r"evaluate\(\) must give one number, the validation loss, or a mapping"):
            as_loss(value)


def test_an_error_is_told_at_the_persons_own_line() -> None:
    with pytest.raises(RuntimeError) as error:
        nn.Linear(3, 4)(torch.ones(5))
    assert own_place(error.value).startswith("RuntimeError: ")
    assert own_place(error.value).endswith("in test_an_error_is_told_at_the_persons_own_line)")
    with pytest.raises(CheckpointError) as refused:
        read_checkpoint(io.BytesIO(b""), configuration={})
    assert "test_soundness.py:" in own_place(refused.value)
