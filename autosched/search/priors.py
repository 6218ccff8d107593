"""Every number set by hand that steers the search, apart from the defaults of its options.

Written as the laws' numbers are (:mod:`autosched.laws.priors`): ``[unit] what it does. Backing: …``, the backing
being a *source*, an *ablation* or a *judgement*. ``benchmarks/ablate.py`` halves and doubles each and runs the
replays again. The numbers of a numerical method, such as a jitter, are not here.
"""

from __future__ import annotations

# -- pilots -----------------------------------------------------------------------------------------------------------

PILOT_MOST_SHARE = 0.25
"""[share of the horizon] Where one segment is longer, pilots are no bargain and are not made. Judgement."""
PILOT_PIECES = 32
"""[pieces] Of equal LR that a pilot's cooldown is cut into. Judgement: finer ones differ by less than an update."""
PILOT_COOLDOWN = 0.5
"""[share of a pilot] Its cooldown. Judgement: long, as the best of short runs are."""
PILOT_MOST_WARMUP = 0.2
"""[share of a pilot] Most that its warmup takes. Judgement."""
PILOT_NOISE = 0.004
"""[log loss] Scatter of a pilot's end. Judgement: what seeds of the byte GPT differ by."""
PILOT_MISFIT = 0.2
"""[1 / log loss] Distance of pilots' ends from a parabola, over their squared range. Judgement."""
PILOT_BEND_LOG_SD = 0.5
"""[ln] Width of the prior of that parabola's bend. Judgement: pilots bend by 0.01 to 0.2."""
HORIZON_EXPONENT = 0.4
"""[1] Best peak LR ~ updates**-exponent. Source: 0.32 for long runs (Bjorck et al. 2024), 0.5 by the convex bound."""
HORIZON_EXPONENT_SD = 0.2
"""[1] Its uncertainty. Source: a byte GPT has 0.6, Llama runs of 124M parameters about 0.1."""
FEWEST_FULL_RUNS = 2
"""[full runs] That a budget must have before pilots are made. Judgement."""
FEWEST_TRIALS_PER_PILOT = 3
"""[trials] That a budget must have for each pilot. Judgement."""

# -- where the best peak LR lies --------------------------------------------------------------------------------------

PEAK_BEND = 0.012
"""[log loss per ln(peak LR)**2] How much final losses bend over the peak LR. Source: 0.005 on recorded runs of 124M
parameters and 35,000 updates, 0.023 on a byte GPT and 1,200."""
PEAK_BEND_SD = 0.008
"""[log loss per ln(peak LR)**2] Its uncertainty. Source: as above."""
BEST_PEAK_SHARE = 0.25
"""[share of the range] Standard deviation of the best ln(peak LR) about the middle. Judgement: a range is chosen so
that the best lies well inside."""
LEVEL_SD = 10.0
"""[log loss] Of the level of all losses. Source: none is known, so it is wide."""
SHAPE_EFFECT_SD = 0.1
"""[log loss] What the shape of a schedule does to its end. Judgement."""
SHAPE_AND_PEAK_SD = 0.03
"""[log loss] What shape and peak LR do to it together. Judgement."""
OWN_EFFECT_SD = 0.01
"""[log loss] What is each schedule's own. Judgement: without it, differences that a law is sure of would move all
ends."""
SHAPE_PEAK_SD = 0.3
"""[ln(peak LR)] By how much the best peak LRs of shapes lie apart, a short cooldown's below a long one's. Judgement."""
HYPERPARAMETER_PEAK_SD = 2.0
"""[ln(peak LR) per searched range] How far hyperparameters move the best peak LR from where pilots in the middle of
their ranges show it. Judgement: a weight decay a decade above the middle of two asks for a tenth of the LR where their
product alone counts (Bergsma et al. 2025), which is 2.3 over half of the range; a batch for much less."""
LEAST_PEAK_SD = 0.2
"""[ln(peak LR)] Of the best old peak LR at least. Judgement: neighbours of a random search are near by chance."""
OTHER_MODEL_SD = 0.35
"""[ln(peak LR)] For the change to another model. Judgement: 4 times the parameters at an exponent of a quarter."""

# -- candidates -------------------------------------------------------------------------------------------------------

ALIKE = (0.1, 0.03, 0.03)
"""[units of the features] Gaps under which schedules are near-duplicates. Judgement: a tenth in peak LR, 6% of a run in
cooldown."""
CENTRAL_WEIGHTS = (25.0, 1.0, 1.0)
"""[1] Of squared gaps in these features when a middling candidate is chosen. Judgement: the peak LR matters most."""
NEAR = 0.08
"""[share of a range] How far a near point lies from its origin. Judgement."""
ORIGINS = 6
"""[trials] Best and latest ones around which near points are drawn. Judgement."""

# -- choosing ---------------------------------------------------------------------------------------------------------

LEVERAGE = 5.0
"""[1] Error of an end forecast from the first fifth of a run, over the scatter of one evaluation. Judgement."""
SAFE_SHARE = 0.2
"""[share of the horizon] A run that got so far did not diverge at its peak. Judgement."""
BOUNDARY_STRENGTH = 10.0
"""[1] Inverse of the penalty of the boundary of divergence. Ablation: with scikit-learn's own, 1, four runs that
survived leave a peak LR in their midst a chance of 17% to diverge (tests/search/test_divergence.py)."""
UNTESTED_DOUBT = 2.0
"""[1] Factor of forecasts' standard deviations where no end could be left out to test them, when candidates are
compared. Ablation: docs/records/calibration.md, 1, of which intervals hold, costs 4.32 full runs instead of 2.32 in one
of ten searches at 35,000 updates: a search that is as sure as it is right looks about too little."""
FAIR_CHANCE = 3.0
"""[multiples of the threshold] Chance at which a stopped trial is resumed. Judgement: so that none goes to and fro."""

# -- what the law is fitted to ----------------------------------------------------------------------------------------

REFIT_GROWTH = 1.3
"""[1] Growth of what was seen between cold fits. Judgement: their cost."""
MOST_CURVES = 24
"""[curves] Trials, and as many old runs, that a law is fitted to; and stopped trials that are weighed again. Judgement:
their cost."""

# -- proposals --------------------------------------------------------------------------------------------------------

SAMPLER_DRAWS = 8
"""[draws] Of the sampler for one trial before the space itself is drawn from. Judgement."""
SPACE_DRAWS = 256
"""[draws] From the space for one trial before it is taken to be exhausted. Source: a space of N curves with one left is
given up too early with a chance of ``(1 - 1/N)**256``, 8% for N = 100."""
REMEMBERED = 128
"""[trials] Latest ones that tell a sampler, the pruner, and where runs diverge, at least. Judgement: the cost of an
ask."""
