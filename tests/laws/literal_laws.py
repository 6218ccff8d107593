"""Every law's formula, one update after another: slow, plain, and the reference for the fast forms."""

import math

import numpy as np


def warmup(lrs):
    """Updates that rise strictly at the start."""
    count = 1
    while count < len(lrs) and lrs[count] > lrs[count - 1]:
        count += 1
    return count if count > 1 else 0


def drops(lrs, t):
    """Update and size of every LR drop after the warmup among the first t updates."""
    return [(k, lrs[k - 1] - lrs[k]) for k in range(max(warmup(lrs), 1), t)]


def multi_power(law, lrs, t):
    gained = 0.0
    for k, drop in drops(lrs, t):
        x = law.speed * max(lrs[k], 1e-3 * max(lrs)) ** -law.lr_power * sum(lrs[k:t])
        gained += law.drop * drop * (1 - (1 + x) ** -law.saturation)
    return law.floor + law.scale * sum(lrs[:t]) ** -law.exponent - gained


def annealing(law, lrs, t):
    memory = law.memory * len(lrs)
    gained = sum(law.gain * drop * (1 - math.exp(-(t - k) / memory)) for k, drop in drops(lrs, t))
    return law.floor + law.scale * sum(lrs[:t]) ** -law.exponent - gained


def functional(law, lrs, t):
    u, z = max(lrs) / law.reference_lr, lrs / max(lrs)
    tau = np.concatenate([[0.0], np.cumsum(u**law.time_peak_power * z**law.time_power / law.reference_steps)])
    grown = 1 - (1 + law.speed * (tau[t] - tau[: t + 1])) ** -law.saturation
    noise = sum(z[i] ** law.noise_power * (grown[i] - grown[i + 1]) for i in range(t))
    return law.floor + law.scale * tau[t] ** -law.exponent + law.noise * u**law.noise_peak_power * noise


def convex_terms(lrs, grad_norms=None, distance=1.0):
    """The three terms of the bound after the last update, as double loops over LRs above 0."""
    norms = [1.0] * len(lrs) if grad_norms is None else list(grad_norms)
    count, total = len(lrs), sum(lrs)
    start = distance**2 / (2 * total)
    average = sum((lrs[t] * norms[t]) ** 2 for t in range(count)) / (2 * total)
    last = 0.0
    for k in range(count - 1):
        squares = sum((lrs[t] * norms[t]) ** 2 for t in range(k, count))
        last += 0.5 * lrs[k] / sum(lrs[k + 1 :]) * squares / sum(lrs[k:])
    return start, average, last


def convex(law, lrs, t):
    """The least bound over the last update and the last eight places where the LR fell by more than half."""
    retreats = [k for k in range(1, t) if lrs[k] < 0.5 * lrs[k - 1]][-8:]
    bounds = []
    for s in [t, *retreats]:
        start, average, last = convex_terms([lr for lr in lrs[:s] if lr > 0])
        bounds.append((average + last + sum(lrs[s:t]), start))
    noise, start = min(bounds)
    return law.floor + law.approach * start + law.noise * noise


def continual(law, lrs, t):
    first, sign = law.pretraining_steps, 1 if law.effect == "forgetting" else -1
    paid = 0.0
    for k, drop in drops(lrs, t):
        gain = law.pretraining_gain if k < first else law.continual_gain
        paid += gain * drop * (1 - math.exp(-(t - k) / law.memory))
    shift = sign * law.shift * (1 - (1 + law.speed * sum(lrs[first:t])) ** -law.saturation)
    return law.floor + law.scale * sum(lrs[:t]) ** -law.exponent - paid + shift


def power(law, _lrs, t):
    return law.floor + law.scale * t**-law.exponent


def exponential(law, _lrs, t):
    return law.floor + law.drop * math.exp(-t / law.memory)


LITERAL = {
    "multi_power": multi_power,
    "annealing": annealing,
    "functional": functional,
    "convex_bound": convex,
    "continual": continual,
    "power": power,
    "exponential": exponential,
}
