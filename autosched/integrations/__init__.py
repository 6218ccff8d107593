"""Parts of autosched for people who stay with their own tuner or training loop; those for a tuner need it to import.

``autosched.integrations.autolrs``   `AutoLRS` for a training loop, which finds the LR on the fly
``autosched.integrations.optuna``    `LawPruner` for Optuna studies
``autosched.integrations.ray_tune``  `LawScheduler` for Ray Tune
"""
