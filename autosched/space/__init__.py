"""The search space: a YAML file as typed, checked data."""

from autosched.space.draw import draw
from autosched.space.json_form import space_digest, space_from_json, space_to_json
from autosched.space.membership import (
    active_parameters,
    build_schedule,
    can_branch,
    contains,
    domain_contains,
)
from autosched.space.records import (
    Budget,
    Choice,
    Component,
    Confirm,
    Domain,
    FamilySpace,
    Fixed,
    Range,
    Resources,
    ScheduleSpec,
    SearchParameter,
    Space,
    Storage,
    Tracking,
)
from autosched.space.trainer_spec import TrainerSpec
from autosched.space.yaml_file import load_space

__all__ = [
    "Budget",
    "Choice",
    "Component",
    "Confirm",
    "Domain",
    "FamilySpace",
    "Fixed",
    "Range",
    "Resources",
    "ScheduleSpec",
    "SearchParameter",
    "Space",
    "Storage",
    "Tracking",
    "TrainerSpec",
    "active_parameters",
    "build_schedule",
    "can_branch",
    "contains",
    "domain_contains",
    "draw",
    "load_space",
    "space_digest",
    "space_from_json",
    "space_to_json",
]
