"""Rules by which the best peak LR is a product of powers: token horizon, batch size, width, and the Power scheduler's.

    new / old = product over terms of (ratio of the quantity) ** exponent

The standard deviations of the exponents are judgements, from how far published exponents for the same quantity lie
apart; docs/how-to/transfer.md says which. A change by more than the widest one that was studied is warned of. The Power
scheduler's equation, exponents and ranges were read at the source; the widest changes behind the token horizon, the
square root and muP are from memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autosched.transfer.change import Change, Quantity
from autosched.transfer.rule import Axis, NoTransfer, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One factor of a power rule.

    Attributes:
        quantity: what it is a power of.
        exponent: the power.
        exponent_sd: its standard deviation.
        widest: the largest factor by which the quantity was changed where the rule was found or tested.
    """

    quantity: Quantity
    exponent: float
    exponent_sd: float
    widest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRule:
    """A product of powers; see the module.

    Attributes:
        weights: which of the model's it holds for, where it is not for all; the others keep their LR.
        critical_batch: the batch size up to which a rule for the batch size holds; None when it is not known.

    Example:
        >>> from autosched.schedules.schedule import Schedule
        >>> from autosched.transfer.change import Setting
        >>> short, long = Schedule([0.1] * 100), Schedule([0.1] * 200)
        >>> said = TOKEN_HORIZON.apply(Change(old=Setting(schedule=short), new=Setting(schedule=long)))
        >>> round(said.factor, 4) == round(2**-0.32, 4)
        True
    """

    name: str
    axes: frozenset[Axis]
    formula: str
    validity: str
    source: str
    terms: tuple[Term, ...]
    weights: str = ""
    critical_batch: float | None = None

    def apply(self, change: Change) -> Transfer | NoTransfer:
        """The product of powers of this change; no transfer when a quantity is not known."""
        log, variance, warnings = 0.0, 0.0, list(self._batch_warnings(change))
        for term in self.terms:
            ratio = change.ratio(term.quantity)
            if ratio is None:
                return NoTransfer(rule=self.name, reason=f"{self.name} needs the {term.quantity} of both runs.")
            log += term.exponent * math.log(ratio)
            variance += (term.exponent_sd * math.log(ratio)) ** 2
            if max(ratio, 1 / ratio) > term.widest:
                text = f"{self.name} was studied for {term.quantity} up to {term.widest:g} times apart"
                warnings.append(f"{text}, but here they are {max(ratio, 1 / ratio):.3g} times apart.")
        return Transfer(
            rules=(self.name,),
            factor=math.exp(log),
            log_sd=math.sqrt(variance),
            warnings=tuple(warnings),
            weights=self.weights,
            others=1.0 if self.weights else None,
        )

    def _batch_warnings(self, change: Change) -> tuple[str, ...]:
        """For a rule of the batch size alone: whether both batches are known to be below the critical one."""
        if self.axes != {"batch"} or change.old.batch is None or change.new.batch is None:
            return ()
        largest = max(change.old.batch, change.new.batch)
        if self.critical_batch is None:
            return (f"{self.name} holds below the critical batch size, which was not given.",)
        if largest > self.critical_batch:
            text = f"{self.name} holds below the critical batch size {self.critical_batch:g}"
            return (f"{text}, but a batch is {largest:g}: beyond it the best LR rises less, or falls.",)
        return ()


TOKEN_HORIZON = PowerRule(
    name="token-horizon",
    axes=frozenset({"horizon"}),
    formula="peak LR ~ tokens**-0.32",
    validity="GPT-like language models of 50M to 2.7B parameters, up to 800B tokens, at one batch size",
    source="Bjorck et al. 2024, arXiv:2409.19913",
    terms=(Term(quantity="tokens", exponent=-0.32, exponent_sd=0.15, widest=32),),
)
BATCH_SQRT = PowerRule(
    name="batch-sqrt",
    axes=frozenset({"batch"}),
    formula="peak LR ~ sqrt(batch)",
    validity="Adam and RMSprop below the critical batch size (betas and eps scaled too, in theory)",
    source="Malladi et al. 2022, arXiv:2205.10287",
    terms=(Term(quantity="batch", exponent=0.5, exponent_sd=0.15, widest=32),),
)
BATCH_LINEAR = PowerRule(
    name="batch-linear",
    axes=frozenset({"batch"}),
    formula="peak LR ~ batch",
    validity="SGD with momentum below the critical batch size, with a warmup",
    source="Goyal et al. 2017, arXiv:1706.02677",
    terms=(Term(quantity="batch", exponent=1.0, exponent_sd=0.25, widest=32),),
)
POWER_SCHEDULER = PowerRule(
    name="power-scheduler",
    axes=frozenset({"horizon", "batch"}),
    formula="peak LR ~ batch * tokens**-0.51",
    validity="WSD with 10% cooldown and muP, 12M to 121M parameters, 2B to 256B tokens, 16 to 512 sequences of 4096",
    source="Shen et al. 2024 (Power scheduler), arXiv:2408.13359, equation 6",
    terms=(
        Term(quantity="batch", exponent=1.0, exponent_sd=0.15, widest=32),
        Term(quantity="tokens", exponent=-0.51, exponent_sd=0.05, widest=128),
    ),
)
MUP_WIDTH = PowerRule(
    name="mup-width",
    axes=frozenset({"width"}),
    formula="peak LR of hidden matrices ~ 1 / width",
    validity="hidden matrices under Adam; embeddings, biases and norms keep the old LR, in groups of their own",
    source="Yang et al. 2022 (Tensor Programs V), arXiv:2203.03466, table 3",
    terms=(Term(quantity="width", exponent=-1.0, exponent_sd=0.15, widest=64),),
    weights="hidden matrices",
)
