"""Which trainer a space uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSpec:
    """Which trainer to use and its options, as plain JSON data.

    Attributes:
        use: ``gpt``, ``vision``, ``simulated`` or ``package.module:Class``.
        options: keyword arguments of the trainer; JSON values only.
    """

    use: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> str:
        """The same text for the same configuration, whatever the order of its keys."""
        return json.dumps({"use": self.use, "with": dict(self.options)}, sort_keys=True, separators=(",", ":"))
