"""A trainer for autosched: put in your model, data and loss; `autosched check-trainer` says whether it is sound."""

import torch

from autosched.trainer import Diverged, generator, read_checkpoint, write_checkpoint


class MyTrainer:
    def __init__(self, options, *, seed, horizon):  # options: what the space says under `with:`
        self.seed, self.identity = seed, {"seed": seed, **options}
        self.start()

    def start(self):
        torch.manual_seed(self.seed)
        self.model, self.step = torch.nn.Linear(8, 1), 0  # YOUR MODEL
        self.optimizer = torch.optim.AdamW(self.model.parameters())

    def loss(self, *of):  # YOUR DATA, as a function of (seed, update), and YOUR LOSS, which must be above 0
        x = torch.from_numpy(generator(*of).normal(size=(32, 8))).float()
        return 0.1 + torch.nn.functional.mse_loss(self.model(x), x.sum(1, keepdim=True))

    def train(self, lrs):
        losses = []
        for lr in lrs:
            self.optimizer.param_groups[0]["lr"] = float(lr)  # of every group, if there are several
            loss = self.loss(self.seed, self.step)
            if not loss.isfinite():
                raise Diverged(self.step + 1, loss.item(), "the loss is not finite")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step, losses = self.step + 1, [*losses, loss.item()]
        return {"train_loss": sum(losses) / max(1, len(losses))}

    @torch.no_grad()
    def evaluate(self):  # with dropout or batch norm: self.model.eval() before, self.model.train() after
        return self.loss("validation").item()

    def save(self, file):  # all that the next update depends on; of a loader of your own, its state_dict() too
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        write_checkpoint(file, parts, configuration=self.identity)

    def load(self, file):
        parts = read_checkpoint(file, configuration=self.identity)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.step = parts["step"]
