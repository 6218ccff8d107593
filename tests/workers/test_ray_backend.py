import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.engine.threads import same_sums, with_threads
from autosched.errors import BackendError, UsageError
from autosched.ledger.records import Failure, Observation
from autosched.space.trainer_spec import TrainerSpec
from autosched.testing.backend_contract import BackendContract, cut, result, run_all
from autosched.trainer import Trainer, TrainerFactory
from workers.ray_backend import MAX_DEATHS, RayBackend
from workers.ray_cluster import LOG_BYTES, room_on_node
from workers.registry import make_trainer

pytestmark = [pytest.mark.ray, pytest.mark.slow]
SLOWLY = {"seconds_per_step": 0.05}


@pytest.fixture(scope="module")
def pool() -> Iterator[RayBackend]:
    backend = RayBackend(workers=2, cpus=0.7)  # Ray gets 2 CPUs; 0.6 are left for the backends that tests add
    yield backend
    backend.close()


class TestRayBackend(BackendContract):
    @pytest.fixture
    def backend(self, pool: RayBackend) -> RayBackend:
        return pool

    @pytest.fixture
    def make_backend(self, pool: RayBackend) -> Callable[[], RayBackend]:
        return lambda: RayBackend(workers=1, cpus=0.1)  # joins the Ray of this process

    @pytest.fixture
    def factory(self) -> TrainerFactory:
        return make_trainer


