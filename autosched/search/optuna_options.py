"""Options a space file may give to Optuna's samplers and pruners, each with its rule.

Optuna itself checks few of them when a sampler is made: most faults would show in the middle of a study.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autosched.errors import SpaceError
from autosched.space.section import closest, is_number


@dataclass(frozen=True, slots=True)
class Rule:
    """What an option may be; `text` follows "must be"."""

    text: str
    allows: Callable[[Any], bool]


def _whole(low: int) -> Rule:
    return Rule(
        f"a whole number >= {low}", lambda value: isinstance(value, int) and is_number(value) and bool(value >= low)
    )


_FLAG = Rule("true or false", lambda value: isinstance(value, bool))
_NUMBER = Rule("a finite number", is_number)
_PERCENTAGE = Rule("a number in [0, 100]", lambda value: is_number(value) and 0 <= value <= 100)
_SEQUENCE = Rule("one of sobol, halton", lambda value: value in ("sobol", "halton"))
_POINTS_SEEN = {"n_startup_trials": _whole(0), "n_warmup_steps": _whole(0), "interval_steps": _whole(1)}

SAMPLER_OPTIONS: Mapping[str, Mapping[str, Rule]] = {
    "tpe": {
        "n_startup_trials": _whole(0),
        "n_ei_candidates": _whole(1),
        "multivariate": _FLAG,
        "group": _FLAG,
        "constant_liar": _FLAG,
    },
    "gp": {"n_startup_trials": _whole(1), "deterministic_objective": _FLAG},
    "random": {},
    "qmc": {"qmc_type": _SEQUENCE, "scramble": _FLAG},
    "cmaes": {
        "n_startup_trials": _whole(1),
        "popsize": Rule("a whole number in [4, 100]", lambda value: _whole(4).allows(value) and value <= 100),
        "use_separable_cma": _FLAG,
        "with_margin": _FLAG,
        "lr_adapt": _FLAG,
    },
}
"""By the sampler's name in a space file. Seeds are not here: every ask has its own, made from the study's."""

PRUNER_OPTIONS: Mapping[str, Mapping[str, Rule]] = {
    "median": {**_POINTS_SEEN, "n_min_trials": _whole(1)},
    "percentile": {**_POINTS_SEEN, "n_min_trials": _whole(1), "percentile": _PERCENTAGE},
    "asha": {
        "min_resource": _whole(1),
        "reduction_factor": _whole(2),
        "min_early_stopping_rate": _whole(0),
        "bootstrap_count": _whole(0),
    },
    "hyperband": {
        "min_resource": _whole(1),
        "max_resource": _whole(1),
        "reduction_factor": _whole(2),
        "bootstrap_count": _whole(0),
    },
    "threshold": {
        "lower": _NUMBER,
        "upper": _NUMBER,
        "n_warmup_steps": _whole(0),
        "interval_steps": _whole(1),
    },
}
"""By the pruner's name in a space file; resources and steps are updates."""


def made(what: str, maker: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """A sampler or pruner of Optuna, without its warnings.

    Raises:
        SpaceError: a value that it refuses.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return maker(**options)
        except (TypeError, ValueError) as error:
            raise SpaceError(f"{what}: {error}") from None


def check_options(what: str, options: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Check every option against its rule.

    Args:
        what: what the options belong to, e.g. ``controller 'tpe'``.

    Raises:
        SpaceError: an unknown name, or a value that its rule does not allow.
    """
    for name, value in options.items():
        if name not in rules:
            allowed = f"it has {', '.join(rules)}" if rules else "it has none"
            raise SpaceError(f"{what} has no option {name!r}; {allowed}{closest(name, rules) or '.'}")
        if not rules[name].allows(value):
            raise SpaceError(f"{what}: {name} must be {rules[name].text}, but got {value!r}.")
