"""What the probes of a stage are worth: their forecast losses, at the end of the stage or of the whole run.

And whether a run that got to its end got anywhere: probes are short, and some LRs lose a model only later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autosched.laws.exponential_forecast import forecast_probe
from autosched.laws.fit import FitFailure
from autosched.laws.priors import RECENT_SHARE
from autosched.laws.published_probe import published_forecast
from autosched.randomness import key
from autosched.search.autolrs.blend import blended
from autosched.search.autolrs.decayed import decayed_worths
from autosched.search.autolrs.law_forecast import LawEnds, law_ends
from autosched.search.autolrs.priors import ABOVE_ITS_PROBE
from autosched.search.autolrs.records import Expectation, Numbers, Seen, State, Tried, Worth
from autosched.search.autolrs.settings import Settings
from autosched.search.autolrs.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The probes of a stage.

    Attributes:
        numbers: of those that are over, increasing.
        worths: of these.
        expected: by number of the probe, what is forecast for the end of the stage.
    """

    numbers: tuple[int, ...]
    worths: tuple[Worth, ...]
    expected: Mapping[int, tuple[Expectation, ...]]


def values(settings: Settings, state: State, stage: Stage) -> Values:
    """What each probe of the present stage that is over, its decay included, is worth by the settings' forecast."""
    over = [tried for tried in state.tried if not tried.undecayed]
    if settings.needs_decays:
        return _values(over, decayed_worths(over), {})
    own = {tried.number: tried.end for tried in over if tried.end is not None}
    law = law_ends(settings, state, stage) if settings.needs_law and own else LawEnds()
    worth: Mapping[int, Expectation] = own
    if law.run_end:
        worth = law.run_end if settings.forecast == "law" else blended(state, own, law)
    tables = (own, law.stage_end)
    expected = {one.number: tuple(table[one.number] for table in tables if one.number in table) for one in over}
    return _values(over, worth, expected)


def _values(
    over: Sequence[Tried], worth: Mapping[int, Expectation], expected: Mapping[int, tuple[Expectation, ...]]
) -> Values:
    worths = []
    for tried in over:
        found = worth.get(tried.number)
        mean, sd = (None, None) if found is None else (found.mean, found.sd)
        worths.append(Worth(lr=tried.lr, mean=mean, sd=sd))
    return Values(numbers=tuple(tried.number for tried in over), worths=tuple(worths), expected=expected)


def end_of_stage(settings: Settings, state: State, stage: Stage, seen: Seen) -> tuple[Expectation | None, str]:
    """The loss a probe's LR would have at the end of its stage, from the probe alone; or why that is not known."""
    if settings.forecast == "published":
        return _published(state, stage, seen)
    steps = np.asarray(seen.steps) - stage.checkpoint
    seed = key(settings.seed, "probe", stage.index, len(state.tried))
    found = forecast_probe(steps, seen.losses, stage.horizon, seed=seed)
    if isinstance(found, FitFailure):
        return None, found.reason
    return Expectation(name="exponential", mean=found.mean, sd=found.sd), ""


def _published(state: State, stage: Stage, seen: Seen) -> tuple[Expectation | None, str]:
    """As the server does: the last losses of the probe, one per x; validation losses have an x of their own."""
    losses, asked = np.asarray(seen.losses[-stage.probe :]), float(stage.horizon)
    if stage.by_validation:
        every = stage.probe // len(losses) if len(losses) else 1
        asked = float(stage.horizon // max(every, 1))
    found = published_forecast(losses, asked, validation=stage.by_validation)
    if isinstance(found, FitFailure):
        return None, found.reason
    value = found.value
    if stage.by_validation and state.first_loss is not None and losses.max() >= state.first_loss:
        value = float(losses[-1])
    return Expectation(name="published", mean=value, sd=0.0), ""


def level(losses: Numbers) -> float | None:
    """Smooth loss at the end of a stage: the mean of its last twentieth, nats."""
    last = losses[-max(1, math.ceil(RECENT_SHARE * len(losses))) :]
    return float(np.mean(last)) if last else None


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
