"""A model whose best LR is known: SGD on an isotropic quadratic with gradient noise, and the loop that trains it.

    x <- x - lr (x + noise z),  z ~ N(0, 1) in every dimension,   loss = 1 + |x|^2 / (2 dimensions) + scatter

Only r = |x|^2 / dimensions is carried: it is all that the loss depends on, and its law is exact::

    r' = (1 - lr)^2 r - 2 (1 - lr) lr noise sqrt(r / dimensions) g + lr^2 noise^2 c / dimensions

with g standard normal and c = g^2 + chi-squared of the other dimensions. Both belong to an update's number, so probes
see the same batches.
"""

from dataclasses import dataclass

import numpy as np

from autosched.search.autolrs import Finished, Seen, State, Work, ask, tell


@dataclass
class NoisyQuadratic:
    seed: int
    updates: int
    dimensions: int = 10_000
    noise: float = 10.0
    scatter: float = 0.002

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.g = rng.standard_normal(self.updates)
        self.c = self.g**2 + rng.chisquare(self.dimensions - 1, self.updates)
        self.scattered = self.scatter * rng.standard_normal(self.updates)

    def train(self, r, work):
        """r after some work, and the loss before each of its updates."""
        losses = []
        for i, lr in zip(range(work.start, work.stop), work.lrs.tolist(), strict=True):
            losses.append(1 + r / 2 + self.scattered[i])
            cross = 2 * (1 - lr) * lr * self.noise * np.sqrt(r / self.dimensions) * self.g[i]
            r = (1 - lr) ** 2 * r - cross + lr**2 * self.noise**2 * self.c[i] / self.dimensions
        return r, losses

    def expected(self, r, lr, updates):
        """Expected loss after some updates at one LR, exact."""
        shrink = (1 - lr) ** 2
        level = lr**2 * self.noise**2 * (1 - shrink**updates) / (1 - shrink)
        return 1 + 0.5 * (shrink**updates * r + level)

    def best_lr(self, r, low, high, updates):
        """The LR with the least expected loss after some updates."""
        lrs = np.geomspace(low, high, 2000)
        return float(lrs[np.argmin([self.expected(r, lr, updates) for lr in lrs])])


def run(settings, quadratic, r=4.0, state=None):
    """Train to the end, sequentially; yields (work, its r at the start, the state before) and returns the state."""
    state, ends = state or State(), {}
    while not isinstance(work := ask(settings, state), Finished):
        assert isinstance(work, Work)
        begin = ends[work.probe] if work.kind == "decay" or (work.kind == "commit" and settings.reuse) else r
        yield work, r, state
        end, losses = quadratic.train(begin, work)
        if work.kind == "probe":
            ends[work.probe] = end
        elif work.kind != "decay":
            r, ends = end, {}
        steps = tuple(float(step) for step in range(work.start, work.stop))
        state = tell(settings, state, work, Seen(updates=work.updates, steps=steps, losses=tuple(losses)))
    yield None, r, state
