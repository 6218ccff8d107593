"""A space as JSON and back: what the ledger stores and what identifies a space.

The JSON has the keys of the YAML file, nothing left out that has a value, so that the same reader checks both; a
space read from JSON equals the one written, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import yaml

from autosched.errors import SpaceError
from autosched.space.auto_bounds import AUTO, has_auto_bounds
from autosched.space.document import Document
from autosched.space.hyperparameters import divided
from autosched.space.records import (
    Budget,
    Choice,
    Component,
    Confirm,
    FamilySpace,
    Fixed,
    Resources,
    ScheduleSpec,
    SearchParameter,
    Space,
)
from autosched.space.target import target_to_json
from autosched.space.warm_start import warm_start_to_json
from autosched.space.yaml_file import read_space
from autosched.urls import without_secrets


def space_to_json(space: Space) -> dict[str, Any]:
    """The space as plain JSON data; families stand in a list, so that sorting keys loses nothing."""
    result: dict[str, Any] = {
        "study": space.study,
        "seed": space.seed,
        "trainer": {"use": space.trainer.use, "with": _plain(space.trainer.options)},
        **({"objective": dict(space.objective)} if space.objective else {}),
        "horizon_steps": space.horizon_steps,
        "eval_every": space.eval_every,
        "checkpoint_every": space.checkpoint_every,
        **_schedules(space),
        **_hyperparameters(space),
        "controller": _component(space.controller),
        "pruner": _component(space.pruner),
        "budget": _budget(space.budget),
        "resources": _resources(space.resources),
        "storage": {
            "ledger": space.storage.ledger,
            "checkpoints": space.storage.checkpoints,
            "checkpoints_gib": float(space.storage.checkpoints_gib),
            "reports": space.storage.reports,
        },
        "tracking": {"uri": space.tracking.uri, "experiment": space.tracking.experiment},
        "confirm": _confirm(space.confirm),
    }
    if has_auto_bounds(space):
        sweep = space.range_test
        result["range_test"] = {"low": sweep.low, "high": sweep.high, "steps": sweep.steps}
    if space.warm_start:
        result["warm_start"] = [warm_start_to_json(warm) for warm in space.warm_start]
    if space.target is not None:
        result["target"] = target_to_json(space.target)
    if space.default is not None:
        result["default"] = _point(space, space.default)
    return result


def without_secrets_in(space: Mapping[str, Any]) -> dict[str, Any]:
    """A space as JSON data that may be shown: its addresses without what is secret in them."""
    shown = dict(space)
    for section, names in {"storage": ("ledger", "checkpoints"), "tracking": ("uri",)}.items():
        if isinstance(space.get(section), Mapping):
            addresses = {name: without_secrets(str(space[section][name])) for name in names if name in space[section]}
            shown[section] = {**space[section], **addresses}
    return shown


def space_yaml(space: Space) -> str:
    """The whole space as a file that can be tuned again, defaults filled in and secrets left out."""
    return yaml.safe_dump(without_secrets_in(space_to_json(space)), sort_keys=False, allow_unicode=True, width=110)


def space_from_json(data: Mapping[str, Any]) -> Space:
    """Read what :func:`space_to_json` wrote; checks everything a file is checked for.

    Raises:
        SpaceError: any fault, without file and line.
    """
    if not isinstance(data, Mapping):
        raise SpaceError(f"a space must be a JSON object, but got {type(data).__name__}.")
    return read_space(Document(data=data, places={}))


def space_digest(space: Space) -> str:
    """SHA-256 (hex) of the space; equal spaces have equal digests, whatever the order of keys in their files."""
    text = json.dumps(space_to_json(space), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Mappings and sequences as the dicts and lists JSON knows."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _schedules(space: Space) -> dict[str, Any]:
    """The listed candidates, from which the families follow, or else the families."""
    if space.candidates:
        return {"candidates": [_point(space, spec) for spec in space.candidates]}
    return {"schedule": [{family.family: _family(space, family)} for family in space.schedule]}


def _hyperparameters(space: Space) -> dict[str, Any]:
    """In a list, as families, because their order counts; candidates say theirs themselves."""
    if space.candidates or not space.hyperparameters:
        return {}
    return {"hyperparameters": [{name: _parameter(one, beside=True)} for name, one in space.hyperparameters.items()]}


def _point(space: Space, spec: ScheduleSpec) -> dict[str, Any]:
    params, beside = divided(spec.params, space.hyperparameters)
    return {spec.family: _plain(params), **({"hyperparameters": _plain(beside)} if beside else {})}


def _family(space: Space, family: FamilySpace) -> dict[str, Any]:
    own = divided(dict(family.parameters), space.hyperparameters)[0]
    return {name: _parameter(parameter) for name, parameter in own.items()}


def _parameter(parameter: SearchParameter, *, beside: bool = False) -> dict[str, Any]:
    domain = parameter.domain
    result: dict[str, Any]
    if isinstance(domain, Fixed):
        result = {"value": _plain(domain.value)}
    elif isinstance(domain, Choice):
        result = {"choices": _plain(domain.values)}
    else:
        result = {
            "low": AUTO if domain.auto_low else domain.low,
            "high": AUTO if domain.auto_high else domain.high,
            "scale": "log" if domain.log else "linear",
        }
        if beside and domain.integer:
            result["integer"] = True
    if parameter.when:
        result["when"] = _plain(parameter.when)
    return result


def _component(component: Component) -> dict[str, Any]:
    return {"use": component.name, **_plain(component.options)}


def _resources(resources: Resources) -> dict[str, Any]:
    """Without an order that is not given, so that older spaces keep their digests."""
    return {
        "workers": resources.workers,
        "cpus": float(resources.cpus),
        "gpus": float(resources.gpus),
        "retries": resources.retries,
        **({} if resources.order is None else {"order": resources.order}),
    }


def _confirm(confirm: Confirm) -> dict[str, Any]:
    """Without what is not asked for, so that older spaces keep their digests."""
    paid = {"in_budget": True} if confirm.in_budget else {}
    return {"finalists": confirm.finalists, "seeds": confirm.seeds, **paid}


def _budget(budget: Budget) -> dict[str, Any]:
    limits = {
        "trials": budget.trials,
        "steps": budget.steps,
        "minutes": budget.minutes,
        "worker_seconds": budget.worker_seconds,
    }
    worth = {} if budget.stop_when is None else {"stop_when": {"gain_below": budget.stop_when.gain_below}}
    return {name: limit for name, limit in limits.items() if limit is not None} | worth
