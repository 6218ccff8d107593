"""A study's space as a file that can be tuned again."""

from __future__ import annotations

import yaml

from autosched.space import space_to_json
from autosched.space.json_form import without_secrets_in
from autosched.space.records import Space


def space_yaml(space: Space) -> str:
    """The whole space, defaults filled in and secrets left out."""
    return yaml.safe_dump(without_secrets_in(space_to_json(space)), sort_keys=False, allow_unicode=True, width=110)
