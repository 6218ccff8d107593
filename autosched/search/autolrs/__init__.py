"""AutoLRS (Jin et al. 2021, arXiv:2105.10762): the learning rate found on the fly, stage by stage.

The core is a pure state machine (:mod:`autosched.search.autolrs.machine`); who trains is somebody else's matter.
"""

from autosched.search.autolrs.forecasts import above_its_probes
from autosched.search.autolrs.machine import ask, schedule, standing, tell
from autosched.search.autolrs.records import Failed, Finished, Seen, State, Wait, Work
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs.stages import Stage, stage_of, stages

__all__ = [
    "Failed",
    "Finished",
    "Seen",
    "Settings",
    "Stage",
    "State",
    "Wait",
    "Work",
    "above_its_probes",
    "ask",
    "schedule",
    "stage_of",
    "stages",
    "standing",
    "tell",
]
