from __future__ import annotations

import numpy as np
import pytest
from example_study import HORIZON, Study, example_study, search_of_fourteen
from scipy import stats

from autosched.report.confirmation import confirmation, paired_gain, seed_noise, too_close, winner


def confirmed(losses: dict[int, list[float | None]]) -> Study:
    """The search of fourteen with confirming runs that end with these losses on seeds 1, 2, …; None diverges."""
    study = search_of_fourteen()
    for seed in range(max(map(len, losses.values()))):
        for number, values in losses.items():
            run = study.propose(study.schedules[number], "confirm", seed=seed + 1, of=number)
            value = values[seed]
            if value is None:
                study.end(run, "diverged", reason="the loss is not finite")
            else:
                study.end(run, "complete", value=value)
    return study


def test_without_confirmation_the_lowest_loss_wins() -> None:
    study = search_of_fourteen()
    best = winner(study.state)
    assert best is not None
    assert best.value == min(trial.value for trial in study.state.trials if trial.value is not None)


def test_fresh_seeds_overrule_the_search() -> None:
    study = confirmed({12: [1.80, 1.82], 8: [1.75, 1.76], 0: [1.9, 1.9]})
    best = winner(study.state)
    assert best is not None
    assert best.number == 8


def test_the_default_wins_when_nothing_beats_it_on_fresh_seeds() -> None:
    found = confirmation(confirmed({12: [1.95, 1.9], 0: [1.9, 1.9]}).state)
    assert found is not None
    assert found.winner == 0
    assert found.gain is not None
    assert found.gain.mean == 0.0


def test_a_finalist_that_diverges_on_a_fresh_seed_cannot_win() -> None:
    found = confirmation(confirmed({12: [1.5, None], 8: [1.75, 1.76], 0: [1.9, 1.9]}).state)
    assert found is not None
    assert found.winner == 8


def test_a_default_that_diverges_leaves_the_gain_open() -> None:
    found = confirmation(confirmed({12: [1.5, 1.6], 0: [1.9, None]}).state)
    assert found is not None
    assert (found.winner, found.gain) == (12, None)


def test_a_seed_counts_when_every_finalist_has_ended_on_it() -> None:
    study = confirmed({12: [1.80, 1.60], 8: [1.75, 1.76]})
    run = study.propose(study.schedules[12], "confirm", seed=3, of=12)
    study.end(run, "complete", value=1.0)
    study.end(study.propose(study.schedules[8], "confirm", seed=3, of=8), "failed", reason="out of memory")
    found = confirmation(study.state)
    assert found is not None
    assert found.seeds == (1, 2)
    assert found.winner == 12


def test_confirmation_is_silent_until_a_seed_is_done() -> None:
    study = search_of_fourteen()
    study.propose(study.schedules[12], "confirm", seed=1, of=12)
    assert confirmation(study.state) is None
    best = winner(study.state)
    assert best is not None
    assert best.number == 12


def test_losses_are_paired_by_seed() -> None:
    found = confirmation(example_study(seeds=(11, 12)).state)
    assert found is not None
    assert found.seeds == (11, 12)
    assert found.default == 0
    state = example_study(seeds=(11, 12)).state
    runs = {(t.of, t.seed): t.value for t in state.trials if t.role == "confirm"}
    assert found.losses[12] == (runs[12, 11], runs[12, 12])
    assert all(trial.step == HORIZON for trial in state.trials if trial.role == "confirm")


def test_the_interval_is_students_t_on_the_paired_differences() -> None:
    default, best = (2.0, 2.1, 2.3, 2.05), (1.9, 1.95, 2.25, 1.9)
    gain = paired_gain(default, best)
    differences = np.subtract(default, best)
    low, high = stats.t.interval(0.9, 3, loc=differences.mean(), scale=stats.sem(differences))
    assert gain is not None
    assert (gain.low, gain.high) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_gives_a_gain_without_an_interval() -> None:
    gain = paired_gain((2.0,), (1.9,))
    assert gain is not None
    assert gain.mean == pytest.approx(0.1)
    assert (gain.low, gain.high) == (None, None)


def test_trials_that_one_seed_cannot_tell_from_the_best_are_counted() -> None:
    noisy = confirmed({12: [1.80, 1.90], 8: [1.95, 1.76], 0: [1.9, 1.9]})
    found = confirmation(noisy.state)
    assert found is not None
    noise = seed_noise(found)
    pairs = [np.subtract(found.losses[a], found.losses[b]) for a, b in ((0, 8), (0, 12), (8, 12))]
    assert noise == pytest.approx(np.sqrt(np.mean([pair.var(ddof=1) for pair in pairs])))
    best = noisy.state.best_trial()
    assert best is not None
    near = [
        trial
        for trial in noisy.state.trials
        if trial.role == "search" and trial.status == "complete" and trial is not best
        if trial.value < best.value + 1.645 * noise
    ]
    said = too_close(noisy.state)
    assert said is not None
    assert said.startswith(f"{len(near)} other trials are as good by all that 2 seeds can tell: ")
    assert said.endswith(f"seeds scatter a difference by {noise:.4f}")


def test_nothing_is_said_where_seeds_agree_or_are_too_few() -> None:
    assert too_close(confirmed({12: [1.80, 1.81], 8: [1.90, 1.91]}).state) is None
    assert too_close(confirmed({12: [1.80], 8: [1.95]}).state) is None
    assert too_close(search_of_fourteen().state) is None
