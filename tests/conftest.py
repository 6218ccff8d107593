"""For all tests: Ray kept to this machine, and the curves that laws and searches are tested on.

Ray reads once, when it is imported, how it is kept to this machine. Some test modules import Ray's libraries, which
must not decide that for the tests that start a Ray.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_curves import made_curve, made_group, write_made_curves

from autosched.curves.curve import Curve
from autosched.errors import CurveError
from autosched.testing.published_curves import published_curve, published_curves, published_group
from workers.ray_cluster import loopback_environment

for name, value in loopback_environment().items():
    os.environ.setdefault(name, value)

MADE_AND_RECORDED = ("made", pytest.param("recorded", marks=pytest.mark.recorded))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `recorded` are left out, in one line of the summary, where the recorded curves are not."""
    if item.get_closest_marker("recorded"):
        try:
            published_curves()
        except CurveError as error:
            pytest.skip(f"tests on recorded curves: {error}")


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
