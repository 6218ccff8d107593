"""What the torch trainers' loop costs beside a bare loop of the same model, in processor time.

    OMP_NUM_THREADS=1 python benchmarks/loop.py [--widths 64 384] [--blocks 20] [--json]

The bare loop is what a person writes: the same model, batches, AdamW and clipping, and the mean loss of a block. The
trainer's also seeds each update's random numbers, keeps each loss and both gradient norms, and sums the weights for
merged losses. Both run in one process, in turns: a block of updates of the one, then of the other, each first every
second time. The ratio of each pair of blocks counts once; their median is the result, which other work on the machine
moves little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmark_command import ended, whole

from autosched.compare.table import aligned
from workers.data import open_corpus
from workers.gpt import Gpt, GptOptions, GptTrainer

LR, SEED = 1e-3, 0
FAR = 1_000_000
"""A horizon that no run here comes to."""
UPDATES = 20
"""Of a block: what lies between two evaluations of the demo, after which the trainer reads its losses."""


def bare_loop(options: GptOptions) -> Callable[[], float]:
    """A block of plain updates; its mean loss."""
    length = options.context + 1
    corpus = open_corpus(options.data, vocabulary=None, length=length)
    model = Gpt(options, corpus.vocabulary, seed=SEED)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=options.betas, weight_decay=options.weight_decay)
    done = 0

    def block() -> float:
        nonlocal done
        model.train()
        total = torch.zeros(())
        for _ in range(UPDATES):
            windows = corpus.training_windows(seed=SEED, step=done, batch=options.batch, length=length)
            tokens = torch.from_numpy(windows)
            logits = model(tokens[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            optimizer.step()
            total += loss.detach()
            done += 1
        return float(total) / UPDATES

    return block


def trainer_loop(options: dict[str, Any]) -> Callable[[], float]:
    """The same block by the trainer, as a study asks for it; its mean loss."""
    trainer = GptTrainer(options, seed=SEED, horizon=FAR)
    trainer.start()
    lrs = np.full(UPDATES, LR)
    return lambda: trainer.train(lrs)["train_loss"]


def ratios(width: int, blocks: int) -> list[float]:
    """Processor time of the trainer's blocks over that of the bare loop's, pair by pair."""
    options = {"width": width, "device": "cpu", "dtype": "float32"}
    loops = [bare_loop(GptOptions(**options)), trainer_loop(options)]
    for loop in loops:
        loop()
    found = []
    for block in range(blocks):
        seconds = [0.0, 0.0]
        for which in (0, 1) if block % 2 else (1, 0):
            began = time.process_time()
            loops[which]()
            seconds[which] = time.process_time() - began
        found.append(seconds[1] / seconds[0])
    return found


def measured(widths: Sequence[int], blocks: int) -> tuple[dict[str, Any], list[str]]:
    """All widths, as JSON data and as lines."""
    rows = []
    for width in widths:
        low, median, high = statistics.quantiles(ratios(width, blocks), n=4)
        rows.append({"width": width, "ratio": median, "low": low, "high": high})
    document = {"rows": rows, "blocks": blocks, "threads": torch.get_num_threads(), "torch": torch.__version__}
    lines = [(str(row["width"]), f"{row['ratio']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}") for row in rows]
    return document, list(aligned(("width", "trainer over bare loop", "quartiles"), lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--widths", type=whole, nargs="+", default=[64, 384], help="Of the model.")
    parser.add_argument("--blocks", type=whole, default=20, help="Pairs of blocks of each width.")
    parser.add_argument("--json", action="store_true", help="Print one JSON document.")
    given = parser.parse_args(arguments)
    return ended(lambda: measured(given.widths, given.blocks), as_json=given.json)


if __name__ == "__main__":
    raise SystemExit(main())
