"""A run that ends above where its probes were says so; numbers of the wrong kind are refused at once."""

from __future__ import annotations

import numpy as np
import pytest

from autosched.errors import UsageError
from autosched.search.autolrs import Settings, State, above_its_probes
from autosched.search.autolrs.records import Expectation, Passed, Tried


def passed(index: int, *, probe: float, reached: float | None, lr: float = 0.1, by_validation: bool = False) -> Passed:
    end = Expectation(name="exponential", mean=probe, sd=0.1)
    tried = (
        Tried(number=0, lr=lr, steps=(1.0, 2.0), losses=(3.0, probe), end=end),
        Tried(number=1, lr=9.0, steps=(1.0,), losses=(0.001,), end=end),  # no winner
    )
    return Passed(
        index=index,
        start=0,
        checkpoint=0,
        stop=100,
        lr=lr,
        by_validation=by_validation,
        tried=tried,
        worths=(),
        steps=(),
        losses=(),
        expected=(),
        reached=reached,
    )


@pytest.mark.parametrize(
    ("stages", "warned"),
    [
        ([], False),
        ([passed(0, probe=1.2, reached=0.5)], False),
        ([passed(0, probe=1.2, reached=1.25)], False),  # as they scatter
        ([passed(0, probe=1.3, reached=2.0)], True),
        ([passed(0, probe=0.4, reached=0.3), passed(1, probe=2.1, reached=2.0)], False),  # a higher LR, to be cooled
        ([passed(0, probe=1.3, reached=2.0), passed(1, probe=2.0, reached=2.1)], True),
        ([passed(0, probe=1.3, reached=2.0), passed(1, probe=1.5, reached=1.2)], False),  # it came back
        ([passed(0, probe=1.3, reached=None)], False),
        ([passed(0, probe=-1.0, reached=2.0)], False),
    ],
)
def test_a_run_that_ends_above_its_probes_is_told(stages: list[Passed], warned: bool) -> None:
    warning = above_its_probes(State(passed=tuple(stages)))
    assert (warning is not None) == warned
    assert warning is None or warning.startswith(
        "stage 0 ended at a loss of 2, although the probe of its LR, 0.1, had reached 1.3: "
    )


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("steps", 20_000.0, "steps must be a whole number or None, but got 20000.0."),
        ("first_stage", 200.5, "first_stage must be a whole number, but got 200.5."),
        ("probes", "4", "probes must be a whole number, but got '4'."),
        ("probes", True, "probes must be a whole number, but got True."),
        ("low", "1e-3", "low must be a number, but got '1e-3'."),
        ("validation_from", 4.0, "validation_from must be a whole number or None, but got 4.0."),
        ("seed", None, "seed must be a whole number, but got None."),
    ],
)
def test_numbers_of_the_wrong_kind_are_refused_at_once(field: str, value: object, says: str) -> None:
    with pytest.raises(UsageError, match=f"^AutoLRS: {says}$"):
        Settings(**{"low": 1e-3, "high": 1.0, "steps": 20_000, field: value})


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    assert Settings(low=np.float64(1e-3), high=1, steps=np.int64(20_000)).steps == 20_000
