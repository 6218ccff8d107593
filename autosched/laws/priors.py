"""Every number set by hand that steers the fit of a law or its forecast.

Each is followed by ``[unit] what it does. Backing: …``, where the backing is a *source* (a publication, a definition),
an *ablation* (it was varied, and what that gave), or a *judgement* (neither: it seemed right, and may be wrong). The
numbers of a numerical method, such as tolerances, are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# -- priors of the laws' parameters -----------------------------------------------------------------------------------

FLOOR_SHARE = 0.9
"""[share of the least loss] Where a law's floor is centred; of the rest the power of area or updates, at a run's end.
Judgement."""
TIGHT_SD = 0.3
"""[ln] Width of the prior of a floor, and of what published fits agree about to 6%. Judgement: other trainers may
differ."""
LOOSE_SD = 2.0
"""[ln] Width of a prior that only keeps a parameter's size: a factor of 7 either way. Judgement."""
EXPONENT = 0.5
"""[1] Where the exponent of a power law is centred. Source: 0.43 to 0.51 in the published Multi-Power fits."""
FIRM_SD = 0.5
"""[ln] Width of the prior of an exponent, which fits start from at either end, and of a memory. Judgement."""
DROP_GAIN = 0.03
"""[share of the least loss] What lowering the LR from its peak to 0 brings, where its prior is centred; under the
convex bound what the noise of the peak costs. Judgement."""
ANNEALING_MEMORY = 0.04
"""[share of the horizon] Where the annealing law's memory is centred. Source: Tissue et al. 2024, 1,000 of 24,000
updates."""
MULTI_POWER_SHAPE = (2.1, 0.59, 0.64)
"""[1] Speed, saturation and LR power of the Multi-Power Law, where they are held. Source: the published fits' means."""
FUNCTIONAL_CENTRE = (0.85, 0.25, 0.5, 0.04, 1.0, 1.0, 0.5, 0.5, 2.0, 0.6)
"""[losses as shares of the least loss, else 1] Where the functional law's ten parameters are centred. Judgement: where
fits to byte models and to 124M-parameter models agree; half and double cost the replays more
(docs/records/numbers-of-laws.md)."""
FUNCTIONAL_SD = (0.3, 1.0, 0.4, 1.0, 0.4, 0.4, 0.4, 0.4, 1.0, 0.4)
"""[ln] Widths of these priors. Judgement: the spread of these fits; half and double cost the replays more
(docs/records/numbers-of-laws.md)."""
UNITS_PER_HORIZON = 25.0
"""[1] Units of intrinsic time in a run of mean length at the reference peak LR. Source: a definition of the unit."""
START_UP_STARTS = ((0.5, 0.01), (0.7, 1.0), (2.0, 3.0), (4.0, 10.0))
"""[1, units of intrinsic time] Exponents and start-ups from which a fit of losses that begin at a plateau descends:
from a power law to an exponential. Judgement."""
EXPONENTIAL_MEMORY = 0.2
"""[share of the last update] Where the exponential's memory is centred; fits start from a few updates, too, and from
longer than the run. Judgement."""
CONTINUAL_MEMORY = 999.5
"""[updates] Where the continual law's memory is centred. Source: Wang et al. 2025, lambda = 0.999 an update."""
CONTINUAL_SPEED = (30.0, 0.3)
"""[1 / area of a run, 1] Speed and saturation of that shift, where their priors are centred. Judgement."""
CONTINUAL_STARTS = (1.0, 100.0)
"""[multiples of the speed's centre] Speeds of the shift from which a fit descends. Judgement."""

# -- the fit ----------------------------------------------------------------------------------------------------------

