"""A script for `torchrun`, made tunable by three lines, which say so.

torchrun --nproc-per-node 2 distributed.py       trains with the script's own schedule
autosched tune --space distributed.yaml          finds a better one, and prints the gain over it
"""

import argparse
import math

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn

import autosched  # added

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

distributed.init_process_group("gloo")
rank, ranks = distributed.get_rank(), distributed.get_world_size()
torch.set_num_threads(1)
pixels, labels = load_digits(return_X_y=True)
pixels, labels = torch.tensor(pixels).float() / 16, torch.tensor(labels)
train, test = slice(rank, 1297, ranks), slice(1297, None)  # each rank has a part of its own
torch.manual_seed(args.seed)
network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
model = nn.parallel.DistributedDataParallel(network)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
order = torch.Generator().manual_seed(args.seed)
lr = autosched.attach(optimizer)  # added

for step in range(args.steps):
    optimizer.param_groups[0]["lr"] = 5e-4 * (1 + math.cos(math.pi * step / args.steps))
    lr(step)  # added: on all ranks
    batch = torch.randint(len(pixels[train]), (16,), generator=order)
    loss = nn.functional.cross_entropy(model(pixels[train][batch]), labels[train][batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if (step + 1) % 20 == 0:
        with torch.no_grad():
            test_loss = nn.functional.cross_entropy(network(pixels[test]), labels[test])
        if rank == 0:
            print(f"step {step + 1} test loss {test_loss:.4f}", flush=True)

distributed.destroy_process_group()
