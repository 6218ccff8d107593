"""Whether a run that got to its end got anywhere: probes are short, and some LRs lose a model only later."""

from __future__ import annotations

import numpy as np

from autosched.search.autolrs.priors import ABOVE_ITS_PROBE
from autosched.search.autolrs.records import State


def above_its_probes(state: State) -> str | None:
    """A warning when a stage ended above where its winner's probe had, and the run still is; None when all is well."""
    last = state.passed[-1].reached if state.passed else None
    for stage in state.passed:
        losses = next((tried.losses for tried in stage.tried if tried.lr == stage.lr), ())
        if last is None or stage.reached is None or not losses:
            continue
        end = float(np.mean(losses[len(losses) // 2 :]))  # as many as there are: one batch tells little
        if min(stage.reached, last) > ABOVE_ITS_PROBE * end > 0:
            return (
                f"stage {stage.index} ended at a loss of {stage.reached:.3g}, although the probe of its LR, "
                f"{stage.lr:.3g}, had reached {end:.3g}: the LR did harm later. Lower `high`, or try longer probes "
                "(probe_share)."
            )
    return None
