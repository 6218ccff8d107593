"""What a backend is: it runs segments on workers and hands back what happened."""

from __future__ import annotations

from typing import Protocol

from autosched.ledger.records import Failure, Observation, Segment

Outcome = Observation | Failure


class Backend(Protocol):
    """Runs segments; never decides anything.

    The contract: every submitted segment comes back exactly once from `wait`, as an Observation or a Failure; a dead
    worker is replaced and its segment comes back as ``Failure(kind="worker_died")``; `close` is idempotent and leaves
    no process behind.
    """

    @property
    def name(self) -> str:
        """``local`` or ``ray``."""

    @property
    def workers(self) -> int:
        """How many segments run at the same time."""

    def submit(self, segment: Segment) -> None:
        """Queue a segment; returns at once."""

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Block until at least one submitted segment has come back, or `timeout` seconds passed (then ``[]``).

        Raises:
            BackendError: nothing is in flight, or workers can no longer be started.
        """

    def release(self, state: str) -> None:
        """Nothing goes on from the state with this identity now: a worker that holds it drops it, soon."""

    def close(self) -> None:
        """Stop the workers. Segments in flight are dropped."""
