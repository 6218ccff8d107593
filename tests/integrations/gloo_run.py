"""One rank of a distributed AutoLRS run: ``gloo_run.py RANK FOLDER``; writes what the test compares."""

import gc
import hashlib
import json
import math
import sys
from pathlib import Path

import torch.distributed.nn  # before there is a group, which it would hold
from autolrs_loops import NUMBERS, in_shares, loader, make, update
from torch import distributed as dist
from torch import nn

from autosched.integrations.autolrs import AutoLRS, RewindableLoader


def fingerprint(tensors):
    digest = hashlib.sha256()
    for value in tensors:
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()


def train(rank, saved, stop_at):
    """From the start, saving on the way, or on from what was saved."""
    model, optimizer = make()
    network = nn.parallel.DistributedDataParallel(model)
    tuner = AutoLRS(model, optimizer, RewindableLoader(loader()), **NUMBERS)
    torch.manual_seed(100 + rank)  # each rank has a dropout of its own
    if saved.exists():
        tuner.load_state_dict(torch.load(saved, weights_only=True))
    batches, parameters = [], []
    for x, y in tuner.batches():
        batches.append(round(float(x.sum()), 6))
        loss = update(network, optimizer, (x, y))
        if (tuner.work.stage, tuner.work.probe, tuner.position) == (1, 1, 90) and rank == 1:
            loss = loss * math.nan  # only one rank sees it
        tuner.step(loss)
        parameters.append(fingerprint(model.parameters()))
        if tuner.trained == stop_at:
            state = tuner.state_dict()
            if rank == 0:
                torch.save(state, saved)
    return {
        "schedule": tuner.schedule().fingerprint,
        "trained": tuner.trained,
        "parameters": parameters,
        "buffers": fingerprint(model.buffers()),
        "batches": batches,
        "random": float(torch.rand(())),
    }


def main(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    whole = train(rank, folder / "saved.pt", stop_at=60)
    dist.barrier()
    again = train(rank, folder / "saved.pt", stop_at=None)
    Path(folder / f"{rank}.json").write_text(json.dumps([whole, again]))
    Path(folder / f"lrs-{rank}.json").write_text(json.dumps(in_shares(2).lrs.tolist()))
    gc.collect()  # networks hold the group
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
