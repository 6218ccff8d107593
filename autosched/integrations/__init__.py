"""Parts of autosched for people who stay with their own tuner; each module needs that tuner to import.

``autosched.integrations.optuna``    `LawPruner` for Optuna studies
``autosched.integrations.ray_tune``  `LawScheduler` for Ray Tune
"""
