"""A `Schedule` for Lightning: source code with what ``configure_optimizers`` returns."""

from __future__ import annotations

from autosched.schedules.exports.source_text import python_source
from autosched.schedules.exports.torch_source import TORCH_FUNCTIONS, TORCH_IMPORTS
from autosched.schedules.schedule import Schedule


def to_lightning_source(schedule: Schedule) -> str:
    """Python source for a ``LightningModule``: ``with_schedule(optimizer)`` is what ``configure_optimizers`` returns.

    It needs torch alone, so it fits ``lightning`` and ``pytorch_lightning`` alike. The scheduler's interval is the
    update (``"step"``), not Lightning's default, the epoch.
    """
    return python_source(schedule, usage=_USAGE, imports=TORCH_IMPORTS, code=f"{TORCH_FUNCTIONS.rstrip()}\n{_FUNCTION}")


_USAGE = """
Learning-rate schedule, written by autosched; needs Lightning and torch.

    class Model(lightning.LightningModule):
        def configure_optimizers(self):
            return with_schedule(torch.optim.AdamW(self.parameters(), lr=1.0))

    lightning.Trainer(max_steps=STEPS).fit(Model(), batches)
"""
_FUNCTION = '''

def with_schedule(optimizer):
    """What `configure_optimizers` returns; the scheduler is stepped after every update."""
    scheduler = {"scheduler": make_scheduler(optimizer), "interval": "step", "frequency": 1}
    return {"optimizer": optimizer, "lr_scheduler": scheduler}
'''
