"""Multi-Power Law parameters as their authors published them (thu-yao-01-luo/MultiPowerLaw, arXiv:2503.12811).

GPT models of 25M, 100M and 400M parameters, peak LR 3e-4, warmup 2,160 updates; losses in nats per token. The authors'
code lets warmup take part in the sum of drops, so these have ``warmup_drops=True``; laws fitted here do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autosched.laws.multi_power import MultiPowerLaw

PUBLISHED: Mapping[str, MultiPowerLaw] = MappingProxyType(
    {
        "25M": MultiPowerLaw(
            floor=3.04045,
            scale=0.52469,
            exponent=0.50787,
            drop=363.788,
            speed=2.06561,
            saturation=0.58279,
            lr_power=0.64142,
            warmup_drops=True,
        ),
        "100M": MultiPowerLaw(
            floor=2.65145,
            scale=0.60115,
            exponent=0.45296,
            drop=437.946,
            speed=2.13246,
            saturation=0.59785,
            lr_power=0.65524,
            warmup_drops=True,
        ),
        "400M": MultiPowerLaw(
            floor=2.37474,
            scale=0.65421,
            exponent=0.42879,
            drop=523.425,
            speed=2.02463,
            saturation=0.59350,
            lr_power=0.63472,
            warmup_drops=True,
        ),
    }
)
"""By model size."""
