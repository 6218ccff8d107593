"""Whether a trainer keeps the promises of :class:`autosched.trainer.Trainer`: found out by training a few updates.

Everything is asked from outside, by comparing losses, so that a trainer of any framework can be asked. A finding says
what was seen and what to do. The contract suite (:mod:`autosched.testing.trainer_contract`) is the stricter sibling,
for a trainer's own tests.

    quick      about 40 updates and 15 evaluations: values, repeatability, cuts, evaluations, checkpoints, LR, seed
    thorough   about 120 more: parameter groups, an LR of zero, an LR that no model survives, damaged files, memory
"""

from __future__ import annotations

from collections.abc import Iterator

from autosched.errors import UsageError
from autosched.trainer.findings import Case, Finding, Promise, UsualRun, said
from autosched.trainer.protocol import Diverged
from autosched.trainer.quick_promises import FIRST, QUICK
from autosched.trainer.thorough_promises import THOROUGH
from autosched.trainer.values import own_place


def check_soundness(case: Case, *, thorough: bool = False) -> Iterator[Finding]:
    """Findings one after another; the first two promises carry the others, and what breaks one of them ends it all."""
    usual = UsualRun(case)
    for promise in FIRST:
        finding = _asked(promise, case, usual)
        yield finding
        if finding.level == "broken":
            return
    for promise in (*QUICK, *(THOROUGH if thorough else ())):
        yield _asked(promise, case, usual)


def _asked(promise: Promise, case: Case, usual: UsualRun) -> Finding:
    try:
        return promise(case, usual)
    except Diverged as error:
        seen = f"training with an LR of {case.lr:g} diverged at update {error.step}: {error.reason}"
        return Finding(promise=said(promise), level="unsure", seen=seen, remedy="check with a smaller LR")
    except UsageError as error:
        return Finding(
            promise=said(promise), level="broken", seen=str(error).rstrip("."), remedy="give what is asked for"
        )
    except (Exception, SystemExit) as error:  # whatever a trainer of a stranger does
        return Finding(promise=said(promise), level="broken", seen=own_place(error), remedy="mend the error")
