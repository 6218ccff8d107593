"""Runs segments on a pool of long-lived Ray actors.

An actor is one process with one `SegmentRunner`; it trains one segment at a time and keeps its trainer in memory, so
a trial that goes on costs a message (about a millisecond), not a process start and a checkpoint. The queue is here in
the driver, first come, first served. A segment goes to the worker that holds its start state when that one is free.
On a cluster that other studies use too, the pool shrinks to the study's share between segments, and grows again.

Ray is imported when a backend is made, not when this module is: worker processes import it to find their own class.
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autosched.engine.backend import Outcome
from autosched.engine.execute import SegmentRunner
from autosched.engine.threads import with_threads
from autosched.errors import BackendError, UsageError
from autosched.ledger.records import Failure, FailureKind, Observation, Segment
from autosched.trainer import TrainerFactory
from workers.ray_cluster import ROUNDING, check_room, connect, last_line
from workers.ray_shares import NAMESPACE, Claim, claims, fair_share
from workers.registry import make_trainer

MAX_DEATHS = 8
"""Workers that may die in a row without any segment coming back before the backend gives up."""
LOOK_SECONDS = 5.0
"""Between looks who else is on the cluster, and, while nothing comes back, whether Ray is alive at all."""
CLOSE_SECONDS = 30.0
"""How long free workers have to put away what they hold, e.g. a command that may save before it ends."""
NODE_SECONDS = 10.0
"""How long after a worker's death its node may still count as alive on a cluster that wants it back."""
START_SECONDS = 120.0
"""How long to wait for the first worker, longer while other studies run: a cluster may be busy with others' work."""


class RayWorker:
    """What runs in a worker process: a runner that can be called from the driver."""

    def __init__(self, factory: TrainerFactory, name: str, cpus: float, gpus: float) -> None:
        if gpus == 0:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray will stop doing this; torch reads it when it is first used
        self._runner = SegmentRunner(with_threads(factory, cpus), worker=name)

    def place(self) -> tuple[int, str]:
        """This process and the id of its node; the driver asks first, to see that the worker is up."""
        import ray

        return os.getpid(), str(ray.get_runtime_context().get_node_id())

    def run(self, segment: Segment) -> Outcome:
        """Train a segment."""
        return self._runner.run(segment)

    def release(self, state: str) -> None:
        """Drop the trainer in memory if it is in this state."""
        self._runner.release(state)

    def close(self) -> None:
        """Drop the trainer in memory."""
        self._runner.forget()


@dataclass(slots=True)
class _Seat:
    """A place in the pool and the actor that has it now.

    Attributes:
        pid: the actor's process; None while it starts.
        node: id of the node it is on.
        segment: what it trains; None when it is free.
        state: identity of the state its trainer holds, ``""`` for none.
    """

    name: str
    actor: Any
    pid: int | None = None
    node: str = ""
    segment: Segment | None = None
    since: float = 0.0
    state: str = ""

    @property
    def free(self) -> bool:
        return self.pid is not None and self.segment is None


