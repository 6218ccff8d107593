"""Carrying a tuned peak LR over to another horizon, schedule, batch size or width: rules, priors, new schedules."""

from autosched.transfer.best_peak import BestPeak, best_peak
from autosched.transfer.carry import carried
from autosched.transfer.change import Change, Setting
from autosched.transfer.extension import Extension, NoExtension, extend_wsd
from autosched.transfer.prior import PeakPrior, peak_lr_prior
from autosched.transfer.registry import DEFAULTS, RULES, get_rule
from autosched.transfer.rule import NoTransfer, Transfer, TransferRule, transferred

__all__ = [
    "DEFAULTS",
    "RULES",
    "BestPeak",
    "Change",
    "Extension",
    "NoExtension",
    "NoTransfer",
    "PeakPrior",
    "Setting",
    "Transfer",
    "TransferRule",
    "best_peak",
    "carried",
    "extend_wsd",
    "get_rule",
    "peak_lr_prior",
    "transferred",
]
