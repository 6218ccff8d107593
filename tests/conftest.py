"""For all tests: Ray reads once, when it is imported, how it is kept to this machine.

Some test modules import Ray's libraries, which must not decide that for the tests that start a Ray.
"""

import os

from workers.ray_cluster import loopback_environment

for name, value in loopback_environment().items():
    os.environ.setdefault(name, value)
