"""`compare`: controllers and pruners side by side at equal budget."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from autosched.cli.options import JsonOption, kept_for_json, show, tell_shipped
from autosched.compare.document import results_document
from autosched.compare.method import Method, parse_methods, refuse_reserved
from autosched.compare.outcome import Goal, results_of, write_results
from autosched.compare.plan import Job, Terms, algoperf_terms, equal_updates, plan
from autosched.compare.run import Means, run_jobs
from autosched.compare.scores import TOLERANCE
from autosched.compare.table import plain_lines
from autosched.compare.trace import Trace
from autosched.errors import UsageError
from autosched.interruption import terminable
from autosched.printed import tell, tell_error
from autosched.space import load_space
from autosched.space.records import Space
from autosched.study.identity import fingerprints_of
from autosched.study.run import RunOptions, make_backend, versions
from autosched.study.start import CHECKS, check_folder

MethodsOption = Annotated[
    str | None,
    typer.Option(
        "--methods",
        help="CONTROLLER+PRUNER,…; without a pruner, the space's. "
        "Default: the space's own, tpe+none, random+none, random+asha.",
        metavar="LIST",
    ),
]
VariantOption = Annotated[
    list[str] | None,
    typer.Option("--variant", help="A further method: 'NAME=CONTROLLER+PRUNER KEY=VALUE …'.", metavar="TEXT"),
]
FullRunsOption = Annotated[
    float | None,
    typer.Option("--full-runs", min=1, help="Budget of each study, in full runs; default: the space's, or 6."),
]
AlgoperfOption = Annotated[
    bool, typer.Option("--algoperf", help="AlgoPerf's bookkeeping: 5 trials a study, median of the fastest ones.")
]
TargetOption = Annotated[
    float | None, typer.Option("--target", help="Final loss to reach; default: the best any method found.")
]
FreshOption = Annotated[
    int, typer.Option("--fresh-seeds", min=0, help="Train every study's winner again on so many fresh seeds.")
]
NoDefaultOption = Annotated[
    bool, typer.Option("--no-default", help="Studies begin without the space's default schedule.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Studies at the same time; default: resources.workers.")
]
OverrideOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override one value for all methods.", metavar="KEY=VALUE")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder; default: compare-STUDY.", metavar="FOLDER")
]


def compare(
    space: Annotated[Path, typer.Argument(help="The space file.", metavar="SPACE")],
    methods: MethodsOption = None,
    variant: VariantOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Studies of each method.")] = 3,
    full_runs: FullRunsOption = None,
    algoperf: AlgoperfOption = False,
    target: TargetOption = None,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Nats above the best that count.")] = TOLERANCE,
    fresh_seeds: FreshOption = 0,
    no_default: NoDefaultOption = False,
    workers: WorkersOption = None,
    override: OverrideOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Compare controllers and pruners side by side at equal budget; call it again to go on or to add methods.

    Example: autosched compare search_spaces/vision.yaml --methods tpe+law,random+none --seeds 3 --full-runs 6
    """
    refuse_reserved(override or [], "--set")
    tell_shipped(space)
    with kept_for_json(as_json):
        loaded = load_space(space, override or [], CHECKS)
    chosen = parse_methods(methods, variant or [], loaded)
    terms = _terms(loaded, algoperf=algoperf, full_runs=full_runs, seeds=seeds, fresh_seeds=fresh_seeds)
    terms = dataclasses.replace(terms, with_default=terms.with_default and not no_default)
    goal = Goal(target=target, tolerance=tolerance)
    folder = out or Path(f"compare-{loaded.study}")
    jobs = plan(loaded, chosen, terms, folder, CHECKS, fingerprints_of)
    check_folder(folder, "--out")
    tell(f"autosched: each study has {_budget_text(loaded, terms)}", sys.stderr)
    with kept_for_json(as_json):
        traces = _run(jobs, workers or loaded.resources.workers)
    if traces is None:
        return 130
    results = results_of(traces, terms, goal, title=f"Comparison on {loaded.study}")
    document = results_document(results, **_origin(loaded, chosen, terms, goal))
    paths = write_results(results, goal, folder, document)
    show(as_json, document, [*plain_lines(results), "", *(f"wrote {path}" for path in paths.values())])
    if not any(trace.ends for trace in traces):
        tell_error("no trial of any method was complete.")
        return 1
    return 0


def _budget_text(space: Space, terms: Terms) -> str:
    """What each study may use, and which limits of the space do not count."""
    steps, own = terms.budget.steps, space.budget
    if steps is None:
        return f"{terms.budget.trials} trials, however many updates they take."
    limits = {f.name: getattr(own, f.name) for f in dataclasses.fields(own) if f.name != "steps"}
    left_out = ", ".join(f"{value:g} {name.replace('_', '-')}" for name, value in limits.items() if value is not None)
    others = f"; the space's {left_out} do not count here" if left_out else ""
    whose = ", the space's budget" if steps == own.steps else ""
    return f"{steps:,} updates, {steps / space.horizon_steps:g} full runs{whose}{others}."


def _terms(space: Space, *, algoperf: bool, full_runs: float | None, seeds: int, fresh_seeds: int) -> Terms:
    if not algoperf:
        return equal_updates(space, full_runs=full_runs, seeds=seeds, fresh_seeds=fresh_seeds)
    if full_runs is not None or fresh_seeds:
        raise UsageError("--algoperf sets the budget, 5 trials: leave out --full-runs and --fresh-seeds.")
    return algoperf_terms(seeds=seeds)


def _run(jobs: tuple[Job, ...], processes: int) -> list[Trace] | None:
    """All traces; None after an interrupt."""
    means = Means(
        make_backend=partial(make_backend, options=RunOptions(backend="local")),
        versions=versions(),
        processes=processes,
        tell=lambda line: tell(line, sys.stderr),
    )
    try:
        with terminable():
            return run_jobs(jobs, means)
    except KeyboardInterrupt:
        tell("autosched: interrupted; the same command goes on.", sys.stderr)
        return None


def _origin(space: Space, methods: tuple[Method, ...], terms: Terms, goal: Goal) -> dict[str, Any]:
    """What the results came from."""
    return {
        "space": space.study,
        "trainer": {"use": space.trainer.use, "with": space.trainer.options},
        "methods": [
            {
                "name": method.name,
                "controller": {"use": method.controller.name, **method.controller.options},
                "pruner": {"use": method.pruner.name, **method.pruner.options},
                "overrides": method.overrides,
            }
            for method in methods
        ],
        "seeds": terms.seeds,
        "budget": {"steps": terms.budget.steps, "trials": terms.budget.trials},
        "fresh_seeds": terms.fresh_seeds,
        "with_default": terms.with_default,
        "target": goal.target,
        "tolerance": goal.tolerance,
        "versions": versions(),
    }
