"""Means of a model's weights after its last updates, by a few running sums.

    name     meaning                                                                     unit
    step     updates done                                                                updates
    block    ``(start, stop)``: its sum is that of the weights after updates             updates
             start + 1 .. stop
    window   updates at the end of the run whose weights are averaged                    updates
    share    window / step that is asked for                                             -
    unit     length of the shortest blocks: a power of 2, a quarter to half of the       updates
             least window, so it doubles whenever the run has become twice as long

The sums are an exponential histogram (Datar et al. 2002, https://doi.org/10.1137/S0097539701398363): an open block
takes in the weights after each update and closes at multiples of the unit; closed blocks are ``unit * 2**k`` long and
begin at multiples of their length, one or two of each length, the longer the older. Which blocks there are is a
function of `step` and the shares alone, however the run was cut. A window is the open block and the newest closed ones,
so its length is near what is asked for but seldom equal; what it is is said with its loss.

Windows of 5% and 10% are the default because there the loss of the mean is closest to that of a true linear cooldown as
long: shorter ones see less of what a cooldown gives, longer ones fall short of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autosched.errors import UsageError
from autosched.trainer import Rule
from workers.optimizers.checks import check_like, check_names
from workers.optimizers.registry import Choice
from workers.optimizers.updates import Updates, Usual

Block = tuple[int, int]
PLACES = ("auto", "device", "host", "none")
SHARES = (0.05, 0.1)
EVALUATES_OTHERS = "the optimizer evaluates an average of its own, not the weights that it trains"
LARGEST_SHARE = 0.8
"""Beyond it a mean would begin in the warmup of any usual schedule."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a trainer.

    Attributes:
        place: where closed sums live: ``device`` (beside the weights), ``host`` (main memory), ``none`` (no averages at
            all), or ``auto``, ``device`` where averages can be had and ``none`` elsewhere.
        shares: the windows.
    """

    place: str = "none"
    shares: tuple[float, ...] = SHARES


def window_shares() -> Rule:
    """The rule of a trainer's option ``average_windows``."""
    return Rule(f"a list of different shares in (0, {LARGEST_SHARE}]", _read_shares)


