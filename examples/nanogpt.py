"""A script in the manner of nanoGPT, with its schedule, made tunable with checkpoints by six lines, which say so.

python nanogpt.py --data input.txt       trains on a text, or on a .bin of uint16 tokens as nanoGPT prepares them
autosched tune --space nanogpt.yaml      finds a better schedule, and prints the gain over its own
"""

import argparse
import math
import pydoc_data.topics
from pathlib import Path

import numpy as np
import torch
from torch import nn

import autosched  # added

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, default=pydoc_data.topics.__file__, help="default: Python's own manual")
parser.add_argument("--steps", type=int, default=240)
parser.add_argument("--peak-lr", type=float, default=1e-3)
parser.add_argument("--warmup", type=int, default=12)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
CONTEXT, WIDTH, BATCH = 32, 64, 16

if args.data.suffix == ".bin":
    tokens = torch.from_numpy(np.fromfile(args.data, dtype=np.uint16).astype(np.int64))
else:
    tokens = torch.tensor(list(args.data.read_bytes()))
train, test = tokens[: -len(tokens) // 10], tokens[-len(tokens) // 10 :]


class GPT(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, vocabulary)
        self.mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT)

    def forward(self, x, y):
        x = self.blocks(self.tokens(x) + self.places.weight, mask=self.mask, is_causal=True)
        return nn.functional.cross_entropy(self.head(x).flatten(0, 1), y.flatten())


def batch(of, starts):
    rows = of[starts[:, None] + torch.arange(CONTEXT + 1)]
    return rows[:, :-1], rows[:, 1:]


def own_lr(step):
    """Linear warmup, then a cosine down to a tenth."""
    if step < args.warmup:
        return args.peak_lr * (step + 1) / args.warmup
    done = (step - args.warmup) / (args.steps - args.warmup)
    return args.peak_lr * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


torch.manual_seed(args.seed)
model = GPT(int(tokens.max()) + 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=args.peak_lr, betas=(0.9, 0.99), weight_decay=0.1)
test_starts = torch.linspace(0, len(test) - CONTEXT - 1, 128).long()
lr = autosched.attach(optimizer)  # added
lr.load(model, optimizer)  # added

for step in range(lr.start or 0, lr.stop or args.steps):  # changed from: for step in range(args.steps):
    for group in optimizer.param_groups:
        group["lr"] = own_lr(step)
    lr(step)  # added
    loss = model(*batch(train, torch.randint(len(train) - CONTEXT, (BATCH,))))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if (step + 1) % 12 == 0:
        with torch.no_grad():
            print(
                f"step {step + 1}: train loss {loss:.4f}, val loss {model(*batch(test, test_starts)):.6f}", flush=True
            )

lr.save(model, optimizer)  # added
