"""A `Schedule` for Hugging Face's ``Trainer``: source code of a scheduler to pass in, and the native arguments."""

from __future__ import annotations

from autosched.schedules.exports.source_text import python_source
from autosched.schedules.exports.torch_source import TORCH_FUNCTIONS, TORCH_IMPORTS
from autosched.schedules.exports.trainer_arguments import trainer_arguments
from autosched.schedules.schedule import Schedule


def to_huggingface_source(schedule: Schedule) -> str:
    """Python source for ``Trainer(optimizers=(optimizer, make_scheduler(optimizer)))``, to the last bit of float64.

    Where ``Trainer`` has the schedule itself, equal to float32, the source also has ``NATIVE``, keywords for
    ``TrainingArguments`` with which no code is needed. Where it has not, ``NATIVE`` is None and a comment names the
    nearest arguments and how far off they are.
    """
    code = f"{_native(schedule)}\n\n{TORCH_FUNCTIONS.rstrip()}"
    return python_source(schedule, usage=_USAGE, imports=TORCH_IMPORTS, code=code)


def _native(schedule: Schedule) -> str:
    found = trainer_arguments(schedule)
    if found is None:
        return "NATIVE = None  # no LR above 0"
    settings = [f"    {name!r}: {value!r}," for name, value in found.arguments.settings().items()]
    if found.equal:
        return "\n".join(
            ["# Equal to float32, without any code: TrainingArguments(**NATIVE)", "NATIVE = {", *settings, "}"]
        )
    off = f"{found.share:.2g} of the peak LR, at update {found.step}"
    comment = [
        "# Trainer has no arguments that give these LRs. The nearest are off by up to",
        f"# {off}:",
        *(f"# {line}" for line in settings),
    ]
    if found.arguments.warmup_steps and found.step < found.arguments.warmup_steps:
        comment.append("# Trainer's warmup is t / warmup_steps at update t, which autosched calls warmup_shape: ramp.")
    return "\n".join([*comment, "NATIVE = None"])


_USAGE = """
Learning-rate schedule, written by autosched; needs torch, and fits Hugging Face's Trainer.

    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.0)
    arguments = TrainingArguments(max_steps=STEPS, ...)
    Trainer(model, arguments, optimizers=(optimizer, make_scheduler(optimizer)), ...).train()
"""
