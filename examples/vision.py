"""The training of vision_script.py as a class, by which autosched can cut runs, fork them and go on.

autosched check-trainer vision.yaml
autosched tune --space vision.yaml      finds a better schedule than the script's cosine, and prints the gain over it
"""

import torch
from torch import nn
from vision_script import data, network, sgd

from autosched.trainer import key, read_checkpoint, write_checkpoint


class Vision:
    def __init__(self, options, *, seed, horizon):
        self.seed, self.identity = seed, {"seed": seed, **options}
        (self.images, self.labels), self.test = data(options.get("data"))
        self.start()

    def start(self):
        torch.manual_seed(self.seed)
        self.model, self.step = network(), 0
        self.optimizer = sgd(self.model)

    def train(self, lrs):
        total = 0.0
        for lr in lrs:
            self.optimizer.param_groups[0]["lr"] = float(lr)
            draw = torch.Generator().manual_seed(key(self.seed, self.step))
            batch = torch.randint(len(self.images), (64,), generator=draw)
            loss = nn.functional.cross_entropy(self.model(self.images[batch]), self.labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.step, total = self.step + 1, total + loss.item()
        return {"train_loss": total / max(1, len(lrs))}

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()  # batch norm by its running means, which stay as they are
        loss = nn.functional.cross_entropy(self.model(self.test[0]), self.test[1])
        self.model.train()
        return loss.item()

    def save(self, file):  # the running means are in the model's state
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        write_checkpoint(file, parts, configuration=self.identity)

    def load(self, file):
        parts = read_checkpoint(file, configuration=self.identity)
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.step = parts["step"]
