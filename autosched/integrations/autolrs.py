"""`AutoLRS` for a training loop of one's own: it finds the learning rate (LR) on the fly, stage by stage.

The loop stays an ordinary one. It takes its batches from the tuner, which goes back to earlier ones when a probe ends,
and calls ``step`` after each update::

    tuner = AutoLRS(model, optimizer, loader, low=1e-3, high=1, steps=20_000)
    for x, y in tuner.batches():
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tuner.step(loss)          # sets the LR of the next update; rewinds the run when a probe ends

What is tried and why is the state machine's matter (:mod:`autosched.search.autolrs.machine`); this module trains for
it. Importing it does not load torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosched.errors import UsageError
from autosched.integrations.autolrs_data import Feed, feed_of
from autosched.integrations.autolrs_loader import RewindableLoader
from autosched.integrations.autolrs_lr import GroupLrs
from autosched.integrations.autolrs_progress import Progress
from autosched.integrations.autolrs_ranks import Ranks
from autosched.integrations.autolrs_saved import check_saved, machine_entries, read_progress, with_snapshots
from autosched.integrations.autolrs_snapshot import Shelf, Snapshot, Stateful, Training
from autosched.random_states import Generators
from autosched.schedules.schedule import Schedule
from autosched.search.autolrs import (
    Failed,
    Settings,
    State,
    Work,
    above_its_probes,
    ask,
    schedule,
    stages,
    standing,
    tell,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["AutoLRS", "RewindableLoader", "Settings"]

_CHECKPOINT = "checkpoint"  # of the present stage


class AutoLRS:
    """Sets an optimizer's LR while a loop trains, and rewinds the run after each probe.

    Under ``torch.distributed`` losses are averaged over ranks, rank 0 decides, and all follow; make one on every rank.

    Args:
        model: its parameters and buffers are rewound.
        optimizer: its LRs are set, its state is rewound. The tuner's LR is that of the first parameter group; the
            others keep the ratio they have to it now.
        data: where :meth:`batches` come from: a loader or another iterable of batches, or a function of their number;
            :mod:`autosched.integrations.autolrs_data` says how each kind is rewound. None for a loop that takes them
            from elsewhere; they are not
            rewound then, and the tuner warns of it.
        settings: what to do; or its fields as keywords, such as ``low=1e-3, high=1, steps=20_000``.
        validate: gives the validation loss of the model, for stages that are scored by it. With keywords and without
            `validate`, ``validation_from`` is None.
        scheduler, scaler: rewound too; the tuner has the last word on the LR.
        others: more that is to be rewound, by name, such as an average of the weights.
        keep: ends of probes that are kept, the best ones: the stage goes on from the winner's. Each costs what model
            and optimizer do; with 0 the winner's probe is trained twice. A probe whose decay is being trained has its
            end kept beside them.
        place: where snapshots are kept: on the model's ``device``, in main memory (``cpu``), or in a folder
            of the run's own.

    Raises:
        UsageError: a value that is not allowed.
    """

    def __init__(  # noqa: PLR0913 - what a training loop consists of
        self,
        model: nn.Module,
        optimizer: Optimizer,
        data: Any = None,
        *,
        settings: Settings | None = None,
        validate: Callable[[], float | Tensor] | None = None,
        scheduler: Stateful | None = None,
        scaler: Stateful | None = None,
        others: Mapping[str, Stateful] | None = None,
        keep: int = 2,
        place: str | Path = "device",
        **numbers: Any,
    ) -> None:
        self.settings = _settings(settings, numbers, validate is not None)
        if keep < 0:
            raise UsageError(f"keep must be at least 0, but got {keep}.")
        self._keep = keep if self.settings.reuse else 0
        self._validate, self._ranks, self._rng = validate, Ranks(), Generators(model)
        self._feed: Feed = feed_of(data, self._rng)
        self._lrs = GroupLrs(optimizer)
        parts, many = _named(scheduler, scaler, others), self._ranks.count > 1
        self._training = Training(model, optimizer, parts, self._feed, self._rng, many=many)
        self._shelf = Shelf(place, self._ranks.rank)
        self._state, self._now, self._warned = State(), Progress(), False
        self.failure = ""
        """Why the run ended before its time, and what to try; empty otherwise."""
        self._go_on()

    @property
    def done(self) -> bool:
        """Whether the run is over: at its end, or because every LR diverged (:attr:`failure`)."""
        return self._now.work is None

    @property
    def position(self) -> int:
        """Number of the update that comes next, from 0; goes back when the run is rewound."""
        return self._state.position if self._now.work is None else self._now.position

    @property
    def trained(self) -> int:
        """Updates trained so far, searching included."""
        return self._state.trained + self._now.updates

    @property
    def lr(self) -> float:
        """LR of the next update, in the first parameter group; of the last one when the run is over."""
        return self._state.lr if self._now.work is None else self._now.lr

    @property
    def work(self) -> Work | None:
        """What is being trained: a probe, a committed stage, a warmup, a cooldown; None when the run is over."""
        return self._now.work

    def batches(self) -> Iterator[Any]:
        """Batches until the run is over, over as many epochs as it takes, rewound with it.

        Raises:
            UsageError: there is no data, or no more of it.
        """
        while not self.done:
            yield self._feed.take()

    def step(self, loss: float | Tensor) -> bool:
        """Say what an update's loss was, after each update of the optimizer; sets the LR of the next one.

        Args:
            loss: mean loss of the update's batch; with accumulated gradients, of all its batches. In nats.

        Returns:
            Whether the run was rewound, so that batches fetched before are of no use; :meth:`batches` knows.

        Raises:
            UsageError: the run is over; the loss is no single number; batches do not come from :meth:`batches` although
                their kind needs it.
        """
        if self._now.work is None:
            raise UsageError("the run is over: leave the loop when tuner.done, or iterate over tuner.batches().")
        if not (self._feed.own_loop or self._feed.taken):
            raise UsageError("data of this kind is only rewound when batches come from tuner.batches().")
        self._now.add(self._ranks.mean(_number(loss)), self._validation_loss)
        if not self._now.over:
            self._lrs.set(self._now.lr)
            return False
        return self._end_work(self._now.work)

    def schedule(self) -> Schedule | None:
        """LRs of all committed updates so far, of the first parameter group; None before the first one."""
        return schedule(self._state)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on from here, the model and the optimizer included: tensors and plain values.

        Under ``torch.distributed`` call it on all ranks; what one of them saves is for all. Tensors of the present
        model are not copied, as with any ``state_dict``.
        """
        snapshots = {"present": self._training.present()} | {name: self._shelf.get(name) for name in self._shelf.names}
        entries = machine_entries(self.settings, self._state, self._now)
        entries |= {"failure": self.failure, "ratios": list(self._lrs.ratios)}
        return with_snapshots(entries, self._ranks, snapshots)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was called, in a process that made its objects in the same way.

        Raises:
            UsageError: it is of another version, other settings, or another number of ranks or parts;
                ranks have different ones.
        """
        check_saved(state_dict, self.settings, self._ranks, self._training.names)
        self._state, self._now = read_progress(state_dict, self.settings)
        self.failure = state_dict["failure"]
        self._lrs.ratios = tuple(state_dict["ratios"])
        own = state_dict["ranks"][self._ranks.rank]
        self._shelf.clear()
        for name, common in state_dict["common"].items():
            if name != "present":
                self._shelf.put(name, {"common": common, "own": own[name]})
        self._restore({"common": state_dict["common"]["present"], "own": own["present"]})
        if self._now.work is not None:
            self._lrs.set(self._now.lr)

    def _validation_loss(self) -> float:
        """Averaged over ranks; what it draws does not count."""
        assert self._validate is not None, "checked by _settings"  # noqa: S101 - at the beginning
        with self._rng.kept():
            return self._ranks.mean(_number(self._validate()))

    def _end_work(self, work: Work) -> bool:
        """Tell what was seen, keep the end if it is a good one, and begin what comes next."""
        before = self._state
        self._state, order = self._ranks.decided(lambda: self._told(before, work))
        if work.kind in ("probe", "decay"):
            self._keep_ends(work, order)
        if self._state.position > before.position:
            self._shelf.clear()
        return self._go_on()

    def _told(self, before: State, work: Work) -> tuple[State, list[int]]:
        state = tell(self.settings, before, work, self._now.seen())
        return state, standing(self.settings, state) if work.kind in ("probe", "decay") and self._keep else []

    def _keep_ends(self, work: Work, order: list[int]) -> None:
        """Of the best probes that there still are, as more may change the order; and where the decay comes next."""
        best = [number for number in order if number == work.probe or number in self._ends()][: self._keep]
        waiting = [tried.number for tried in self._state.tried if tried.undecayed] if self._keep else []
        for number in self._ends() - {*best, *waiting}:
            self._shelf.drop(_end(number))
        if work.kind == "probe" and work.probe in [*best, *waiting]:
            self._shelf.put(_end(work.probe), self._training.present())

    def _ends(self) -> set[int]:
        """Numbers of the probes whose end is kept."""
        return {int(name.removeprefix("end ")) for name in self._shelf.names if name != _CHECKPOINT}

    def _go_on(self) -> bool:
        """Ask what comes next and bring the run to where it starts; whether that is a rewind."""
        ends = self._ends()
        decision = self._ranks.decided(lambda: ask(self.settings, self._state, ends=ends))
        self._now = Progress.of(self.settings, decision if isinstance(decision, Work) else None)
        if isinstance(decision, Work):
            rewound = self._bring_to(decision)
            self._lrs.set(self._now.lr)  # after the optimizer was put back with the LR it had
            return rewound
        if isinstance(decision, Failed):
            self.failure = decision.reason
            warnings.warn(f"AutoLRS: {decision.reason}", stacklevel=2)
            return self._rewind(_CHECKPOINT) if _CHECKPOINT in self._shelf.names else False
        warning = above_its_probes(self._state)
        if warning is not None:
            warnings.warn(f"AutoLRS: {warning}", stacklevel=2)
        return False

    def _bring_to(self, work: Work) -> bool:
        if work.kind == "commit":
            return self._rewind(_end(work.probe) if self._now.from_an_end else _CHECKPOINT)
        if work.kind != "probe":
            return False
        if _CHECKPOINT in self._shelf.names:
            return self._rewind(_CHECKPOINT)
        self._shelf.put(_CHECKPOINT, self._training.present())
        return False

    def _rewind(self, name: str) -> bool:
        self._restore(self._shelf.get(name))
        return True

    def _restore(self, snapshot: Snapshot) -> None:
        if self._feed.fault and not self._warned:
            self._warned = True
            warnings.warn(
                f"AutoLRS: the run is rewound, its batches are not ({self._feed.fault}): probes see different "
                "batches, so their losses differ by more than their LRs. Give data that can be rewound "
                "(docs/how-to/autolrs-loop.md).",
                stacklevel=2,
            )
        self._training.restore(snapshot)


def _end(probe: int | None) -> str:
    return f"end {probe}"


def _number(loss: Any) -> float:
    try:
        return float(loss.detach()) if hasattr(loss, "detach") else float(loss)
    except (TypeError, ValueError, RuntimeError):
        raise UsageError(f"a loss must be one number, but got {loss!r:.80}.") from None


def _named(
    scheduler: Stateful | None, scaler: Stateful | None, others: Mapping[str, Stateful] | None
) -> dict[str, Stateful]:
    found = {"scheduler": scheduler, "scaler": scaler, **(others or {})}
    if {"model", "optimizer"} & set(found):
        raise UsageError("others must have names other than model and optimizer.")
    return {name: part for name, part in found.items() if part is not None}


def _settings(settings: Settings | None, numbers: Mapping[str, Any], can_validate: bool) -> Settings:
    if settings is not None and numbers:
        raise UsageError(f"give either settings or its fields, but got settings and {', '.join(sorted(numbers))}.")
    if settings is None:
        given = dict(numbers) if can_validate else {"validation_from": None, **numbers}
        try:
            settings = Settings(**given)
        except TypeError as error:
            raise UsageError(f"AutoLRS: {error}.") from None
    if can_validate or settings.validation_from is None:
        return settings
    if settings.steps is None or any(stage.by_validation for stage in stages(settings)):
        raise UsageError(
            f"stages from {settings.validation_from} on are scored by validation losses: give validate, "
            "or set validation_from to None."
        )
    return settings
