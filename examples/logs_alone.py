"""From logs of runs that have been, and no study, to the schedule of the next one.

python logs_alone.py      makes six logs, fits a law to them, asks it for a schedule, and trains with it to see the gain

With logs of your own the two commands that it prints are all; `autosched inspect LOGS` says what is understood of them.
"""

import csv
import math
import pydoc_data.topics
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from autosched import Schedule, build

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 600
PEAK_LRS = (1e-3, 3e-3, 1e-2)
TEXT = torch.tensor([byte % 128 for byte in Path(pydoc_data.topics.__file__).read_bytes()])  # Python's own manual
TRAIN, TEST = TEXT[:-70000], TEXT[-70000:]
OWN = build("cosine", {"peak_lr": 3e-3, "warmup_steps": 30}, steps=STEPS)


def batch(of, count, draw):
    """Eight bytes of a text, and the one after them."""
    rows = of[torch.randint(len(of) - 9, (count, 1), generator=draw) + torch.arange(9)]
    return rows[:, :8], rows[:, 8]


def train(schedule, seed=0):
    """Rows of a log: updates, LR and test loss; every batch is new."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(128, 16), nn.Flatten(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128))
    optimizer = torch.optim.AdamW(model.parameters())
    draw, rows = torch.Generator().manual_seed(seed), []
    test_contexts, test_bytes = batch(TEST, 4096, torch.Generator().manual_seed(1))
    for step, lr in enumerate(schedule.lrs.tolist()):
        optimizer.param_groups[0]["lr"] = lr
        contexts, bytes_after = batch(TRAIN, 128, draw)
        loss = nn.functional.cross_entropy(model(contexts), bytes_after)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 10 == 0:
            with torch.no_grad():
                rows.append((step + 1, lr, nn.functional.cross_entropy(model(test_contexts), test_bytes).item()))
    return rows


def autosched(*arguments):
    """A command of autosched, shown and run."""
    print("$ autosched", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "autosched", *arguments], check=True)  # noqa: S603


torch.set_num_threads(1)
folder = Path("logs")
folder.mkdir(exist_ok=True)
for peak_lr in PEAK_LRS:
    for family in ("cosine", "constant"):
        with (folder / f"{family}-{peak_lr:g}.csv").open("w", newline="") as file:
            log = csv.writer(file)
            log.writerow(("step", "lr", "loss"))
            log.writerows(train(build(family, {"peak_lr": peak_lr, "warmup_steps": 30}, steps=STEPS)))
autosched("fit", str(folder), "--out", "law.json")
bounds = ("--peak-lr-low", str(PEAK_LRS[0]), "--peak-lr-high", str(PEAK_LRS[-1]), "--warmup-steps", "30")
autosched("optimize", "law.json", "--steps", str(STEPS), *bounds, "--out", "schedule.json")

found = Schedule.from_json(Path("schedule.json").read_text())
gains = torch.tensor([train(OWN, seed)[-1][2] - train(found, seed)[-1][2] for seed in (1, 2, 3)])
half = 2.92 * gains.std() / math.sqrt(len(gains))  # Student's t of 2 degrees of freedom, for 90%
print(f"gain {gains.mean():+.4f} nats on 3 fresh seeds (90% interval {gains.mean() - half:+.4f} to", end=" ")
print(f"{gains.mean() + half:+.4f}) over the own cosine, at {STEPS} updates each")
