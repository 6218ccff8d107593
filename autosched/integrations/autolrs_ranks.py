"""What the processes of a `torch.distributed` run tell each other; a run of one process is the same with one rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from autosched.errors import WorkError

T = TypeVar("T")


class Ranks:
    """All ranks of the default process group, if there is one."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self._dist: Any = dist if dist.is_available() and dist.is_initialized() else None
        self.rank: int = self._dist.get_rank() if self._dist else 0
        self.count: int = self._dist.get_world_size() if self._dist else 1

    def mean(self, value: float) -> float:
        """Mean over ranks, the same on all of them; NaN when it is on any."""
        if self._dist is None:
            return value
        import torch

        device = "cuda" if self._dist.get_backend() == "nccl" else "cpu"
        total = torch.tensor([value], dtype=torch.float64, device=device)
        self._dist.all_reduce(total)
        return float(total.item()) / self.count

    def decided(self, decide: Callable[[], T]) -> T:
        """What rank 0 decides, on all ranks; the others do not compute it, as they might round otherwise.

        Raises:
            WorkError: on all ranks but 0, when deciding raised there.
        """
        if self._dist is None:
            return decide()
        box: list[Any] = [None, ""]
        try:
            if self.rank == 0:
                box[0] = decide()
        except Exception as error:  # the others wait for an answer, whatever it is
            box[1] = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._dist.broadcast_object_list(box, src=0)
        if box[1]:
            raise WorkError(f"rank 0 could not go on: {box[1]}")
        decided: T = box[0]
        return decided

    def gathered(self, own: T) -> list[T]:
        """What each rank has, in their order, on all ranks."""
        if self._dist is None:
            return [own]
        everyone: list[Any] = [None] * self.count
        self._dist.all_gather_object(everyone, own)
        return everyone
