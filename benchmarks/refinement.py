"""What refining is worth on the built-in GPT: refined, linear and WSD schedules, each at its best of a few peak LRs.

    python benchmarks/refinement.py [--seeds 2] [--peaks 5e-3 1e-2 2e-2 4e-2]

A pilot run (WSD with 20% cooldown, peak 1e-2, 20 updates of warmup, 400 updates, seed 0) gives the l1 norms of its
gradients as means over 10 updates; the refined schedule is made of them as `autosched refine` does. It has no warmup
but what the norms give it, the others 20 updates. Validation losses after 400 updates, nats per byte, mean over seeds.
"""

from __future__ import annotations

import argparse

import numpy as np

from autosched.curves.gradient_norms import GradientNorms
from autosched.laws.refinement import refined_shape
from autosched.schedules.registry import build
from autosched.schedules.schedule import Schedule
from workers.registry import make_trainer

OPTIONS = {"layers": 2, "width": 48, "heads": 4, "context": 48, "batch": 8, "data": "stdlib"}
STEPS, EVERY = 400, 10


def trained(schedule: Schedule, seed: int) -> tuple[float, list[float]]:
    """Final validation loss, and the mean l1 norm of the gradient over every ten updates."""
    trainer = make_trainer("gpt", OPTIONS, seed=seed, horizon=STEPS)
    trainer.start()
    norms = [trainer.train(schedule.lrs[at : at + EVERY])["grad_norm_l1"] for at in range(0, STEPS, EVERY)]
    return trainer.evaluate(), norms


def wsd(cooldown: float, peak_lr: float = 1.0) -> Schedule:
    return build("wsd", {"peak_lr": peak_lr, "warmup_steps": 20, "cooldown_fraction": cooldown}, steps=STEPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--peaks", type=float, nargs="+", default=[5e-3, 1e-2, 2e-2, 4e-2])
    options = parser.parse_args()
    pilot = wsd(0.2, 1e-2)
    steps = np.arange(EVERY, STEPS + 1, EVERY, dtype=np.float64)
    norms = GradientNorms(schedule=pilot, steps=steps, norms=np.array(trained(pilot, 0)[1]), metric="grad_norm_l1")
    shapes = {
        "wsd 20%": wsd(0.2),
        "linear": wsd(1.0),
        "refined": Schedule(refined_shape(norms.on_every_update(STEPS))),
    }
    print(f"{'peak LR':<8}", *(f"{peak:>8g}" for peak in options.peaks))
    for name, shape in shapes.items():
        losses = [
            np.mean([trained(Schedule(peak * shape.lrs), seed)[0] for seed in range(options.seeds)])
            for peak in options.peaks
        ]
        print(f"{name:<8}", *(f"{loss:8.4f}" for loss in losses), flush=True)


if __name__ == "__main__":
    main()
