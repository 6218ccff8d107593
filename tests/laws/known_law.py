"""The law that made-up runs obey where a test must know how they end."""

from autosched.laws.functional import FunctionalLaw

LAW = FunctionalLaw(
    floor=1.7,
    scale=0.55,
    exponent=0.45,
    noise=0.25,
    noise_power=0.8,
    noise_peak_power=0.6,
    time_power=0.7,
    time_peak_power=0.4,
    speed=3.0,
    saturation=0.8,
    reference_lr=0.01,
    reference_steps=100.0,
)
