"""AutoLRS in an ordinary PyTorch loop: handwritten digits, a small network (docs/how-to/autolrs-loop.md).

python autolrs_loop.py [checkpoint.pt]          goes on from the checkpoint when it was stopped
torchrun --nproc-per-node 2 autolrs_loop.py     the same batches, half of each on either process
"""

import gc
import os
import sys
from pathlib import Path

import torch.distributed.nn  # here, not by DDP later: it keeps hold of a group that is there when it is imported
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from autosched.integrations.autolrs import AutoLRS, RewindableLoader, Settings

images, labels = load_digits(return_X_y=True)
examples = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))


def main(checkpoint):
    """Train; checkpoint: a file to go on from, or to be written."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.1), nn.Linear(12, 10))
    network = nn.parallel.DistributedDataParallel(model) if torch.distributed.is_initialized() else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    share = 64 // int(os.environ.get("WORLD_SIZE", "1"))
    loader = RewindableLoader(DataLoader(examples, batch_size=share, shuffle=True, drop_last=True))
    tuner = AutoLRS(model, optimizer, loader, settings=Settings.far_sighted(1e-3, 0.3, 600, first_stage=200))
    if checkpoint.exists():
        tuner.load_state_dict(torch.load(checkpoint, weights_only=True))
    for x, y in tuner.batches():
        loss = nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tuner.step(loss)
        if tuner.trained % 50 == 0:
            save(tuner.state_dict(), checkpoint)
    model.eval()
    final = nn.functional.cross_entropy(model(examples.tensors[0]), examples.tensors[1])
    print(f"{tuner.failure or tuner.schedule().describe()}: loss {final:.9f} after {tuner.trained} updates, done")


def save(state, path):
    """Write a whole file or none."""
    if os.environ.get("RANK", "0") == "0":
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)


if __name__ == "__main__":
    if "RANK" in os.environ:
        torch.distributed.init_process_group("gloo")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "autolrs_loop.pt"))
    if torch.distributed.is_initialized():
        gc.collect()  # a group that is still held has threads, and may abort when Python ends
        torch.distributed.destroy_process_group()
