"""The schema of a schedule file, and its reader; apart from `Schedule` because pydantic takes its time to import."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from autosched.errors import ScheduleError
from autosched.json_documents import JsonFault, read_json
from autosched.schedules.registry import build
from autosched.schedules.schedule import FORMAT, FORMAT_VERSION, MADE_VERSION, ParameterValue, Schedule


def _parameter(value: Any) -> ParameterValue:
    numbers = value if isinstance(value, list) else [value]
    if type(value) in (bool, str) or all(type(number) in (int, float) for number in numbers):
        return value  # type: ignore[no-any-return]
    raise ValueError("a number, text, true, false, or a list of numbers")


PlainParameter = Annotated[ParameterValue, PlainValidator(_parameter)]
"""A parameter's value as JSON has it, of the type it is written with."""


class MadeSchedule(BaseModel):
    """What :meth:`autosched.schedules.schedule.Schedule.to_json` writes of a long schedule of a family.

    Format and version come before.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    family: str = "table"
    params: dict[str, PlainParameter] = Field(default_factory=dict)
    steps: int = Field(ge=1)
    fingerprint: str
    hyperparameters: dict[str, PlainParameter] = Field(default_factory=dict)

    def schedule(self) -> Schedule:
        """The schedule, made again; raises ScheduleError."""
        made = build(self.family, self.params, steps=self.steps).beside(self.hyperparameters)
        if self.fingerprint != made.fingerprint:
            raise ScheduleError(
                '"family", "params" and "steps" do not match "fingerprint": the file was edited, or written by a '
                "version with other formulas."
            )
        return made


class ListedSchedule(MadeSchedule):
    """What it writes of any other: every LR, too."""

    lrs: list[float]

    def schedule(self) -> Schedule:
        """The schedule of these LRs; raises ScheduleError."""
        if self.steps != len(self.lrs):
            raise ScheduleError(f'"steps" must be the number of "lrs" ({len(self.lrs)}), but got {self.steps}.')
        schedule = Schedule(np.array(self.lrs), self.family, self.params).beside(self.hyperparameters)
        if self.fingerprint != schedule.fingerprint:
            raise ScheduleError('"lrs" does not match "fingerprint": the file was edited or damaged.')
        return schedule


SCHEMAS: Mapping[int, type[MadeSchedule]] = MappingProxyType(
    {FORMAT_VERSION: ListedSchedule, MADE_VERSION: MadeSchedule}
)


def schedule_from_json(text: str) -> Schedule:
    """Read a schedule file's text; bit-exact.

    Raises:
        ScheduleError: no JSON, not the schema, LRs that are no schedule, or that do not fit `steps` or `fingerprint`.
    """
    try:
        document = read_json(text, SCHEMAS, form=FORMAT)
    except JsonFault as fault:
        where = "" if fault.line is None else f" at line {fault.line}"
        raise ScheduleError(f"not a schedule file{where}: {fault.message}.") from None
    return document.schedule()
