"""What an AutoLRS run is asked to do: its stages, its probes, and how a probe's worth is told."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, get_args

from autosched.errors import UsageError
from autosched.laws.priors import FEWEST_POINTS

ForecastName = Literal["exponential", "published", "law", "blend", "decayed"]
FORECASTS: tuple[ForecastName, ...] = get_args(ForecastName)
_KINDS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "int": ("a whole number", (Integral,)),
    "int | None": ("a whole number or None", (Integral, type(None))),
    "float": ("a number", (Real,)),
    "bool": ("true or false", (bool,)),
}
"""What a setting may be, by its annotation; names are checked with the ranges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All numbers of AutoLRS; the defaults are the paper's, with the mended forecast and the winner's probe reused.

    Attributes:
        low, high: bounds of the LR, ``0 < low < high``; an LR range test finds them.
        steps: updates of the whole run; None for a run without an end, whose stages go on for ever.
        first_stage, longest_stage: updates of a stage (the paper's tau): the first, doubled at each next one up to the
            longest.
        probe_share: updates of a probe as a share of its stage's (tau' / tau).
        log_every: updates between two logged losses; probes are whole multiples of it.
        probes: LRs tried per stage.
        forecast: what tells a probe's worth. ``exponential``: its loss at the end of the stage, by
            :mod:`autosched.laws.exponential_forecast`; ``published``: the same by the paper's own procedure; ``law``:
            the loss at the end of the *run*, by a loss law fitted to the run and its probes; ``blend``: that of the
            law, corrected towards the exponential as far as this one was right about earlier stages; ``decayed``: no
            forecast, but its loss after a further short decay of the LR to 0, from the probe's or from the run's LR
            before, whichever is higher; the decay is thrown away; for runs that end with a cooldown.
        decay_share: updates of that decay as a share of the probe's.
        kappa: of the lower confidence bound, ``mean - kappa * sd``, whose minimum is the next LR to try.
        memory: whether the Gaussian process keeps what earlier stages showed; the best log LR drifts slowly.
        reuse: whether the winner's probe is the beginning of its stage, or trained a second time.
        first_probe: the first LR of a stage without memory: ``last`` stage's LR (the middle of the range at first), or
            drawn at ``random``.
        winner: the LR tried whose ``posterior`` mean, or whose own ``forecast``, is lowest.
        validation_from: first stage (from 0) that is scored by validation losses instead of training losses, or None.
        validations: validation losses per probe, where these score it.
        warmup_steps, warmup_lr: linear warmup before the first stage, not searched.
        cooldown_fraction: share of all updates, at the end, in which the LR falls linearly from the last stage's to 0.
        message_updates: spend the updates that the published server's messages cost (one before each stage's
            checkpoint, one more in the very first probe and at the end of each stage), trained at the LR before.
        seed: of what is random.

    Raises:
        UsageError: a value that is not allowed.
    """

    low: float
    high: float
    steps: int | None = None
    first_stage: int = 1000
    longest_stage: int = 8000
    probe_share: float = 0.1
    log_every: int = 1
    probes: int = 10
    forecast: ForecastName = "exponential"
    decay_share: float = 0.25
    kappa: float = 2.0
    memory: bool = False
    reuse: bool = True
    first_probe: Literal["last", "random"] = "last"
    winner: Literal["posterior", "forecast"] = "posterior"
    validation_from: int | None = 4
    validations: int = 16
    warmup_steps: int = 0
    warmup_lr: float = 0.0
    cooldown_fraction: float = 0.0
    message_updates: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, rule, fine in self._rules():
            if not fine:
                raise UsageError(f"AutoLRS: {name} must be {rule}, but got {getattr(self, name)!r}.")

    def _rules(self) -> list[tuple[str, str, bool]]:
        """Field, rule, and whether it is kept; the kinds of numbers first, as all else is about numbers."""
        typed = {field.name: _KINDS[str(field.type)] for field in dataclasses.fields(self) if field.type in _KINDS}
        kinds = [(name, rule, _is(getattr(self, name), types)) for name, (rule, types) in typed.items()]
        return self._ranges() if all(fine for _, _, fine in kinds) else kinds

    def _ranges(self) -> list[tuple[str, str, bool]]:
        fewest = self.shortest_stage if 0 < self.probe_share <= 1 and self.log_every >= 1 else 0
        return [
            ("low", "above 0 and finite", 0 < self.low < math.inf),
            ("high", f"above low, {self.low:g}, and finite", self.low < self.high < math.inf),
            ("probe_share", "in (0, 0.5]", 0 < self.probe_share <= 0.5),
            ("log_every", "at least 1", self.log_every >= 1),
            (
                "first_stage",
                f"at least {fewest}, so that a probe has {FEWEST_POINTS} losses",
                self.first_stage >= fewest,
            ),
            ("longest_stage", f"at least first_stage, {self.first_stage}", self.longest_stage >= self.first_stage),
            ("probes", "at least 1", self.probes >= 1),
            ("forecast", f"one of {', '.join(FORECASTS)}", self.forecast in FORECASTS),
            ("decay_share", "in (0, 1]", 0 < self.decay_share <= 1),
            ("kappa", "finite and at least 0", 0 <= self.kappa < math.inf),
            ("first_probe", "last or random", self.first_probe in ("last", "random")),
            ("winner", "posterior or forecast", self.winner in ("posterior", "forecast")),
            ("validation_from", "a stage >= 0, or None", self.validation_from is None or self.validation_from >= 0),
            ("validations", f"at least {FEWEST_POINTS}", self.validations >= FEWEST_POINTS),
            ("warmup_steps", "at least 0", self.warmup_steps >= 0),
            ("warmup_lr", "above 0 and finite with warmup_steps, else 0", _warmup_fits(self)),
            ("cooldown_fraction", "in [0, 1), and 0 in a run without an end", _cooldown_fits(self)),
            ("steps", "given: the law forecasts the end of the run", self.steps is not None or not self.needs_law),
            ("steps", f"at least {fewest} more than warmup and cooldown have", _long_enough(self, fewest)),
        ]

    @property
    def shortest_stage(self) -> int:
        """Updates of the shortest stage whose probes have the losses that a forecast needs."""
        return math.ceil(FEWEST_POINTS * self.log_every / self.probe_share - 1e-9)

    @property
    def needs_law(self) -> bool:
        """Whether the forecast uses a loss law."""
        return self.forecast in ("law", "blend")

    @property
    def needs_decays(self) -> bool:
        """Whether each probe is followed by a decay."""
        return self.forecast == "decayed"

    @property
    def cooldown_steps(self) -> int:
        """Updates of the cooldown."""
        return 0 if self.steps is None else round(self.cooldown_fraction * self.steps)

    @classmethod
    def published(cls, low: float, high: float, **others: Any) -> Settings:
        """The published server: its forecast, kappa and messages; the winner's probe is trained twice."""
        preset: Mapping[str, Any] = {
            "forecast": "published",
            "kappa": 1e6,
            "reuse": False,
            "first_probe": "random",
            "winner": "forecast",
            "message_updates": True,
        }
        return cls(low=low, high=high, **{**preset, **others})

    @classmethod
    def far_sighted(cls, low: float, high: float, steps: int, **others: Any) -> Settings:
        """Four decayed probes per stage, as long as their decays, memory, and a cooldown over the last two fifths.

        One committed update costs at most 1.35 trained ones: 4 probes and 4 decays, each a twentieth of the stage, less
        the winner's probe, which is reused.
        """
        preset: Mapping[str, Any] = {
            "forecast": "decayed",
            "probes": 4,
            "probe_share": 0.05,
            "decay_share": 1.0,
            "memory": True,
            "validation_from": None,
            "cooldown_fraction": 0.4,
        }
        return cls(low=low, high=high, steps=steps, **{**preset, **others})

    def plain(self) -> dict[str, Any]:
        """As JSON data; ``Settings(**plain)`` is this again."""
        return dataclasses.asdict(self)


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _warmup_fits(settings: Settings) -> bool:
    if settings.warmup_steps == 0:
        return settings.warmup_lr == 0
    return 0 < settings.warmup_lr < math.inf


def _cooldown_fits(settings: Settings) -> bool:
    share = settings.cooldown_fraction
    return share == 0 if settings.steps is None else 0 <= share < 1


def _long_enough(settings: Settings, fewest: int) -> bool:
    if settings.steps is None or not _cooldown_fits(settings):
        return True
    return settings.steps - settings.warmup_steps - settings.cooldown_steps >= fewest + 2 * settings.message_updates
