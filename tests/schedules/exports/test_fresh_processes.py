"""Every exported source runs in a process of its own, in the real framework, and gives the schedule's LRs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autosched.schedules import Schedule
from autosched.schedules.exports.trainer_arguments import trainer_arguments

NAMES = ("constant", "warm", "linear", "cosine", "wsd", "exponential", "zero")
MODULES = f"import importlib\nmodules = [importlib.import_module(f'exported_{{name}}') for name in {NAMES!r}]\n"


@pytest.fixture
def lrs(schedules: dict[str, Schedule]) -> list[list[float]]:
    assert tuple(schedules) == NAMES
    return [schedule.lrs.tolist() for schedule in schedules.values()]


def in_float32(lrs: list[list[float]]) -> list[list[float]]:
    return [np.asarray(row, np.float32).tolist() for row in lrs]


@pytest.mark.slow
def test_torch_alone_gives_every_lr_to_the_last_bit(isolated: Any, lrs: list[list[float]]) -> None:
    script = """
import torch
for module in modules:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=0.7)
    scheduler = module.make_scheduler(optimizer)
    seen = []
    for _ in range(module.STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    tell(seen)
"""
    assert isolated("torch", ["torch"], MODULES + script) == lrs


TRAINER = """
import torch, transformers
transformers.logging.set_verbosity_error()

class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
    def forward(self, x, labels=None):
        return {"loss": ((self.weight * x - labels) ** 2).mean()}

class Watch(transformers.TrainerCallback):
    def __init__(self):
        self.lrs = []
    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **others):
        self.lrs.append(optimizer.param_groups[0]["lr"])

def train(optimizers, **arguments):
    watch, data = Watch(), [{"x": torch.ones(1), "labels": torch.zeros(1)}] * 8
    args = transformers.TrainingArguments(
        "out", use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
        per_device_train_batch_size=4, **arguments
    )
    model = Model()
    pair = optimizers(model) if optimizers else (None, None)
    transformers.Trainer(model, args, train_dataset=data, optimizers=pair, callbacks=[watch]).train()
    tell(watch.lrs)

for module in modules:
    def optimizers(model):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
        return optimizer, module.make_scheduler(optimizer)
    train(optimizers, max_steps=module.STEPS)
for module in modules:
    if module.NATIVE is not None:
        train(None, **module.NATIVE)
"""


@pytest.mark.slow
def test_hugging_face_trainer_uses_every_lr_with_the_scheduler_and_with_its_own_arguments(
    isolated: Any, lrs: list[list[float]], schedules: dict[str, Schedule]
) -> None:
    told = isolated(
        "huggingface", ["transformers", "accelerate", "torch"], MODULES + TRAINER, env={"HF_HUB_OFFLINE": "1"}
    )
    assert told[: len(NAMES)] == lrs
    fits = {name: trainer_arguments(schedule) for name, schedule in schedules.items()}
    native = [name for name, fit in fits.items() if fit is not None and fit.equal]
    assert native == ["constant", "warm", "cosine"]
    assert len(told) == len(NAMES) + len(native)
    for name, seen in zip(native, told[len(NAMES) :], strict=True):
        np.testing.assert_allclose(seen, schedules[name].lrs, rtol=2**-24, atol=0)


@pytest.mark.slow
def test_lightning_uses_every_lr(isolated: Any, lrs: list[list[float]]) -> None:
    script = """
import logging, warnings
warnings.simplefilter("ignore")
import lightning, torch
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

class Model(lightning.LightningModule):
    def __init__(self, module):
        super().__init__()
        self.weight, self.exported, self.seen = torch.nn.Parameter(torch.ones(1)), module, []
    def training_step(self, batch, index):
        return (self.weight * batch).square().mean()
    def on_before_optimizer_step(self, optimizer):
        self.seen.append(optimizer.param_groups[0]["lr"])
    def configure_optimizers(self):
        return self.exported.with_schedule(torch.optim.AdamW(self.parameters(), lr=1.0))

batches = torch.utils.data.DataLoader(torch.ones(12, 1), batch_size=4)  # 3 updates an epoch
for module in modules:
    model = Model(module)
    lightning.Trainer(
        max_steps=module.STEPS, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(model, batches)
    tell(model.seen)
"""
    assert isolated("lightning", ["lightning"], MODULES + script) == lrs


KERAS = """
import os, keras, numpy
assert keras.backend.backend() == os.environ["KERAS_BACKEND"]

class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lrs = []
    def on_train_batch_begin(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.lrs.append(float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))

x = numpy.ones((4 * modules[0].STEPS, 1), "float32")
for module in modules:
    optimizer = keras.optimizers.SGD(learning_rate=module.Schedule())
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))  # as a saved model does
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizer=optimizer, loss="mse")
    watch = Watch()
    model.fit(x, x, batch_size=4, verbose=0, callbacks=[watch])
    tell(watch.lrs)
    tell([optimizer.learning_rate])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "packages"), [("torch", ["keras", "torch"]), ("jax", ["keras", "jax"])])
def test_keras_uses_every_lr_and_none_after_the_end(
    isolated: Any, lrs: list[list[float]], backend: str, packages: list[str]
) -> None:
    told = isolated("keras", packages, MODULES + KERAS, env={"KERAS_BACKEND": backend})
    assert told[::2] == in_float32(lrs)
    assert told[1::2] == [[0.0]] * len(NAMES)


@pytest.mark.slow
def test_optax_uses_every_lr_in_a_compiled_loop_and_none_after_the_end(isolated: Any, lrs: list[list[float]]) -> None:
    script = """
import jax, jax.numpy as jnp, optax
for module in modules:
    optimizer = optax.sgd(module.lr_at)
    @jax.jit
    def train(weight):
        def update(state, _):
            updates, state = optimizer.update(jnp.ones(()), state)
            return state, -updates
        return jax.lax.scan(update, optimizer.init(weight), length=module.STEPS + 2)[1]
    tell(train(jnp.ones(())))
"""
    assert isolated("optax", ["optax"], MODULES + script) == [[*row, 0.0, 0.0] for row in in_float32(lrs)]
