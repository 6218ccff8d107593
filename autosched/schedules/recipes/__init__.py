"""Recipes: the schedules of well-known training codes, by name, counted as those codes count.

A recipe is a family whose parameters have the code's names, but for ``peak_lr`` (what the code calls ``learning_rate``,
``lr`` or ``max_lr``). Its LR at update t = 0, 1, .. is the one the code sets for that update.
"""