NOISE = 0.01
"""[log loss] Residual that counts as one standard deviation, and above which a point pulls with constant force (Huber):
larger than the scatter of one point, because the residuals of a curve hang together. Judgement: half and double cost
the replays more (docs/records/numbers-of-laws.md)."""
FIRST_SHARE = 0.1
"""[share of the horizon] What is left out as start-up, which no law describes. Judgement: half and double cost the
replays more (docs/records/numbers-of-laws.md)."""
FEWEST_POINTS = 8
"""[points] Fewer are not fitted. Source: about as many parameters."""
WORST_MISFIT = 0.05
"""[log loss] Root mean square residual above which a law does not describe the curves. Judgement."""
WORST_FORECAST_MISFIT = 0.15
"""[log loss] The same for forecasts in a study, which the misfit widens up to there. Judgement."""
WORST_FORECAST_SHARE = 0.5
"""[share of the log losses' standard deviation] The same where losses fall by large factors: what is left unexplained
is then at most a quarter of their variance. Ablation: docs/records/digits.md."""
OUTLYING = 6.0
"""[robust standard deviations] Beyond which a row, if beyond WORST_MISFIT too, says nothing of the law. Source: of
10**8 normal residuals not one lies there."""
MOST_OUTLYING = 0.1
"""[share of the rows] Above which the law is at fault, not the rows. Source: the most gross errors of routine data,
Hampel et al. 1986, section 1.2c."""
UNLIKE_RUNS = 0.005
"""[log loss] Standard deviation between runs of what a law leaves unexplained, above which (and above what scatter
explains) they look like runs of other hyperparameters than the LR. Ablation: at most 0.0013 in groups of eight of the
recorded runs that differ in LR alone, 0.026 where weight decay and betas differ too."""
TINY = 0.1
"""[share of the median loss] A few losses below it are no part of where a descent starts. Judgement."""
MOST_LATE_POWER = 4.0
"""[1] Most that late points may be favoured. Ablation: docs/records/laws-transient.md, 6 and 8 fail on byte GPT runs
that it was chosen on."""
LATE_POWER_ROUNDS = 3
"""[1] How often misfit and late power are found in turn. Judgement."""
LATE_POWER_ENOUGH = 0.2
"""[1] Change of the late power that no longer matters. Judgement."""
LEAST_MISFIT = 3e-4
"""[log loss] Misfit of one point below which it is chance. Ablation: with 1e-4 the median search of five of the replay
at 25,000 updates costs 1.64 full runs instead of 1.52."""
TRANSIENT_POWER = 2.0
"""[1] Late power above which runs count as mostly transient. Judgement: published runs have 1.0, runs of 300 updates
3.4."""

# -- the weights of the laws ------------------------------------------------------------------------------------------

LAW_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"functional": 0.7, "multi_power": 0.2, "annealing": 0.1, "start_up": 0.7}
)
"""[share] Weights of the laws before leave-one-out. Ablation: 0.6 to 0.8 for the functional law change the GPT splits,
on which it was chosen, by a tenth."""
RESOLUTION = 0.005
"""[log loss] How well leave-one-out errors over three curves tell laws apart. Judgement."""
LEAST_WEIGHT = 1e-6
"""[share] Weight below which a law is not asked. Source: it changes no digit that is shown."""
SAME_PEAK = 0.01
"""[relative] Peak LRs that differ by less are one. Source: a warmup to the same peak rounds by less."""

POINTS_PER_CURVE = 24
"""[points] Of a trial or an old run that a study's law is fitted to, and of a left-out curve at which laws are judged.
Judgement: their cost."""

# -- leaving curves out -----------------------------------------------------------------------------------------------

FOLDS = 6
"""[folds] Most leave-out fits per law; of more curves several are left out together. Judgement: their cost."""
LONG_SHARE = 0.5
"""[share of the longest curve] Ends of curves that got so far tell of later ends, the others are the short ones.
Judgement."""
LEAST_END_DISTANCE = 0.3
"""[e-folds of updates] An error over less is mostly scatter. Judgement: rates of 5% to 20% came from a tenth of one."""

# -- merged losses ----------------------------------------------------------------------------------------------------

MERGED_MISSES = (0.06, 0.23)
"""[share of what the mean of the weights gained] That a cooldown as long gives beyond it: for a window of a tenth of
the updates, and per e-fold of the window. Source: least squares over cooldowns of a byte GPT at five peak LRs, windows
of 5% to 40% (docs/records/merged.md)."""
MERGED_SD = 0.16
"""[the same share] Its standard deviation between peak LRs and windows. Source: as above."""
LONGEST_MERGED = 0.45
"""[share of the updates done] Longest window that is heard. Source: as above, at 60% the mean gains nothing."""

# -- outside what was fitted ------------------------------------------------------------------------------------------

SEEN_SHARE = 0.9
"""[share of a step] A run that was seen so far tells about it, and may be asked so much further. Judgement."""
UNTESTED_LATER = 2.0
"""[peak errors per e-fold of updates] Error of later ends than any run's, where no fit could be tested on one: all runs
have one horizon. Source: 1.5 and 1.7 on the 25M and 100M GPT, fitted at 24,000 updates, at 72,000; rounded up."""
EFOLDS_PER_PEAK = 3.0
"""[e-folds of updates per ln(peak LR)] What a distance in peak LR is worth in updates. Ablation: 1, 2 and 3 on the byte
GPT that it was chosen on."""
BETWEEN_PEAKS = 0.3
"""[share] Of a distance that is left between two peak LRs that were seen as far. Judgement."""

