"""Whether a run that got to its end got anywhere: probes are short, and some LRs lose a model only later."""

from __future__ import annotations

from autosched.search.autolrs.forecasts import level
from autosched.search.autolrs.records import State

ABOVE = 1.1
"""Times the loss that a winner's probe had reached: means over a twentieth of a stage scatter by less than a tenth."""


def above_its_probes(state: State) -> str | None:
    """A warning when the last stage ended above where the probes of winners had ended; None when all is well."""
    if not state.passed or (reached := state.passed[-1].reached) is None:
        return None
    alike = [stage for stage in state.passed if stage.by_validation == state.passed[-1].by_validation]
    ends = [level(tried.losses) for stage in alike for tried in stage.tried if tried.lr == stage.lr]
    best = min((end for end in ends if end is not None), default=reached)
    if reached <= ABOVE * best or best <= 0:
        return None
    return (
        f"the last stage ended at a loss of {reached:.3g}, although a probe had reached {best:.3g}: a chosen LR did "
        "harm after its probe. Lower `high`, or try longer probes (probe_share)."
    )