def killer() -> TrainerFactory:
    """A factory that kills its process; made inside a function so that it travels to the worker by value."""

    def make(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    return make


def loud() -> TrainerFactory:
    """A factory that prints 12 MB to each stream."""

    def make(use: str, options: Mapping[str, Any], seed: int, horizon: int) -> Trainer:
        for stream in (sys.stdout, sys.stderr):
            for _ in range(12):
                print("x" * 10**6, file=stream, flush=True)
        return make_trainer(use, options, seed, horizon)

    return make


def ray_processes(parent: int) -> set[int]:
    """Living processes below `parent`: GCS server, raylet, workers, and Ray's agents."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, above = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(above)
    found = {parent}
    while more := {pid for pid, above in parents.items() if above in found} - found:
        found |= more
    return found - {parent}


def test_both_workers_train_at_the_same_time(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    slow = {"seconds_per_step": 0.05}
    segments = [cut(store, np.full(10, 0.01), 0, 10, seed=seed, options=slow) for seed in range(2)]
    outcomes = run_all(pool, *segments)
    assert {outcome.worker for outcome in outcomes.values()} == {"ray-0", "ray-1"}


def test_a_segment_goes_to_the_worker_that_holds_its_start(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    lrs = np.linspace(0.02, 0.01, 20)
    starts = [cut(store, lrs, 0, 10, seed=seed) for seed in (1, 2)]
    holders = {outcome.worker for outcome in run_all(pool, *starts).values()}
    for segment in starts:
        store.delete(segment.save_uri)  # only a trainer in memory can go on from here
    ends = [cut(store, lrs, 10, 20, seed=seed) for seed in (2, 1)]
    outcomes = run_all(pool, *ends)
    assert all(isinstance(outcome, Observation) for outcome in outcomes.values())
    assert {outcome.worker for outcome in outcomes.values()} == holders


def test_a_transformer_trains_to_the_same_bits_as_in_this_process(pool, tmp_path):
    options = {"layers": 1, "width": 16, "heads": 2, "context": 16, "batch": 2}
    lrs = np.linspace(0.01, 0.001, 8)
    simulated = [cut(CheckpointStore(str(tmp_path)), lrs, start, start + 4, options=options) for start in (0, 4)]
    segments = [replace(segment, trainer=TrainerSpec(use="gpt", options=options)) for segment in simulated]
    runner = SegmentRunner(with_threads(make_trainer, 1.0))
    with same_sums(1.0):
        expected = [result(runner.run(segment)) for segment in segments]
    assert [result(run_all(pool, segment)[segment.id]) for segment in segments] == expected
    assert [point.step for seen in expected for point in seen.points] == [5, 8]


def test_a_killed_worker_is_a_failure_and_is_replaced(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    endless = cut(store, np.full(10, 0.01), 0, 10, options={"seconds_per_step": 60.0})
    quick = cut(store, np.full(10, 0.01), 0, 10)
    before = dict(pool.worker_pids())
    pool.submit(endless)
    os.kill(before["ray-0"], signal.SIGKILL)
    (failure,) = pool.wait()
    assert isinstance(failure, Failure)
    assert (failure.segment, failure.kind, failure.worker) == (endless.id, "worker_died", "ray-0")
    assert f"process {before['ray-0']}" in failure.reason
    for _ in range(3):
        assert isinstance(run_all(pool, quick)[quick.id], Observation)
    seeds, workers = itertools.count(), set()
    while workers != {"ray-0", "ray-1"}:  # until the new one has come up; the test's time limit ends it
        many = [cut(store, np.full(20, 0.01), 0, 20, seed=next(seeds), options=SLOWLY) for _ in range(4)]
        workers |= {outcome.worker for outcome in run_all(pool, *many).values()}
    assert pool.worker_pids()["ray-0"] != before["ray-0"]
    assert pool.worker_pids()["ray-1"] == before["ray-1"]


def test_an_idle_worker_that_was_killed_costs_at_most_one_attempt(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    segment = cut(store, np.full(10, 0.01), 0, 10)
    for pid in pool.worker_pids().values():
        os.kill(pid, signal.SIGKILL)
    kinds = []
    while not kinds or kinds[-1] != "trained":
        outcome = run_all(pool, segment)[segment.id]
        kinds.append(outcome.kind if isinstance(outcome, Failure) else "trained")
    assert kinds in (["worker_died", "trained"], ["worker_died", "worker_died", "trained"])


def test_prints_do_not_fill_rays_folder(pool, tmp_path):
    import ray

    backend = RayBackend(workers=1, cpus=0.1, factory=loud())
    try:
        segment = cut(CheckpointStore(str(tmp_path)), np.full(10, 0.01), 0, 10, seed=7)
        assert isinstance(run_all(backend, segment)[segment.id], Observation)
        (pid,) = backend.worker_pids().values()
        logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        for stream in ("out", "err"):
            sizes = [file.stat().st_size for file in logs.glob(f"worker-*-{pid}.{stream}*")]
            assert 10**6 < sum(sizes) < 2.5 * LOG_BYTES
    finally:
        backend.close()


def test_waiting_gives_up_after_the_timeout(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    segment = cut(store, np.full(10, 0.01), 0, 10, options={"seconds_per_step": 0.05})
    pool.submit(segment)
    assert pool.wait(timeout=0.01) == []
    assert [outcome.segment for outcome in pool.wait()] == [segment.id]


def test_workers_that_always_die_end_the_backend(pool, tmp_path):
    store = CheckpointStore(str(tmp_path))
    segment = cut(store, np.full(10, 0.01), 0, 10)
    backend = RayBackend(workers=1, cpus=0.1, factory=killer())
    for _ in range(MAX_DEATHS):
        assert run_all(backend, segment)[segment.id].kind == "worker_died"
    backend.submit(segment)
    with pytest.raises(BackendError, match=f"{MAX_DEATHS} Ray workers died in a row"):
        backend.wait()
    backend.close()


def test_gpus_on_a_machine_without_are_refused_at_once(pool):
    with pytest.raises(UsageError, match=r"1 workers with 1 CPUs and 64 GPUs each do not fit.*lower resources"):
        RayBackend(workers=1, gpus=64)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"workers": 0}, "workers must be at least 1, but got 0"),
        ({"cpus": 0.0}, "cpus must be > 0"),
        ({"gpus": -1.0}, "gpus must be a whole number"),
        ({"gpus": 1.5}, "gpus must be a whole number"),
    ],
)
def test_an_impossible_request_is_refused_before_ray_starts(request_, message):
    with pytest.raises(UsageError, match=message):
        RayBackend(**request_)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_is_not_there_is_reported_at_once(scheme, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
    script = "import sys; from workers.ray_backend import RayBackend; RayBackend(address=sys.argv[1])"
    command = [sys.executable, "-c", script, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f"BackendError: cannot reach the Ray cluster at {address}: " in done.stderr
    assert "Connection refused (is it up, and is RAY_AUTH_MODE the same here and there?)" in done.stderr


def test_a_ray_that_was_imported_too_early_to_be_kept_private_is_refused_in_one_line():
    script = "import ray; from workers.ray_backend import RayBackend; RayBackend()"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=without_ray_settings(), check=False)
    assert "BackendError: Ray was imported before its environment was set" in done.stderr


def test_fractions_of_a_gpu_never_span_two():
    assert room_on_node(16, 2, cpus=1, gpus=0.3) == 6
    assert room_on_node(16, 2, cpus=1, gpus=0.5) == 4
    assert room_on_node(16, 4, cpus=1, gpus=2) == 2
    assert room_on_node(16, 8, cpus=8, gpus=1) == 2
    assert room_on_node(2, 0, cpus=0.5, gpus=0) == 4


SCRIPT = """
import json, os, signal, sys
import numpy as np
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.testing.backend_contract import cut, run_all
from workers.ray_backend import RayBackend

backend = RayBackend(workers=2)
segment = cut(CheckpointStore(sys.argv[1]), np.full(10, 0.01), 0, 10, options=json.loads(sys.argv[2]))
if sys.argv[3] == "train":
    os.kill(backend.worker_pids()["ray-1"], signal.SIGKILL)  # Ray tells its driver about this
    print(run_all(backend, segment)[segment.id].checkpoint)
    backend.close()
    print("closed", flush=True)
else:
    backend.submit(segment)
    print("busy", flush=True)
sys.stdin.readline()
"""


def without_ray_settings() -> dict[str, str]:
    """The environment of a user who has never heard of Ray's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def own_ray(tmp_path: Path, action: str, options: Mapping[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(options), action],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**without_ray_settings(), "HOME": str(tmp_path)},
    )


def test_closing_leaves_no_process_and_ray_prints_nothing(tmp_path):
    driver = own_ray(tmp_path, "train", {})
    uri = driver.stdout.readline().strip()
    assert driver.stdout.readline().strip() == "closed"
    left = ray_processes(driver.pid)
    output, _ = driver.communicate("\n")
    assert CheckpointStore.exists(uri)
    assert left == set()
    assert output == ""
    assert driver.returncode == 0
    assert not (tmp_path / ".ray").exists()  # a token there would change what later `ray` commands do


def test_a_killed_driver_takes_its_ray_along(tmp_path):
    driver = own_ray(tmp_path, "leave", {"seconds_per_step": 60.0})
    assert driver.stdout.readline().strip() == "busy"
    below = ray_processes(driver.pid)
    driver.kill()
    driver.communicate()
    assert len(below) >= 6  # gcs_server, raylet, its two agents, two workers
    for pid in below:
        wait_for_end(pid)


def wait_for_end(pid: int) -> None:
    """Block until a process that is not our child has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(handle):
        assert select.select([handle], [], [], 30.0)[0], f"process {pid} outlived its driver"
