"""The names a space file may use for trainers, controllers and pruners, one list each."""

from __future__ import annotations

TRAINERS: tuple[str, ...] = ("gpt", "vision", "simulated", "command")
"""Built-in trainers; anything else must be ``package.module:Class``."""

CONTROLLERS: tuple[str, ...] = ("law", "tpe", "gp", "random", "qmc", "cmaes", "autolrs")
"""What decides which schedule to train next: the loss law, Optuna samplers by name, or one LR per stage on the fly."""

SELF_PRUNING: tuple[str, ...] = ("autolrs",)
"""Controllers that decide themselves how far a trial goes: beside them the pruner is ``none`` unless one is named."""

PRUNERS: tuple[str, ...] = ("law", "median", "percentile", "asha", "hyperband", "threshold", "none")
"""What stops a trial early: the loss law, Optuna pruners by name, or nothing."""

TRACKING_SCHEMES: tuple[str, ...] = ("sqlite", "postgresql", "mysql", "mssql", "http", "https")
"""Schemes of a tracking URI; ``none`` switches tracking off."""

LEDGER_SCHEMES: tuple[str, ...] = ("sqlite", "postgresql")
"""Schemes of a ledger URL."""
