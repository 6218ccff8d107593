"""Studies on one Ray cluster leave each other their shares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.ray_shares import NAMESPACE, Claim, claims, fair_share

NODES = [
    {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 2.0}},
    {"Alive": True, "Resources": {"CPU": 4.0}},
    {"Alive": False, "Resources": {"CPU": 64.0}},
]


def claim(study: str, workers: int, cpus: float = 1.0, gpus: float = 0.0) -> Claim:
    return Claim(study, workers, cpus, gpus)


@pytest.mark.parametrize(
    ("asked", "shares"),
    [
        ([claim("a", 8)], [8]),
        ([claim("a", 8), claim("b", 8)], [4, 4]),
        ([claim("a", 4), claim("b", 4), claim("c", 4)], [2, 3, 3]),  # no place stays empty
        ([claim("a", 1), claim("b", 8), claim("c", 8)], [1, 3, 4]),  # what one leaves goes to the others
        ([claim("a", 2), claim("b", 3)], [2, 3]),
        ([claim("a", 2, cpus=4), claim("b", 8)], [1, 4]),  # workers of another size
        ([claim("a", 2, gpus=1), claim("b", 4, gpus=0.5)], [1, 2]),
        ([claim(f"study{n}", 8) for n in range(12)], [1] * 12),  # some of them wait
    ],
)
def test_a_share_is_even_and_what_is_left_goes_to_those_who_ask_for_more(asked: list[Claim], shares: list[int]) -> None:
    assert [fair_share(own, [one for one in asked if one != own], NODES) for own in asked] == shares


def test_what_a_study_asks_for_is_read_from_its_actors_names_and_other_actors_tell_nothing() -> None:
    own = claim("3f9a", 4, cpus=0.5, gpus=0.25)
    names = [own.name(0), own.name(17), "somebody's"]
    listed = [{"name": name, "namespace": NAMESPACE} for name in names]
    assert claims([*listed, {"name": claim("b", 2).name(0), "namespace": "serve"}]) == {own}


TWO_STUDIES = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from autosched.engine.checkpoint_store import CheckpointStore
from autosched.engine.execute import SegmentRunner
from autosched.testing.backend_contract import cut, result, run_all
from workers import ray_backend
from workers.ray_cluster import connect
from workers.registry import make_trainer

ray, _ = connect(None, cores=2)
cluster = {"workers": 2, "address": ray.get_runtime_context().gcs_address}
store, lrs, trained, told, pools = CheckpointStore(sys.argv[1]), np.linspace(0.02, 0.01, 20), {}, [], []
first = ray_backend.RayBackend(**cluster)
pools.append([sorted(first.worker_pids())])
ray_backend.LOOK_SECONDS, ray_backend.START_SECONDS = 0.1, 0.0  # nobody gives up who waits for another study


def train(seed, start):
    segment = cut(store, lrs, start, start + 10, seed=seed, options={"seconds_per_step": 0.02})
    trained[segment.id] = segment
    return segment


def go_on(backend, until):
    seed, back = 0, []
    while not until():
        seed += 1
        for start in (0, 10):
            back += run_all(backend, *(train(2 * seed + n, start) for n in range(2))).values()
    return back


with ThreadPoolExecutor(1) as thread:
    second = thread.submit(ray_backend.RayBackend, tell=told.append, **cluster)
    back = go_on(first, second.done)
second = second.result()
pools.append([sorted(one.worker_pids()) for one in (first, second)])
here = SegmentRunner(make_trainer)
segments = [train(0, start) for start in (0, 10)]
back += [run_all(second, segment)[segment.id] for segment in segments]
second.close()
back += go_on(first, lambda: len(first.worker_pids()) == 2)
pools.append([sorted(first.worker_pids())])
first.close()
equal = all(result(here.run(trained[one.segment])) == result(one) for one in back)
print(json.dumps({"pools": pools, "told": told, "equal": equal}))
ray.shutdown()
"""


@pytest.mark.slow
@pytest.mark.ray("in processes of its own")
def test_a_study_that_comes_later_gets_half_of_the_workers_and_gives_them_back_when_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_STUDIES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    alone, shared, alone_again = found["pools"]
    assert alone == alone_again == [["ray-0", "ray-1"]]
    assert [len(pool) for pool in shared] == [1, 1]
    assert found["told"] == ["no worker is free yet; other studies on this cluster: 1."]
    assert found["equal"]
