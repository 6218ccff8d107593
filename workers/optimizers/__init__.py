"""Optimizers of the torch trainers: torch's, our own, and those of ``pytorch-optimizer`` by name.

:mod:`workers.optimizers.registry` has the list; ``docs/reference/optimizers.md`` says what the schedule's LR means
for each.
"""
