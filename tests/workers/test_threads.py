import subprocess
import sys

import pytest

SCRIPT = """
import sys
from workers.threads import with_threads

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
