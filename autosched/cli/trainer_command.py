"""`check-trainer`: whether a trainer keeps the promises that a search relies on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from autosched.cli.options import JsonOption, show, tell_shipped
from autosched.engine.threads import same_sums
from autosched.errors import UsageError
from autosched.printed import tell
from autosched.space import load_space
from autosched.study.start import CHECKS
from autosched.study.trainer_check import trainer_findings
from autosched.trainer.findings import Finding

MARKS = {"kept": "ok", "unsure": "unsure", "broken": "WRONG"}


def check_trainer(
    space: Annotated[Path, typer.Argument(help="The space file that names the trainer.", metavar="SPACE")],
    override: Annotated[
        list[str] | None, typer.Option("--set", help="Override one value of the file.", metavar="KEY=VALUE")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only what `tune` asks before the first study.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Train a few updates to see whether a trainer keeps its promises.

    Exit code 2 when one is broken. Example: autosched check-trainer own_trainer.yaml
    """
    tell_shipped(space)
    found = load_space(space, override or [], CHECKS)
    findings = []
    with same_sums(found.resources.cpus):
        for finding in trainer_findings(found, thorough=not quick):
            findings.append(finding)
            if not as_json:
                for line in finding_lines(finding):
                    tell(line)
    broken = [finding.promise for finding in findings if finding.level == "broken"]
    if as_json:
        show(True, {"trainer": found.trainer.use, "findings": [asdict(finding) for finding in findings]}, ())
    if broken:
        raise UsageError(f"trainer {found.trainer.use!r} breaks {len(broken)} of {len(findings)} promises.")
    return 0


def finding_lines(finding: Finding) -> list[str]:
    """For a person: the promise, and what was seen and can be done where it is not kept for sure."""
    lines = [f"{MARKS[finding.level]:<8}{finding.promise}"]
    return [*lines, f"{'':8}seen: {finding.seen}", f"{'':8}do: {finding.remedy}"] if finding.seen else lines
