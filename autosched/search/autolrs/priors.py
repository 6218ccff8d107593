"""Every number set by hand that steers AutoLRS, apart from its settings.

Written as the laws' numbers are (:mod:`autosched.laws.priors`): ``[unit] what it does. Backing: …``. Where each
forecast and each way to choose led on real trainings is in ``docs/records/autolrs.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# -- what a stage and its probes are remembered by --------------------------------------------------------------------

PROBE_POINTS = 8
"""[losses] That are kept of each probe of a stage that is over, and that a law is fitted to of the present ones.
Judgement: their cost."""

# -- the process over log LR ------------------------------------------------------------------------------------------

LENGTH = 0.35
"""[share of the range] Usual length over which the worth of an LR changes, up to a factor of two. Judgement."""
AMPLITUDE = 0.8
"""[compressed worth] Usual size of these changes, up to a factor of two. Judgement: compressed worths are of the order
of 1."""
STAGE_OFFSET = 3.0
"""[compressed worth] By how much the levels of two stages may differ. Judgement: more than any two worths of one."""
STAGE_DRIFT = 1.5
"""[stages] Over which the best log LR stays. Judgement."""
UNSAID_SD = 0.02
"""[compressed worth] What a forecast misses by beyond its own standard deviation. Judgement."""
DIVERGED_WORSE = 1.0
"""[compressed worth] How much worse than the worst an LR is that diverged. Judgement: a typical distance."""
STAGES_REMEMBERED = 3
"""[stages] Earlier ones whose probes the process and the law see. Judgement: twice the drift."""
PROBES_APART = 0.35
"""[share of the range times probes] Least distance of two probes. Judgement: probes see the same batches, so a near
neighbour shows the same noise."""

# -- forecasts --------------------------------------------------------------------------------------------------------

FIRST_PROBE_START = 0.3
"""[share of a probe] Beginning of the very first one that no law describes. Judgement: it is the start-up of a run."""
DECAY_SCORED = 0.5
"""[share of a decay] Last losses that a decayed probe is judged by. Judgement."""
DECAY_SCATTER_LOSSES = 4.0
"""[losses] That the other probes' scatter counts for in a probe's own. Judgement."""
DECAY_CLIP = 3.0
"""[standard deviations] From the median at which a difference of losses is clipped. Source: the usual three."""
UNCHECKED_ERRORS: Mapping[str, float] = MappingProxyType({"exponential": 0.06, "law": 0.03})
"""[log loss] What a forecast is taken to have missed by in one stage before it was ever checked. Judgement."""
STAGE_FADES = 0.5
"""[1] What a stage that is over counts beside the next one. Judgement."""

# -- warnings ---------------------------------------------------------------------------------------------------------

ABOVE_ITS_PROBE = 1.1
"""[1] End of a stage over the mean loss of its winner's probe, in the later half, above which a stage is said to have
gone wrong. Judgement: more than means scatter, and the probe still fell there."""