# -- the residual process ---------------------------------------------------------------------------------------------

RECENT_SHARE = 0.05
"""[share of the updates or losses so far] The last ones: LRs that are a feature of their own; losses of a probe that
are never dropped, as a spike there cannot be told from a divergence; losses that tell where a stage ended.
Judgement."""
NEAR_PEAK = 0.5
"""[ln(peak LR)] Length over which runs behave alike whatever their shape. Judgement."""
LASTING_EFOLDS = 5.0
"""[e-folds of updates] Length over which a run's or a peak's offset lasts. Judgement."""
LEAST_RESIDUAL = 1e-4
"""[log loss] Least size that residuals are taken to have. Ablation: with 3e-4 one of five searches of the replay at
35,000 updates costs 3.72 full runs instead of 2.60."""
KERNEL_SD = (1.0, 1.0, 1.0, 0.7, 0.7, 0.5, 0.5, 0.5, 0.2)
"""[ln] Widths of the priors of shared, near, own, scatter and the five lengths. Ablation: left free, the length in log
step lies anywhere in 1 to 3, and the error on longer horizons in 0.0015 to 0.006 (docs/records/laws-held-out.md)."""
COORDINATE_LENGTH = 0.5
"""[share of the searched range] Where the length of a hyperparameter starts. Judgement."""
COORDINATE_LENGTH_SD = 1.0
"""[ln] Width of its prior: it may lie anywhere about the range, and beyond it where it does not matter. Judgement."""
PROCESS_POINTS = 480
"""[points] Most that the process keeps, over all curves. Judgement: its cost."""
LEAST_POINT_WEIGHT = 0.12
"""[share of the last point's weight] Below which the process does not keep a point. Judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPrior:
    """Where a kernel of the residual process starts.

    Attributes:
        shared, near, own: amplitudes, as multiples of the residuals' size, which a fit has made small.
        lengths: per feature of a history.
    """

    shared: float
    near: float
    own: float
    lengths: tuple[float, float, float, float, float]


WHOLE_RUNS = KernelPrior(shared=3.0, near=0.02, own=1.0, lengths=(1.0, 0.35, 0.35, 0.35, 2.5))
"""[multiples of the residuals' size; units of the features] For curves of little noise and many points: corrections are
local, so that they fade where a law extrapolates. Ablation: docs/records/laws-transient.md, on the Llama runs that it
was chosen on."""
TRANSIENT_RUNS = KernelPrior(shared=0.3, near=3.0, own=1.0, lengths=(1.0, 1.0, 1.0, 1.0, 4.0))
"""[as above] For runs that are mostly transient: what a peak LR does to the law's error lasts, what a shape does to it
fades. Ablation: docs/records/laws-transient.md, on the byte GPT runs that it was chosen on."""
RUNNING_TRIALS = KernelPrior(shared=3.5, near=2.5, own=1.2, lengths=(2.2, 1.0, 1.0, 1.0, 3.0))
"""[as above] For the few noisy points of running trials, without learning: a trial borrows from all others.
Judgement."""

# -- calibration ------------------------------------------------------------------------------------------------------

INFLATION_RUNS = 4.0
"""[ends] That calibrated standard deviations count for, beside those that were left out (``full``) or are past
(``fast``), and in the degrees of freedom of the latter's tails. Ablation: 4 in place of 6 changes no figure of the
replays of random+law and tpe+law, 3 seeds."""
LEAST_INFLATION = 0.8
"""[1] Least factor of the standard deviations of ``full``. Ablation: docs/records/replay-llama124m.md, 0.7 and 1.0 on
the replays that it was chosen on."""
CALIBRATION_RUNS = 10
"""[runs] Most complete runs that ``fast`` is calibrated on. Judgement: their cost."""
LEAST_SD = 0.003
"""[relative] Least standard deviation of a forecast of ``fast``. Judgement: what no law knows better."""

# -- one probe at one LR ----------------------------------------------------------------------------------------------

PROBE_OUTLIER = 4.0
"""[standard deviations] Off the smooth curve from which a loss of a probe is dropped, and of the slope from which it
rises or falls. Source: once in 16,000 normal ones."""
PROBE_HUBER = 1.5
"""[standard deviations] From which a loss pulls with constant force. Source: near Huber's 1.345, of 95% efficiency."""
PROBE_MEMORIES = (0.05, 20.0)
"""[share of the span, share of the horizon] Shortest and longest memory that is tried, the span being likeliest, up to
a factor of e. Judgement."""
