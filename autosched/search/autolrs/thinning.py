"""Fewer points of the same curve: means over stretches of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autosched.search.autolrs.records import Numbers, Tried


def thinned(steps: Numbers, losses: Numbers, most: int) -> tuple[Numbers, Numbers]:
    """At most `most` points: mean step and mean loss of stretches of (nearly) equally many points.

    Example:
        >>> thinned((0.0, 1.0, 2.0, 3.0), (4.0, 2.0, 3.0, 1.0), 2)
        ((0.5, 2.5), (3.0, 2.0))
    """
    if len(steps) <= most:
        return steps, losses
    parts = [np.array_split(np.asarray(values, dtype=np.float64), most) for values in (steps, losses)]
    means = [tuple(float(part.mean()) for part in split) for split in parts]
    return means[0], means[1]


def short(tried: Tried, most: int) -> Tried:
    """A probe with at most `most` losses and without those of its decay; one that diverged keeps none."""
    tried = replace(tried, decay_losses=())
    if tried.end is None:
        return replace(tried, steps=(), losses=())
    steps, losses = thinned(tried.steps, tried.losses, most)
    return replace(tried, steps=steps, losses=losses)