def _read_shares(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(type(share) in (int, float) and 0 < share <= LARGEST_SHARE for share in value):
        return None
    return tuple(sorted(map(float, value))) if len(set(value)) == len(value) else None


def unit_at(step: int, shares: Sequence[float]) -> int:
    """Length of the shortest closed blocks: the largest power of 2 up to half of the least window; at least 1."""
    return 1 << max(0, int(step * min(shares) / 2).bit_length() - 1)


def _aligned(units: int) -> Iterator[Block]:
    """The blocks that `units` units fall into, newest first: one or two of each length, which doubles."""
    length = 1
    while units > 0:
        older = (units - 1) // 2
        for index in reversed(range(2 * older, units)):
            yield index * length, (index + 1) * length
        units, length = older, 2 * length


def closed_after(held: Sequence[Block], step: int, shares: Sequence[float]) -> list[list[int]]:
    """What becomes of `held` when the last of them closes at `step`, a multiple of the unit.

    Returns:
        Places in `held`, oldest first: those of one list are added up to one block, those of none are dropped. All
        that the longest window needs stays: the fewest blocks that span it.
    """
    unit = unit_at(step, shares)
    groups: list[list[int]] = []
    last = len(held) - 1
    for start, _ in _aligned(step // unit):
        if last < 0 or (groups and step - held[groups[-1][0]][0] >= max(shares) * step):
            break
        group: list[int] = []
        while last >= 0 and held[last][0] >= start * unit:
            group.insert(0, last)
            last -= 1
        if group:
            groups.append(group)
    return groups[::-1]


def _joined(held: Sequence[Block], groups: Sequence[Sequence[int]]) -> list[Block]:
    return [(held[group[0]][0], held[group[-1]][1]) for group in groups]


def blocks_at(step: int, shares: Sequence[float]) -> list[Block]:
    """All closed blocks after `step` updates, oldest first."""
    held: list[Block] = []
    start = 0
    for closing in _closings(step, shares):
        held.append((start, closing))
        held, start = _joined(held, closed_after(held, closing, shares)), closing
    return held


def windows_at(step: int, shares: Sequence[float]) -> list[int]:
    """The windows that can be had after `step` updates and are nearest to the shares, by their ratio; increasing."""
    return _nearest(blocks_at(step, shares), step, shares)


def _nearest(blocks: Sequence[Block], step: int, shares: Sequence[float]) -> list[int]:
    opened = blocks[-1][1] if blocks else 0
    lengths = [step - start for start in (*(start for start, _ in blocks), opened) if start < step]
    if not lengths:
        return []
    return sorted({min(lengths, key=lambda length: (abs(math.log(length / (s * step))), length)) for s in shares})


def _closings(step: int, shares: Sequence[float]) -> Iterator[int]:
    at = 1
    while at <= step:
        unit = unit_at(at, shares)
        at += -at % unit
        if at <= step and at % unit_at(at, shares) == 0:
            yield at
        at += 1


class WeightAverages:
    """Running sums of some weights.

    Args:
        weights: what is summed; they must stay the same tensors.
        shares: windows, as shares of the updates done.
        host: whether closed sums are kept in main memory.
    """

    def __init__(self, weights: Sequence[Tensor], *, shares: Sequence[float], host: bool) -> None:
        self.weights = [weight.detach() for weight in weights]
        self.shares = tuple(shares)
        self._host = host
        self._step = 0
        self._blocks: list[Block] = []
        self._closed: list[list[Tensor]] = []
        self._open: list[Tensor] = []

    @property
    def _opened(self) -> int:
        return self._blocks[-1][1] if self._blocks else 0

    def observe(self) -> None:
        """Take in the weights after one more update."""
        self._step += 1
        if self._open:
            torch._foreach_add_(self._open, self.weights)
        else:
            self._open = [weight.clone() for weight in self.weights]
        if self._step % unit_at(self._step, self.shares) == 0:
            self._close()

    def _close(self) -> None:
        blocks = [*self._blocks, (self._opened, self._step)]
        sums = [*self._closed, [part.cpu() for part in self._open] if self._host else self._open]
        groups = closed_after(blocks, self._step, self.shares)
        self._blocks = _joined(blocks, groups)
        self._closed, self._open = [_total([sums[place] for place in group]) for group in groups], []

    def windows(self) -> list[int]:
        """The windows that there are means for; see :func:`windows_at`."""
        return _nearest(self._blocks, self._step, self.shares)

    def means(self) -> Iterator[tuple[int, list[Tensor]]]:
        """Each window with the mean of the weights after its updates, on the weights' device."""
        sums, place = self._open, len(self._blocks)
        for window in self.windows():
            while place > 0 and self._step - self._blocks[place - 1][0] <= window:
                place -= 1
                parts = [part.to(weight.device) for part, weight in zip(self._closed[place], self.weights, strict=True)]
                sums = _total([sums, parts]) if sums else parts
            yield window, [part / window for part in sums]

    def state(self) -> dict[str, Any]:
        """All sums; which updates they span follows from the step."""
        return {"closed": [list(parts) for parts in self._closed], "open": list(self._open)}

    def check(self, state: Any, step: int) -> None:
        """Whether `load` can take this at `step`.

        Raises:
            Exception: of any kind; a file from a stranger can hold anything in any place.
        """
        check_names(state, ("closed", "open"))
        blocks = blocks_at(step, self.shares)
        if len(state["closed"]) != len(blocks):
            raise ValueError(f"averages must have {len(blocks)} closed sums after {step} updates")
        for parts in state["closed"]:
            check_like(parts, self.weights, "closed sum")
        is_open = step > (blocks[-1][1] if blocks else 0)
        check_like(state["open"], self.weights if is_open else [], "open sum")

    def load(self, state: Mapping[str, Any], step: int) -> None:
        """Take what `state` gave at `step`, after a `check`."""
        self._step, self._blocks = step, blocks_at(step, self.shares)
        self._closed = [self._placed(parts, host=self._host) for parts in state["closed"]]
        self._open = self._placed(state["open"], host=False)

    def _placed(self, parts: Sequence[Tensor], *, host: bool) -> list[Tensor]:
        return [
            part.to("cpu" if host else weight.device, copy=True)
            for part, weight in zip(parts, self.weights, strict=False)
        ]


def _total(sums: Sequence[list[Tensor]]) -> list[Tensor]:
    """The sum of sums, oldest first; a sum of several is a new tensor."""
    first, *others = sums
    if not others:
        return first
    total = [part.clone() for part in first]
    for parts in others:
        torch._foreach_add_(total, parts)
    return total


def averages_of(model: nn.Module, updates: Updates, wanted: Wanted) -> WeightAverages | None:
    """The running sums of a model that is on its device; None for none.

    Raises:
        UsageError: they are asked for, and the mean of the weights would say nothing about a cooldown.
    """
    if wanted.place == "none":
        return None
    reason = "" if updates.evaluates_what_it_trains else EVALUATES_OTHERS
    weights = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    statistics = next((name for name in model.state_dict() if name not in weights), None)
    if statistics is not None:
        reason = f"the model's {statistics} belongs to single weights, and is not that of their mean"
    if reason and wanted.place != "auto":
        raise UsageError(_refusal(wanted.place, reason))
    if reason:
        return None
    return WeightAverages(list(model.parameters()), shares=wanted.shares, host=wanted.place == "host")


def check_averages(place: str, optimizer: Choice, *, trainer: str) -> None:
    """Whether averages that are asked for go with an optimizer.

    Raises:
        UsageError: it evaluates other weights than it trains.
    """
    if place in ("auto", "none"):
        return
    model = nn.utils.skip_init(nn.Linear, 2, 2)  # draws nothing from the process's random numbers
    if not optimizer.make(model, Usual(weight_decay=0.0)).evaluates_what_it_trains:
        raise UsageError(f"{trainer} trainer: {_refusal(place, EVALUATES_OTHERS)}")


def _refusal(place: str, reason: str) -> str:
    return f"averages must be auto or none here, but got {place!r}: {reason}."
