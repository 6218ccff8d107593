"""A script with Lightning as people have them: a module with dropout and a scheduler of its own.

``lightning_script.py FOLDER`` trains it in two processes, started by Lightning or by torchrun.
"""

import gc
import json
import logging
import sys
import warnings
from pathlib import Path

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autosched.integrations.autolrs import RewindableLoader
from autosched.integrations.lightning import TuneCallback

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    def __init__(self, name="val_loss"):
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))
        self.name, self.lrs = name, []

    def loss(self, batch):
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def training_step(self, batch, index):
        return self.loss(batch)

    def validation_step(self, batch, index):
        self.log(self.name, self.loss(batch), sync_dist=True)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        optimizer.register_step_post_hook(lambda of, *_: self.lrs.append(of.param_groups[0]["lr"]))
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def points(count, seed):
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 4, generator=draw)
    return TensorDataset(inputs, (inputs.prod(dim=1) > 0).long())


def fit(module=None, *, seed=0, validates=True, callbacks=None, **settings):
    """Train 12 updates with the script's own cosine, or what a study says; gives the module and the Trainer."""
    lightning.seed_everything(seed, verbose=False)
    module = module or Module()
    loader = RewindableLoader(DataLoader(points(44, 1), batch_size=4, shuffle=True), seed=seed)  # 11 batches
    tune = TuneCallback()
    trainer = lightning.Trainer(
        max_steps=12, callbacks=[tune] if callbacks is None else callbacks, logger=False, accelerator="cpu",
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **settings,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few workers, few batches
        validation = DataLoader(points(64, 2), batch_size=64) if validates else None
        trainer.fit(module, loader, validation, ckpt_path=tune.checkpoint)
    return module, trainer


class OfRanks(Module):
    """Each process has a dropout of its own."""

    def on_train_start(self):
        torch.manual_seed(100 + self.global_rank)


if __name__ == "__main__":
    torch.set_num_threads(1)
    lightning.seed_everything(0, verbose=False)
    trained, trainer = fit(OfRanks(), devices=2, strategy="ddp")
    weights = [value.detach().tolist() for value in trained.parameters()]
    drawn = float(torch.rand(()))
    said = {"lrs": trained.lrs, "steps": trainer.global_step, "weights": weights, "drawn": drawn}
    Path(sys.argv[1], f"{trainer.global_rank}.json").write_text(json.dumps(said))
    del trained, trainer
    gc.collect()  # networks hold the group
    torch.distributed.destroy_process_group()
