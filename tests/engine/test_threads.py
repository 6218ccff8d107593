import subprocess
import sys

import pytest
import torch
from threadpoolctl import threadpool_limits

from autosched.engine.threads import same_sums, with_threads

SCRIPT = """
import sys
from autosched.engine.threads import with_threads

def factory(use, options, seed, horizon):
    if use == "torch":
        import torch
    return options

with_threads(factory, 1.0)("plain", {}, 0, 1)
assert "torch" not in sys.modules
for cpus in (1.0, 2.9, 0.5):
    with_threads(factory, cpus)("torch", {}, 0, 1)
    print(sys.modules["torch"].get_num_threads())
"""


@pytest.mark.slow
def test_torch_trainers_use_as_many_threads_as_they_have_whole_cores():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "2", "1"]


def threads_of_all_parts() -> set[int]:
    """Of torch itself, OpenMP and MKL: what torch says of itself alone is not what a backward pass uses."""
    lines = [line.split(":") for line in torch.__config__.parallel_info().splitlines()]
    names = {"at::get_num_threads()", "omp_get_max_threads()", "mkl_get_max_threads()"}
    found = {int(parts[-1]) for parts in lines if parts[0].strip() in names}
    assert found
    return found | {_threads_of_a_backward_pass()}


def _threads_of_a_backward_pass() -> int:
    seen = []
    weight = torch.ones(1, requires_grad=True)
    weight.register_hook(lambda gradient: seen.append(torch.get_num_threads()))
    weight.sum().backward()
    return seen[0]


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def unused(use, options, seed, horizon):
    return object()


@pytest.mark.parametrize("cpus", [1.0, 2.0])
def test_all_parts_of_torch_have_a_worker_s_threads_and_their_own_again(three_threads, cpus):
    with same_sums(cpus):
        assert threads_of_all_parts() == {int(cpus)}
        with_threads(unused, cpus)("torch", {}, 0, 1)
        assert threads_of_all_parts() == {int(cpus)}
    assert threads_of_all_parts() == {3}


def test_a_trainer_gets_its_threads_where_limits_of_others_have_ended(three_threads):
    with threadpool_limits(1, user_api="blas"):
        with_threads(unused, 2.0)("torch", {}, 0, 1)
    with_threads(unused, 3.0)("torch", {}, 0, 1)
    assert threads_of_all_parts() == {3}
