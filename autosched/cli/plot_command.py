"""`plot`: draw schedule files, families with parameters, and what a space would try."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.options import tell_shipped, write_file
from autosched.cli.schedule_commands import load_schedule
from autosched.errors import UsageError
from autosched.printed import tell
from autosched.randomness import generator
from autosched.report.schedule_plot import schedule_plot
from autosched.report.terminal_plot import terminal_plot
from autosched.schedules.registry import build, family_names
from autosched.schedules.schedule import ParameterValue, Schedule
from autosched.space import Fixed, ScheduleSpec, SearchParameter, Space, build_schedule, draw, load_space
from autosched.space.document import Document
from autosched.space.section import closest

STEPS = 1000
"""Updates of a family's schedule when nobody says how many."""
Drawn = list[tuple[str, Schedule]]
"""Schedules with their labels."""


def plot(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Schedule files (JSON), space files (YAML), families.",
            metavar="FILE|FAMILY…",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Write a PNG; without it, draw in the terminal.")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help=f"Updates of a family's schedule; {STEPS} if not given.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="A family's parameter, or a key of a space.", metavar="KEY=VALUE")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", min=1, max=50, help="Draws from each space.")] = 6,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the draws; else the space's own.")] = None,
) -> None:
    """Draw schedules, families, or what a space would try.

    Example: autosched plot wsd rex --steps 600 --set peak_lr=0.01 --out two.png
    """
    families = [source for source in sources if _is_family(source)]
    spaces = [source for source in sources if _is_space(source)]
    if steps is not None and not families:
        raise UsageError("--steps is for families by name; a space and a schedule file have their own.")
    if seed is not None and not spaces:
        raise UsageError("--seed is for the draws from a space; there is none among these.")
    if overrides and bool(families) == bool(spaces):
        raise UsageError("--set is for families or for spaces, not for both and not for schedule files alone.")
    drawn: Drawn = []
    for source in sources:
        if source in spaces:
            tell_shipped(Path(source))
            drawn += space_draws(Path(source), overrides or [], draws=draws, seed=seed)
        elif source in families:
            drawn.append(family_schedule(source, overrides or [], steps=steps or STEPS))
        else:
            drawn.append(_schedule_file(source))
    labels, schedules = [label for label, _ in drawn], [schedule for _, schedule in drawn]
    if out is None:
        tell(terminal_plot(schedules, labels))
        return
    write_file(out, schedule_plot(schedules, labels))
    tell(f"wrote {out}")


def space_draws(path: Path, overrides: list[str], *, draws: int, seed: int | None) -> Drawn:
    """Random points of a space, each uniform on its own scale: what is searched before anything is known."""
    space = load_space(path, overrides)
    first = space.seed if seed is None else seed
    specs = [draw(space, generator(first, index, "plot")) for index in range(draws)]
    return [(_searched(space, spec), build_schedule(space, spec)) for spec in specs]


def _searched(space: Space, spec: ScheduleSpec) -> str:
    """A point in few words: what the space does not fix."""
    domains = space.family(spec.family).parameters
    free = {name: value for name, value in spec.params.items() if not _is_fixed(domains.get(name))}
    return _named(spec.family, free)


def _is_fixed(parameter: SearchParameter | None) -> bool:
    return parameter is None or isinstance(parameter.domain, Fixed)


def _named(family: str, params: Mapping[str, ParameterValue]) -> str:
    """``wsd(peak_lr=0.00123, cooldown_shape=sqrt)``."""
    words = [f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()]
    return f"{family}({', '.join(words)})" if words else family


def family_schedule(name: str, parameters: list[str], *, steps: int) -> tuple[str, Schedule]:
    """A family's schedule with parameters written as ``key=value``, each value as in a space file; named by these.

    Raises:
        SpaceError: no ``key=value``.
        ScheduleError: a parameter the family does not have, or does not allow; one that is missing.
    """
    given = Document(data={}, places={}).with_overrides(parameters).data
    schedule = build(name, given, steps=steps)
    return _named(name, {key: schedule.params[key] for key in given if key in schedule.params}), schedule


def _is_space(source: str) -> bool:
    return Path(source).suffix in {".yaml", ".yml"}


def _is_family(source: str) -> bool:
    return source in family_names()


def _schedule_file(source: str) -> tuple[str, Schedule]:
    """A schedule file; a word that is neither a file nor a family hears about both."""
    path = Path(source)
    if not path.suffix and not path.exists():
        hint = closest(source, family_names()) or "; `autosched schedules` lists the families."
        raise UsageError(f"{source!r} is neither a schedule family nor a file{hint}")
    return path.stem, load_schedule(path)
