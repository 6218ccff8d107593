"""The outcome of a comparison as one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from autosched.compare.scores import Standing
from autosched.compare.table import Results
from autosched.compare.trace import Trace
from autosched.report.plain import json_safe


def results_document(results: Results, **more: Any) -> dict[str, Any]:
    """The results as plain JSON data; what was not reached is None.

    Args:
        more: further keys, put first.

    Returns:
        A dict with ``horizon``, ``targets`` (by seed, nats) and ``results``: a list, best first, with ``method``,
        ``best_loss``, ``regret`` (medians, nats), ``steps_to_target``, ``full_runs_to_target`` (medians; updates and
        full runs), ``reached`` of ``seeds``, ``win_rate``, ``wins`` by other method, ``fresh`` (``mean``,
        ``standard_error``), ``algoperf`` (updates) and ``studies``, one by seed.
    """
    document = {
        **more,
        "horizon": results.horizon,
        "targets": {str(seed): target for seed, target in results.aims.items()},
        "results": [_result(one, results) for one in results.standings],
    }
    safe: dict[str, Any] = json_safe(document)
    return safe


def _result(one: Standing, results: Results) -> Mapping[str, Any]:
    return {
        "method": one.method,
        "best_loss": one.best,
        "regret": one.regret,
        "steps_to_target": one.steps,
        "full_runs_to_target": one.steps / results.horizon,
        "reached": one.reached,
        "seeds": one.seeds,
        "win_rate": one.win_rate,
        "wins": one.wins,
        "fresh": None if one.fresh is None else asdict(one.fresh),
        "algoperf": results.algoperf.get(one.method),
        "studies": [_study(trace, results) for trace in results.traces if trace.method == one.method],
    }


def _study(trace: Trace, results: Results) -> Mapping[str, Any]:
    chosen = trace.chosen
    return {
        "seed": trace.seed,
        "study": trace.study,
        "ledger": trace.ledger,
        "best_loss": trace.best,
        "steps_to_target": trace.steps_to(results.aims[trace.seed]),
        "spent": trace.spent,
        "trials": len(trace.curves),
        "ends": [[end.spent, end.loss] for end in trace.ends],
        "chosen": None if chosen is None else {"family": chosen.family, "params": chosen.params},
        "fresh": {str(seed): loss for seed, loss in trace.fresh.items()},
        "seconds": trace.seconds,
    }
