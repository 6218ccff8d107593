"""What an old study's best peak LR says about a new one: a normal prior on the log of the peak LR."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from autosched.errors import UsageError
from autosched.transfer.best_peak import BestPeak
from autosched.transfer.rule import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakPrior:
    """A normal belief about the natural log of the best peak LR.

    Attributes:
        mean, sd: of ln(peak LR); sd > 0.

    Example:
        >>> prior = PeakPrior(mean=math.log(0.01), sd=0.5)
        >>> round(prior.median, 6)
        0.01
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and 0 < self.sd < math.inf):
            raise ValueError(f"need a finite mean and sd > 0, but got {self.mean}, {self.sd}.")

    @property
    def median(self) -> float:
        """The peak LR that is as likely too low as too high."""
        return math.exp(self.mean)

    def quantile(self, share: float) -> float:
        """The natural log of the peak LR below which the best one lies with probability `share`, in (0, 1)."""
        return self.mean + self.sd * float(ndtri(share))


def peak_lr_prior(best: BestPeak | float, transfer: Transfer, *, best_log_sd: float = 0.2) -> PeakPrior:
    """The prior on the new log peak LR from the old best one and what the rules say.

    ``mean = ln(old best) + ln(factor)`` and ``sd**2 = best_log_sd**2 + log_sd**2``.

    Args:
        best: the old study's best peak LR, as a number or as :func:`~autosched.transfer.best_peak.best_peak` found it.
        transfer: what the rules say of the change (:func:`~autosched.transfer.rule.transferred`).
        best_log_sd: standard deviation of the old best one's log when it is given as a number; 0.2 is what peaks a
            factor of 2 apart leave open.

    Raises:
        UsageError: a peak LR or a standard deviation that is not finite or not > 0.

    Example:
        >>> prior = peak_lr_prior(0.01, Transfer(rules=("token-horizon",), factor=0.5, log_sd=0.3))
        >>> round(prior.median, 6), round(prior.sd, 3)
        (0.005, 0.361)
    """
    if isinstance(best, BestPeak):
        log_lr, log_sd = best.log_lr, best.log_sd
    else:
        if not 0 < best < math.inf:
            raise UsageError(f"the old best peak LR must be finite and > 0, but got {best:g}.")
        log_lr, log_sd = math.log(best), best_log_sd
    if not 0 < log_sd < math.inf:
        raise UsageError(f"best_log_sd must be finite and > 0, but got {log_sd:g}.")
    return PeakPrior(mean=log_lr + math.log(transfer.factor), sd=math.hypot(log_sd, transfer.log_sd))
