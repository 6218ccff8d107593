"""Which trainer a space uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

FIELDS = "hyperparameters"
"""Option of a command: values of the fields ``{name}`` that are its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSpec:
    """Which trainer to use and its options, as plain JSON data.

    Attributes:
        use: ``gpt``, ``vision``, ``simulated``, ``command`` or ``package.module:Class``.
        options: keyword arguments of the trainer; JSON values only.
        fingerprints: of the code and data behind the name, see :mod:`autosched.trainer.fingerprints`. Found when a
            study begins, and no part of a space file.
        objective: weights by the name of a validation loss, of the sum that schedules are judged by; empty for the
            trainer's only or first loss.
    """

    use: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    objective: Mapping[str, float] = field(default_factory=dict)

    @property
    def resumes(self) -> bool:
        """Whether a run can go on from a checkpoint: every trainer's can, but that of a command that names none."""
        if self.use != "command":
            return True
        return self.options.get("checkpoints") is True or "{checkpoint_in}" in str(self.options)

    @property
    def own_hyperparameters(self) -> Mapping[str, Any]:
        """The options that may be tuned: all, but of a command the values of its own fields."""
        found: Mapping[str, Any] = self.options.get(FIELDS, {}) if self.use == "command" else self.options
        return found if isinstance(found, Mapping) else {}

    def beside(self, hyperparameters: Mapping[str, Any]) -> TrainerSpec:
        """The trainer with these hyperparameters over its own options; itself when there are none."""
        if not hyperparameters:
            return self
        together = {**self.own_hyperparameters, **hyperparameters}
        if self.use == "command":
            together = {**self.options, FIELDS: together}
        return replace(self, options=together)

    def canonical(self) -> str:
        """The same text for the same configuration, code and data, whatever the order of its keys."""
        parts = {"use": self.use, "with": dict(self.options)}
        if self.fingerprints:  # without, the text is that of earlier versions, and so are the identities made of it
            parts["fingerprints"] = dict(self.fingerprints)
        if self.objective:
            parts["objective"] = dict(self.objective)
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))
