"""Worlds small enough to reckon by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from searches.drive import Ticket
from searches.recorded import RecordedWorld
from searches.world import Axis, Run

from autosched.curves.curve import Curve
from autosched.schedules import build

HORIZON = 10


def world_of(finals: Mapping[str, float], *, target: float) -> RecordedWorld:
    """Runs of 10 updates by name, logged after 2, 4, 6 and 8; the lowest final loss wins."""
    runs = []
    for place, (name, final) in enumerate(finals.items()):
        schedule = build("constant", {"peak_lr": 0.1 * (place + 1)}, steps=HORIZON)
        steps = np.array([2.0, 4.0, 6.0, 8.0])
        curve = Curve(schedule=schedule, steps=steps, losses=final + 1 / steps)
        runs.append(
            Run(
                name=name, point={"peak_lr": place}, schedule=schedule, curve=curve, final=final, end=final, truth=final
            )
        )
    return RecordedWorld(
        folder=Path(),
        group="tiny",
        horizon=HORIZON,
        axes=(Axis(name="peak_lr", size=len(runs), ordered=True),),
        runs=tuple(runs),
        target=target,
        winner=min(finals, key=lambda name: finals[name]),
    )


@dataclass(slots=True)
class Scripted:
    """A search that trains runs in a given order and stops some at given updates; it notes what it was shown."""

    world: RecordedWorld
    order: Sequence[str]
    stops: Mapping[str, int] = field(default_factory=dict)
    seen: list[tuple[str, int]] = field(default_factory=list)
    asked: int = 0

    def ask(self) -> Ticket | None:
        if self.asked == len(self.order):
            return None
        self.asked += 1
        name = self.order[self.asked - 1]
        return Ticket(self.asked - 1, next(run for run in self.world.runs if run.name == name))

    def report(self, ticket: Ticket, step: int, loss: float) -> bool:
        self.seen.append((ticket.run.name, step))
        return step != self.stops.get(ticket.run.name)

    def finish(self, ticket: Ticket, final: float) -> None:
        self.seen.append((ticket.run.name, HORIZON))


def recorded_folder(folder: Path) -> Path:
    """Three WSD runs of 100 updates at one peak LR, and a shorter one: cooldowns of 20, 50 and 80 updates.

    The longer the cooldown the better; one more run of this horizon was not measured.
    """
    header = (
        "file,group,schedule,peak_lr,warmup_steps,horizon,cooldown_fraction,decay_shape,final_lr_ratio,full_val_loss"
    )
    ends = {"0.2": 1.5, "0.5": 1.4, "0.8": 1.3}
    rows = [f"{share}.csv,tiny,wsd,0.1,10,100,{share},linear,0,{end}" for share, end in ends.items()]
    rows += ["short.csv,tiny,wsd,0.1,10,50,0.5,linear,0,1.9", "open.csv,tiny,constant,0.1,10,100,,,1.0,"]
    for name, last in {**{f"{share}.csv": 100 for share in ends}, "short.csv": 50, "open.csv": 100}.items():
        lines = [f"{step},,{1.0 + 10 / (step + 10)}" for step in range(0, last, 10)]
        (folder / name).write_text("\n".join(["step,lr,loss", *lines]) + "\n")
    (folder / "runs.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder
