"""Why Ray did not start, in one line with advice; no Ray is needed for that."""

from __future__ import annotations

import pytest

from workers.ray_cluster import no_ray


@pytest.mark.parametrize(
    ("error", "address", "says"),
    [
        (
            OSError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /x/plasma_store"),
            None,
            "cannot start Ray on this machine: validate_socket_filename failed: AF_UNIX path length cannot exceed 107 "
            "bytes: /x/plasma_store; set TMPDIR (or RAY_TMPDIR) to a folder with a shorter path.",
        ),
        (
            Exception("The current node timed out during startup. This could happen because some of the raylet failed"),
            None,
            "some of the raylet failed; when the machine is busy, try again, or use --backend local.",
        ),
        (RuntimeError("first\n\n  Traceback\nlast line"), None, "cannot start Ray on this machine: last line"),
        (ConnectionError("refused"), "ray://h:1", "cannot reach the Ray cluster at ray://h:1: refused (is it up, and"),
        (
            ConnectionError("no answer from ray://me:word@h:1"),
            "ray://me:word@h:1",
            "cannot reach the Ray cluster at ray://***@h:1: no answer from ray://***@h:1 (is it up, and",
        ),
    ],
)
def test_a_ray_that_is_not_there_is_said_in_one_line(error: Exception, address: str | None, says: str) -> None:
    said = no_ray(error, address)
    assert says in said
    assert "\n" not in said
