"""A `Schedule` for Keras 3: source code of a ``LearningRateSchedule``."""

from __future__ import annotations

from autosched.schedules.exports.source_text import check_float32, python_source
from autosched.schedules.schedule import Schedule


def to_keras_source(schedule: Schedule) -> str:
    """Python source with ``Schedule``, a ``keras.optimizers.schedules.LearningRateSchedule`` for any backend.

    The LRs are rounded to float32, in which Keras computes them. From update `steps` on the LR is 0: a compiled
    training step cannot raise an error, and an LR of 0 leaves the weights as the schedule left them. The class is
    registered under the schedule's fingerprint, so a saved model loads wherever this source has been imported.

    Raises:
        ScheduleError: an LR that float32 cannot hold.
    """
    check_float32(schedule, "Keras")
    code = _CODE.replace("FINGERPRINT", schedule.fingerprint[:16])
    return python_source(schedule, usage=_USAGE, imports="import keras\nimport numpy", code=code)


_USAGE = """
Learning-rate schedule, written by autosched; needs Keras 3 with any backend.

    model.compile(optimizer=keras.optimizers.AdamW(learning_rate=Schedule()), loss=...)
    model.fit(...)  # STEPS updates
"""
_CODE = '''
@keras.saving.register_keras_serializable(package="autosched", name="Schedule-FINGERPRINT")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """LR of update `step`, float32; 0 from update STEPS on, so that nothing is trained beyond the schedule."""

    def __init__(self):
        self._lrs = keras.ops.convert_to_tensor(numpy.array([*LRS, 0.0], "float32"))

    def __call__(self, step):
        return keras.ops.take(self._lrs, keras.ops.clip(keras.ops.cast(step, "int32"), 0, STEPS))

    def get_config(self):
        return {}
'''
