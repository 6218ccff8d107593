"""Optimizers of the torch trainers: AdamW, SGD, and the methods that choose or adapt the LR themselves.

:mod:`workers.optimizers.registry` has the list; ``docs/reference/optimizers.md`` says what the schedule's LR means
for each.
"""
