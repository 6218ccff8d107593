"""What studies that run on one Ray cluster leave each other.

Each worker of a study is a named actor, and its name says which study's it is and what that study asks for. So Ray's
list of named actors tells every driver what all ask for, and each works out the same shares from it: nothing else is
kept anywhere, and what a killed driver asked for goes with its actors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.ray_cluster import ROUNDING, room

NAMESPACE = "autosched"
"""Of the actors in Ray, whatever namespaces their drivers are in."""
_NAME = re.compile(r"(?P<study>\w+)/(?P<workers>\d+)x(?P<cpus>[\d.e-]+)x(?P<gpus>[\d.e-]+)/\d+")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a running study asks of a cluster.

    Attributes:
        study: tells its driver from all others.
        workers: that it would have if it were alone.
        cpus, gpus: of each.
    """

    study: str
    workers: int
    cpus: float
    gpus: float

    def name(self, number: int) -> str:
        """Of the study's actor of this number."""
        return f"{self.study}/{self.workers}x{self.cpus}x{self.gpus}/{number}"

    def room(self, nodes: Iterable[Mapping[str, Any]]) -> int:
        """Workers of its size that these nodes hold, when nothing else is on them."""
        return room(nodes, cpus=self.cpus, gpus=self.gpus)


def claims(named: Iterable[Mapping[str, str]]) -> set[Claim]:
    """What studies ask for, from Ray's list of named actors; those of others tell nothing."""
    names = [_NAME.fullmatch(actor["name"]) for actor in named if actor["namespace"] == NAMESPACE]
    return {
        Claim(found["study"], int(found["workers"]), float(found["cpus"]), float(found["gpus"]))
        for found in names
        if found is not None
    }


def fair_share(own: Claim, others: Collection[Claim], nodes: Collection[Mapping[str, Any]]) -> int:
    """Workers that a study may have: all that it asks for when it is alone, else max-min fair, at least one.

    The studies that ask for least are served first, each with what it asks for or an even part of what is left,
    rounded down, so that the last ones get what remains. What others ask for counts in workers of `own`'s size, by the
    part of the cluster that it would take.

    Args:
        others: what the other studies on the cluster ask for.
        nodes: of the cluster, as Ray lists them.
    """
    if not others:
        return own.workers
    left = own.room(nodes)
    asked = {own.study: min(own.workers, left)}
    for other in others:
        most = other.room(nodes)
        asked[other.study] = math.ceil(left * min(1.0, other.workers / most) - ROUNDING) if most else 0
    in_order = sorted(asked, key=lambda study: (asked[study], study))
    for served, study in enumerate(in_order):
        part = min(asked[study], left // (len(in_order) - served))
        if study == own.study:
            return max(1, part)
        left -= part
    raise AssertionError("a study's own claim is among all claims")
