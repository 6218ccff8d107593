"""Tables are reckoned by hand from a few studies whose ends are made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from carried import document_of

from autosched.compare.algoperf import algoperf_score, study_score
from autosched.compare.document import results_document
from autosched.compare.outcome import Goal, comparison_page, results_of
from autosched.compare.plan import Terms, algoperf_terms
from autosched.compare.regret_plot import regret_curves, regret_plot
from autosched.compare.scores import fresh_scores, references, standard_error, standings, targets
from autosched.compare.table import heads, markdown, plain_lines, rows
from autosched.compare.trace import End, Trace
from autosched.errors import UsageError
from autosched.space.records import Budget

HORIZON = 100
TERMS = Terms(seeds=2, budget=Budget(steps=6 * HORIZON))


def trace(
    method: str,
    seed: int,
    ends: Sequence[tuple[int, float]],
    *,
    fresh: Mapping[int, float] | None = None,
    curves: Sequence[Sequence[tuple[int, float]]] = (),
) -> Trace:
    return Trace(
        method=method,
        seed=seed,
        study=f"{method}-{seed}",
        ledger="sqlite:///ledger.db",
        horizon=HORIZON,
        ends=tuple(End(spent=spent, loss=loss) for spent, loss in ends),
        spent=600,
        curves=tuple(tuple(curve) for curve in curves),
        fresh=dict(fresh or {}),
    )


def two_methods() -> list[Trace]:
    """``quick`` finds the best of seed 0 early and loses seed 1; ``slow`` never gets near on seed 0."""
    return [
        trace("slow", 0, [(100, 3.0), (500, 2.5)]),
        trace("quick", 0, [(100, 2.8), (200, 2.0)]),
        trace("slow", 1, [(100, 3.0), (600, 1.9)]),
        trace("quick", 1, [(150, 1.95)]),
    ]


def test_every_seed_has_the_best_loss_of_any_method_for_a_reference() -> None:
    assert references(two_methods()) == {0: 2.0, 1: 1.9}
    assert targets(two_methods(), tolerance=0.01) == pytest.approx({0: 2.01, 1: 1.91})
    assert targets(two_methods(), target=2.6) == {0: 2.6, 1: 2.6}


def test_a_target_is_reached_when_a_complete_trial_is_at_or_under_it() -> None:
    one = trace("a", 0, [(100, 3.0), (250, 2.0), (400, 2.5), (500, 1.0)])
    assert (one.steps_to(2.0), one.steps_to(1.5), one.steps_to(0.5)) == (250, 500, math.inf)
    np.testing.assert_array_equal(one.best_after(np.array([99.0, 100, 250, 450, 600])), [np.inf, 3, 2, 2, 1])


def test_methods_are_ranked_by_the_median_of_their_updates_to_the_target() -> None:
    first, second = standings(two_methods(), targets(two_methods(), tolerance=0.06))
    assert (first.method, first.steps, first.reached) == ("quick", (200 + 150) / 2, 2)
    assert (second.method, second.steps, second.reached) == ("slow", math.inf, 1)
    assert first.regret == pytest.approx((0.0 + 0.05) / 2)
    assert second.best == pytest.approx((2.5 + 1.9) / 2)


def test_a_median_with_fewer_misses_than_half_is_finite() -> None:
    traces = [trace("a", seed, ends) for seed, ends in enumerate([[(100, 1.0)], [(300, 1.0)], [(100, 9.0)]])]
    (only,) = standings(traces, {0: 1.0, 1: 1.0, 2: 1.0})
    assert (only.steps, only.reached, only.win_rate) == (300, 2, None)


def test_a_win_is_a_lower_loss_on_the_same_seed_and_a_tie_is_half_of_one() -> None:
    traces = [*two_methods(), trace("same", 0, [(100, 2.0)]), trace("same", 1, [])]
    found = {one.method: one for one in standings(traces, targets(traces))}
    assert found["quick"].wins == {"slow": 0.5, "same": 0.75}
    assert found["same"].wins == {"slow": 0.5, "quick": 0.25}
    assert found["quick"].win_rate == pytest.approx(0.625)
    assert sum(one.win_rate for one in found.values() if one.win_rate is not None) == pytest.approx(1.5)


def test_fresh_losses_are_averaged_by_study_first() -> None:
    traces = [trace("a", 0, [], fresh={7: 1.0, 8: 2.0, 9: 3.0}), trace("a", 1, [], fresh={5: 4.0})]
    found = fresh_scores(traces)
    assert found is not None
    assert (found.mean, found.standard_error) == (3.0, pytest.approx(1.0))
    alone = fresh_scores(traces[:1])
    assert alone is not None
    assert (alone.mean, alone.standard_error) == (2.0, pytest.approx(1 / math.sqrt(3)))
    assert fresh_scores([trace("a", 0, [])]) is None
    assert standard_error([1.0]) is None
    assert standard_error([1.0, math.inf]) is None


# -- AlgoPerf ----------------------------------------------------------------------------------------------------------


def test_a_study_scores_the_time_of_its_fastest_trial_among_the_first_five() -> None:
    slow, quick = [(10, 3.0), (20, 2.0)], [(10, 2.0), (20, 1.0)]
    assert study_score(trace("a", 0, [], curves=[slow, quick]), 2.0) == 10
    assert study_score(trace("a", 0, [], curves=[slow, quick]), 1.5) == 20
    assert study_score(trace("a", 0, [], curves=[*[slow] * 5, quick]), 2.0) == 20  # the sixth does not count
    assert study_score(trace("a", 0, [], curves=[slow]), 1.9) == math.inf
    assert study_score(trace("a", 0, []), 9.0) == math.inf


def test_a_method_scores_the_median_of_its_studies_and_misses_are_infinite() -> None:
    times = [[(10, 1.0)], [(30, 1.0)], [(20, 9.0)]]
    studies = [trace("a", seed, [], curves=[curve]) for seed, curve in enumerate(times)]
    aims = {0: 1.0, 1: 1.0, 2: 1.0}
    assert algoperf_score(studies, aims) == 30
    assert algoperf_score([*studies[1:], trace("a", 0, [])], aims) == math.inf


def test_algoperfs_terms_are_five_trials_in_each_of_three_studies_without_a_default() -> None:
    terms = algoperf_terms()
    assert (terms.seeds, terms.budget, terms.with_default) == (3, Budget(trials=5), False)
    assert terms.is_algoperf
    assert not TERMS.is_algoperf


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_regret_of_every_method_falls_to_its_own_and_the_bests_to_zero() -> None:
    at, quick = regret_curves(two_methods())["quick"]
    np.testing.assert_array_equal(at, [100, 150, 200, 500, 600])
    np.testing.assert_allclose(quick, [[0.8, 0.8, 0, 0, 0], [np.inf, 0.05, 0.05, 0.05, 0.05]], atol=1e-12)
    assert regret_curves([trace("none", 0, [])]) == {}
    assert regret_plot([trace("none", 0, [])], tolerance=0.1, order=["none"]) is None


def test_the_plot_is_a_picture_that_shows_the_methods() -> None:
    order = ["quick", "slow"]
    whole = regret_plot(two_methods(), tolerance=0.002, order=order)
    assert whole is not None
    assert whole.startswith(b"\x89PNG")
    assert whole == regret_plot(two_methods(), tolerance=0.002, order=order)
    assert whole != regret_plot(two_methods()[::2], tolerance=0.002, order=order)


def test_all_tables_say_the_same() -> None:
    results = results_of(two_methods(), TERMS, Goal(tolerance=0.06), title="A < B")
    assert rows(results) == [
        ("quick", "1.9750", "0.0250", "1.75", "2 of 2", "50%"),
        ("slow", "2.2000", "0.2500", "missed", "1 of 2", "50%"),
    ]
    text = markdown(results, plot="regret.png")
    for row in rows(results):
        assert f"| {' | '.join(row)} |" in text
        assert any(line.split("  ")[0].strip() == row[0] for line in plain_lines(results))
    assert plain_lines(results)[0] == "Every method: 2 seeds, each with 600 updates, 6 full runs of 100."
    carried = document_of(comparison_page(results, results_document(results)))
    assert carried == {"title": "A < B", "terms": results.terms, "document": results_document(results)}
    assert "![Regret against updates spent](regret.png)" in text
    assert "regret.png" not in markdown(results, plot=None)


def test_fresh_seeds_and_algoperf_have_columns_when_there_are_any() -> None:
    traces = [trace("a", 0, [(100, 2.0)], fresh={1: 2.0, 2: 2.2}, curves=[[(50, 2.0)]])]
    plain = results_of(traces, TERMS, Goal(), title="")
    assert heads(plain)[-1] == "on fresh seeds"
    assert rows(plain)[0][-2:] == ("", "2.1000 ± 0.1000")
    timed = results_of(traces, algoperf_terms(seeds=1), Goal(), title="")
    assert heads(timed)[-1] == "AlgoPerf"
    assert rows(timed)[0][-1] == "0.50"
    assert plain_lines(timed)[0] == "Every method: one seed with 5 trials."


def test_the_document_is_json_and_what_was_missed_is_null() -> None:
    results = results_of(two_methods(), TERMS, Goal(tolerance=0.06), title="")
    document = json.loads(json.dumps(results_document(results, command="x"), allow_nan=False))
    assert document["command"] == "x"
    quick, slow = document["results"]
    assert (quick["method"], quick["steps_to_target"], quick["full_runs_to_target"]) == ("quick", 175, 1.75)
    assert (slow["steps_to_target"], slow["reached"], slow["seeds"]) == (None, 1, 2)
    assert [study["steps_to_target"] for study in slow["studies"]] == [None, 600]
    assert slow["studies"][1]["ends"] == [[100, 3.0], [600, 1.9]]


@pytest.mark.parametrize("given", [{"tolerance": 0.0}, {"tolerance": math.nan}, {"target": math.inf}])
def test_a_goal_that_is_none_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="must be finite"):
        Goal(**given)