class RayBackend:
    """A `Backend` on Ray, in this machine or on a cluster.

    Without an address it starts a Ray of its own that listens on loopback only, with a random access token, and ends
    it in `close`. When this process is killed, the kernel ends Ray and its workers with it; two idle agents of Ray
    notice within about a minute. If Ray already runs in this process, that one is used and left running.

    On a cluster, autosched and the trainer's code must be installed on every node, and ``RAY_AUTH_MODE`` must be the
    same here and there. Studies share it, see :func:`workers.ray_shares.fair_share`: a worker above the share is given
    back when its segment ends, and comes back when another study has ended.

    Args:
        workers: actors in the pool, at most.
        cpus: cores of each, also its torch threads.
        gpus: GPUs of each: a whole number, or a fraction below 1 (bookkeeping only; nothing stops a worker from using
            more memory than its share).
        address: of a running cluster, e.g. ``ray://head:10001`` or ``auto``; None or ``local`` for an own one.
        factory: makes a trainer from (use, options, seed, horizon); importable in the worker processes.
        tell: told in a line when other studies have to be waited for.

    Raises:
        UsageError: an impossible request, e.g. GPUs on a machine without any.
        BackendError: Ray cannot be started or reached, or no worker comes up.
    """

    name = "ray"

    def __init__(
        self,
        *,
        workers: int = 1,
        cpus: float = 1.0,
        gpus: float = 0.0,
        address: str | None = None,
        factory: TrainerFactory = make_trainer,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        _check_request(workers, cpus, gpus)
        self.workers = workers
        self._factory, self._cpus, self._gpus = factory, cpus, gpus
        self._queue: deque[Segment] = deque()
        self._seats: list[_Seat] = []
        self._calls: dict[Any, _Seat] = {}
        self._deaths = 0
        self._last_death = ""
        self._closed = False
        self._own = address in (None, "local")
        self._claim = Claim(secrets.token_hex(4), workers, float(cpus), float(gpus))
        self._numbers, self._share, self._others = itertools.count(), workers, 0
        self._looked = -math.inf
        self._leaving: list[Any] = []
        self._cores = math.ceil(workers * cpus - ROUNDING)
        self._ray, self._started_ray = connect(None if self._own else address, cores=self._cores)
        try:
            check_room(self._ray.nodes(), workers=workers, cpus=cpus, gpus=gpus)
            self._look()
            self._resize()
            self._await_workers(tell)
        except BaseException:
            self.close()
            raise

    def submit(self, segment: Segment) -> None:
        """Queue a segment, or start it at once if a worker is free.

        Raises:
            BackendError: the backend is closed.
        """
        if self._closed:
            raise BackendError("cannot submit a segment: the backend is closed.")
        self._queue.append(segment)
        self._dispatch()

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Block until segments have come back; ``[]`` after `timeout` seconds.

        Raises:
            BackendError: nothing is in flight, or :data:`MAX_DEATHS` workers died in a row.
        """
        if not self._queue and all(seat.segment is None for seat in self._seats):
            raise BackendError("cannot wait: no segment was submitted.")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._check_deaths()
            self._look()
            left = LOOK_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            outcomes = self._collect(min(left, LOOK_SECONDS)) or self._revive()
            if outcomes or (deadline is not None and time.monotonic() >= deadline):
                return outcomes

    def release(self, state: str) -> None:
        """Drop the trainer of the worker that holds this state, when that one is free."""
        for seat in self._seats:
            if seat.free and state and seat.state == state:
                seat.state = ""
                seat.actor.release.remote(state)

    def close(self) -> None:
        """Kill the workers, and end Ray if this backend started it."""
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        self._calls.clear()
        closing = self._leaving + [seat.actor.close.remote() for seat in self._seats if seat.free]
        with suppress(self._ray.exceptions.RayError):  # dead, or Ray itself is gone
            self._ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS) if closing else None
        for seat in self._seats:
            self._kill(seat)
        self._seats.clear()
        if self._started_ray:
            self._ray.shutdown()

    def worker_pids(self) -> Mapping[str, int]:
        """Process id of every worker that is up, by the worker's name (on a cluster: on its own node)."""
        return {seat.name: seat.pid for seat in self._seats if seat.pid is not None}

    def _start(self, name: str) -> _Seat:
        named = {} if self._own else {"name": self._claim.name(next(self._numbers)), "namespace": NAMESPACE}
        actors = self._ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0, **named)(RayWorker)
        seat = _Seat(name, actors.remote(self._factory, name, self._cpus, self._gpus), since=time.monotonic())
        self._calls[seat.actor.place.remote()] = seat
        return seat

    def _look(self) -> None:
        """See now and then who else is on a cluster, and with it what this study's share is."""
        if self._own or time.monotonic() < self._looked + LOOK_SECONDS:
            return
        from ray.util import list_named_actors

        with suppress(self._ray.exceptions.RayError):  # the head is away, or slow: all stays as it is
            others = {claim for claim in claims(list_named_actors(all_namespaces=True)) if claim != self._claim}
            self._share, self._others = fair_share(self._claim, others, self._ray.nodes()), len(others)
        self._looked = time.monotonic()

    def _resize(self) -> None:
        """Give back workers above the share that train nothing, those that hold nothing first; start those below it."""
        wanted = {segment.load_id for segment in self._queue}
        idle = [seat for seat in self._seats if seat.segment is None]
        idle.sort(key=lambda seat: (seat.pid is not None, bool(seat.state), seat.state in wanted), reverse=True)
        while idle and len(self._seats) > self._share:
            self._give_back(idle.pop())
        names = {seat.name for seat in self._seats}
        free = (name for name in map("ray-{}".format, itertools.count()) if name not in names)
        self._seats += [self._start(next(free)) for _ in range(self._share - len(self._seats))]

    def _give_back(self, seat: _Seat) -> None:
        """Let a worker put away what it holds and end; one that is not up yet is taken back."""
        self._seats.remove(seat)
        if seat.pid is not None:
            self._leaving.append(seat.actor.close.remote())  # Ray ends an actor that nobody can call, after its calls
            return
        self._calls = {call: other for call, other in self._calls.items() if other is not seat}
        self._kill(seat)

    def _await_workers(self, tell: Callable[[str], object]) -> None:
        """Wait until all workers are up; after a while go on with those that are, if any are or no others run."""
        began, told = time.monotonic(), False
        while any(seat.pid is None for seat in self._seats):
            waited = time.monotonic() - began
            in_line = self._others and all(seat.pid is None for seat in self._seats)
            if waited > START_SECONDS and not in_line:
                break
            if waited > LOOK_SECONDS and in_line and not told:
                tell(f"no worker is free yet; other studies on this cluster: {self._others}.")
                told = True
            self._collect(LOOK_SECONDS)
            self._check_deaths()
            self._look()
        if all(seat.pid is None for seat in self._seats):
            raise BackendError(
                f"no Ray worker came up within {START_SECONDS:g} s: the cluster's CPUs or GPUs are in use by others."
            )

    def _dispatch(self) -> None:
        """Give queued segments to free workers, oldest first; each to the worker that holds its start state if it is
        free, else to one whose state no queued segment needs."""
        free = [seat for seat in self._seats if seat.free]
        while free and self._queue:
            segment = self._queue.popleft()
            wanted = {queued.load_id for queued in self._queue}
            seat = next(
                (seat for seat in free if seat.state and seat.state == segment.load_id),
                next((seat for seat in free if seat.state not in wanted), free[0]),
            )
            free.remove(seat)
            seat.segment, seat.since, seat.state = segment, time.monotonic(), ""
            self._calls[seat.actor.run.remote(segment)] = seat

    def _collect(self, timeout: float | None) -> list[Outcome]:
        """Wait for calls to return, take in all that have, and give the freed workers new segments."""
        calls = list(self._calls)
        ready, rest = self._ray.wait(calls, num_returns=1, timeout=timeout)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        outcomes = [self._settle(call) for call in ready]
        self._resize()
        self._dispatch()
        return [outcome for outcome in outcomes if outcome is not None]

    def _settle(self, call: Any) -> Outcome | None:
        seat = self._calls.pop(call)
        try:
            value = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return self._replace(seat, error)
        if seat.segment is None:
            seat.pid, seat.node = value
            return None
        if isinstance(value, Observation) and value.divergence is None:
            seat.state = value.segment
        seat.segment = None
        self._deaths = 0
        outcome: Outcome = value
        return outcome

    def _replace(self, seat: _Seat, error: Exception) -> Failure | None:
        """Put a new worker in a dead one's seat; its segment comes back as a failure."""
        kind, reason = self._diagnose(seat, error)
        if kind != "preempted":
            self._deaths += 1
            self._last_death = reason
        self._kill(seat)
        segment, seconds, name = seat.segment, time.monotonic() - seat.since, seat.name
        self._seats[self._seats.index(seat)] = self._start(name)
        if segment is None:
            return None
        return Failure(segment=segment.id, kind=kind, reason=reason, seconds=seconds, worker=name)

    def _revive(self) -> list[Outcome]:
        """Start an own Ray again when it died as a whole; what was in flight comes back as failures.

        Ray's node ends with any of its agents, so killing one of them takes all workers, and no new actor would ever
        come up. A cluster that autosched did not start is its owner's to mend.
        """
        if not (self._own and self._started_ray) or any(node["Alive"] for node in self._ray.nodes()):
            return []
        self._deaths += 1
        self._last_death = "Ray on this machine died."
        lost = [
            Failure(
                segment=seat.segment.id,
                kind="worker_died",
                reason=f"worker {seat.name} was lost: Ray on this machine died and was started again.",
                seconds=time.monotonic() - seat.since,
                worker=seat.name,
            )
            for seat in self._seats
            if seat.segment is not None
        ]
        names = [seat.name for seat in self._seats]
        self._calls.clear()
        self._seats.clear()
        self._ray.shutdown()
        self._ray, self._started_ray = connect(None, cores=self._cores)
        self._seats.extend(self._start(name) for name in names)
        return [*lost]

    def _diagnose(self, seat: _Seat, error: Exception) -> tuple[FailureKind, str]:
        errors = self._ray.exceptions
        if seat.segment is None:
            return "worker_died", f"worker {seat.name} did not start: {last_line(error)}"
        if isinstance(error, errors.OutOfMemoryError):
            return "out_of_memory", (
                f"Ray ended worker {seat.name} because main memory is full: use fewer workers or a smaller model."
            )
        if isinstance(error, errors.RayTaskError):
            return "error", f"worker {seat.name} could not run the segment: {last_line(error)}"
        if (isinstance(error, errors.RayActorError) and error.preempted) or self._node_goes(seat.node):
            return "preempted", f"worker {seat.name} was on a node that was wanted back, or lost."
        return "worker_died", (
            f"worker {seat.name} (process {seat.pid}) died while it trained updates {seat.segment.start} to "
            f"{seat.segment.stop}: killed, out of memory, or crashed in native code."
        )

    def _node_goes(self, node: str) -> bool:
        """Whether a dead worker's node goes too: its workers may die some seconds before the cluster has noticed."""
        deadline = time.monotonic() + NODE_SECONDS
        while not self._own and time.monotonic() < deadline:
            if all(seen["NodeID"] != node for seen in self._ray.nodes() if seen["Alive"]):
                return True
            time.sleep(0.2)
        return False

    def _check_deaths(self) -> None:
        if self._deaths >= MAX_DEATHS:
            raise BackendError(f"{self._deaths} Ray workers died in a row and no segment came back; {self._last_death}")

    def _kill(self, seat: _Seat) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):  # already dead, or Ray itself is gone
            self._ray.kill(seat.actor, no_restart=True)


def _check_request(workers: int, cpus: float, gpus: float) -> None:
    if workers < 1:
        raise UsageError(f"workers must be at least 1, but got {workers}.")
    if not (math.isfinite(cpus) and cpus > 0):
        raise UsageError(f"cpus must be > 0, but got {cpus}.")
    if not (math.isfinite(gpus) and gpus >= 0) or (gpus > 1 and gpus != int(gpus)):
        raise UsageError(f"gpus must be a whole number >= 0 or a fraction below 1, but got {gpus}.")
