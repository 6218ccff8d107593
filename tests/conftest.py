"""For all tests: Ray kept to this machine, and the curves that laws and searches are tested on.

Ray reads once, when it is imported, how it is kept to this machine. Some test modules import Ray's libraries, which
must not decide that for the tests that start a Ray.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings
from made_curves import made_curve, made_group, write_made_curves

from autosched.curves.curve import Curve
from autosched.errors import CurveError
from autosched.testing.published_curves import published_curve, published_curves, published_group
from workers.ray_cluster import loopback_environment

for name, value in loopback_environment().items():
    os.environ.setdefault(name, value)

for number, usual in {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}.items():
    if signal.getsignal(number) is signal.SIG_IGN:  # a shell's background job, nohup: tests send them all the same
        signal.signal(number, usual)

# Hypothesis draws the same examples in every run; benchmarks/fuzz_readers.py draws others by the thousand.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.load_profile("fixed")

MADE_AND_RECORDED = ("made", pytest.param("recorded", marks=pytest.mark.recorded))


@pytest.hookimpl(tryfirst=True)  # before xdist writes the groups into the tests' names
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup`: a file's tests share a process and what it makes once. Tests that start Ray come first,
    one after another, those in processes of its own beside those in this one; then slow files, so that their waiting
    overlaps with the work of the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.get_closest_marker("ray") is None, item.path not in slow))
    for item in items:
        ray = item.get_closest_marker("ray")
        group = str(item.path) if ray is None else " ".join(("ray", *ray.args))
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest under which the groups are lost, as they are from 9.2 on with xdist 3.8: files would be torn
    apart without a word, and what they make once be made by every process."""
    if getattr(session.config.option, "loadgroup", False) and any("@" not in item.nodeid for item in session.items):
        raise pytest.UsageError("this pytest loses the groups of `--dist loadgroup`; install what constraints.txt says")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `recorded` are left out, in one line of the summary, where the recorded curves are not."""
    if item.get_closest_marker("recorded"):
        try:
            published_curves()
        except CurveError as error:
            pytest.skip(f"tests on recorded curves: {error}")


@pytest.fixture(autouse=True, scope="module")
def _quick_collections() -> None:
    """What is alive when a file's tests begin, all frameworks' modules, is no garbage: a worker that drops a model
    collects, and would look through it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _process_as_it_was() -> Iterator[None]:
    """A file's tests leave the process what all others in it count on."""
    torch = sys.modules.get("torch")
    before = tempfile.gettempdir(), torch and torch.get_num_threads()
    yield
    assert (tempfile.gettempdir(), torch and torch.get_num_threads()) == before


@pytest.fixture(params=MADE_AND_RECORDED)
def curve(request: pytest.FixtureRequest) -> Callable[[str], Curve]:
    """Gives a curve by name, e.g. ``gpt25m/cosine_24000``: the one made from a law, then the recorded one."""
    return made_curve if request.param == "made" else published_curve


@pytest.fixture(params=MADE_AND_RECORDED)
def curve_group(request: pytest.FixtureRequest) -> Callable[[str], tuple[Curve, ...]]:
    """Gives all curves of a group, e.g. ``llama124m``: those made from a law, then the recorded ones."""
    return made_group if request.param == "made" else published_group


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made curves as files, with their ``runs.csv``."""
    return write_made_curves(tmp_path_factory.mktemp("curves"))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Gives the folder of a name, filled once for all processes of a test run; copy it, do not change it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return filled


@pytest.fixture(scope="session")
def new_store(once: Callable[[str, Callable[[Path], object]], Path]) -> Callable[[Path], str]:
    """Puts an empty MLflow store into a folder and gives its address: MLflow needs seconds to make one."""

    def make(folder: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_experiments()

    def put(folder: Path) -> str:
        shutil.copy(once("empty_store", make) / "mlflow.db", folder)
        return f"sqlite:///{folder / 'mlflow.db'}"

    return put
