"""Use the schedule that `autosched tune` found in a training loop of your own::

    python use_schedule.py reports/own-trainer/schedule.json

What makes an LR the best one belongs to your model and your data, so tune on them; this model is only a stand-in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from autosched.schedules import Schedule, to_lambda_lr


def train(schedule: Schedule) -> list[float]:
    """Fit a sine, one update for each LR of the schedule; the losses."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)  # 1.0 stands for "the schedule's LR"; see to_lambda_lr
    scheduler = to_lambda_lr(schedule, optimizer)
    losses = []
    for step in range(schedule.steps):
        x = 6.0 * torch.rand(64, 1) - 3.0
        loss = nn.functional.mse_loss(model(x), x.sin())
        optimizer.zero_grad()
        loss.backward()
        if step % 50 == 0 or step == schedule.steps - 1:
            print(f"update {step}: lr {scheduler.get_last_lr()[0]:.6g}, loss {loss.item():.4f}")
        optimizer.step()
        scheduler.step()  # after every update, not after every epoch
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    train(Schedule.from_json(Path(sys.argv[1]).read_text()))
