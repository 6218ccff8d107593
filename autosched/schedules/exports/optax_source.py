"""A `Schedule` for optax: source code of a schedule function that can be compiled."""

from __future__ import annotations

from autosched.schedules.exports.source_text import check_float32, python_source
from autosched.schedules.schedule import Schedule


def to_optax_source(schedule: Schedule) -> str:
    """Python source with ``lr_at(count)``, an optax schedule: a lookup that works under ``jit``, ``vmap`` and ``scan``.

    The LRs are float32, or float64 where ``jax_enable_x64`` is set. From update `steps` on the LR is 0: compiled code
    cannot raise an error, and an LR of 0 leaves the weights as the schedule left them.

    Raises:
        ScheduleError: an LR that float32 cannot hold.
    """
    check_float32(schedule, "JAX")
    return python_source(schedule, usage=_USAGE, imports="import jax.numpy as jnp\nimport numpy", code=_CODE)


_USAGE = """
Learning-rate schedule, written by autosched; needs JAX, and fits every optimizer of optax.

    optimizer = optax.adamw(learning_rate=lr_at)
"""
_CODE = '''
TABLE = numpy.array([*LRS, 0.0])


def lr_at(count):
    """LR of update `count`; 0 from update STEPS on, so that nothing is trained beyond the schedule."""
    return jnp.take(jnp.asarray(TABLE), count, mode="clip")
'''
