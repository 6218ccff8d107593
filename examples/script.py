"""A training script as people have them, with a cosine schedule of its own, made tunable by three lines.

python script.py                       trains with the script's own schedule
autosched tune --space script.yaml     finds a better one, and prints the gain over it
"""

import argparse
import math

import torch
from torch import nn

import autosched  # added

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--peak-lr", type=float, default=3e-3)
parser.add_argument("--warmup", type=int, default=15)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()


def data(count, seed):
    """Points of a spiral with two arms, and the arm of each."""
    draw = torch.Generator().manual_seed(seed)
    arm = torch.randint(2, (count,), generator=draw)
    way = 3 * torch.rand(count, generator=draw).sqrt()
    angle = 2 * way + math.pi * arm + 0.2 * torch.randn(count, generator=draw)
    return torch.stack([way * angle.cos(), way * angle.sin()], dim=1), arm


def own_lr(step):
    """Linear warmup, then a cosine down to zero."""
    if step < args.warmup:
        return args.peak_lr * (step + 1) / args.warmup
    done = (step - args.warmup) / (args.steps - args.warmup)
    return args.peak_lr * 0.5 * (1 + math.cos(math.pi * done))


torch.manual_seed(args.seed)
model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.AdamW(model.parameters(), lr=args.peak_lr)
inputs, targets = data(4096, seed=1)
test_inputs, test_targets = data(4096, seed=2)
order = torch.Generator().manual_seed(args.seed)
lr = autosched.attach(optimizer)  # added

for step in range(args.steps):
    for group in optimizer.param_groups:
        group["lr"] = own_lr(step)
    lr(step)  # added: in a study, the LR to try instead
    batch = torch.randint(len(inputs), (64,), generator=order)
    loss = nn.functional.cross_entropy(model(inputs[batch]), targets[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (step + 1) % 15 == 0:
        with torch.no_grad():
            test_loss = nn.functional.cross_entropy(model(test_inputs), test_targets)
        print(f"step {step + 1} train loss {loss:.4f} test loss {test_loss:.6f}", flush=True)
