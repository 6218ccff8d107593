"""What becomes of the schedule that AutoLRS finds: shown, plotted, exported, and the start of a law-guided study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import TUNE, events, run

from autosched.ledger.store import Ledger
from autosched.space import space_from_json

SPACE = """\
study: stages
trainer: {{use: simulated, with: {{noise: 0.0}}}}
horizon_steps: 400
eval_every: 2
checkpoint_every: 40
schedule:
  wsd: {{peak_lr: {{low: 1e-3, high: 1e-1, scale: log}}, warmup_steps: 20, cooldown_fraction: {cooldown}}}
{also}
budget: {{full_runs: 3}}
tracking: none
"""


def written(controller: str, cooldown: str = "0.2") -> None:
    Path("space.yaml").write_text(SPACE.format(cooldown=cooldown, also=controller))


@pytest.mark.slow
def test_a_found_schedule_is_shown_plotted_exported_and_polished(folder: Path, capsys) -> None:
    written("controller: {use: autolrs, first_stage: 80, probe_share: 0.2, probes: 3}")
    assert run(list(TUNE)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reason"] == "all 2 stages are committed"
    assert [stage["step"] for stage in found["stages"]] == [100, 320]
    assert found["best"]["schedule"]["family"] == "piecewise"
    assert "Stages" in Path(found["artifacts"]["report"]).read_text()
    assert run(["best", "stages"]) == 0
    assert f"stage 1     LR {found['stages'][1]['lr']:.4g} to update 320" in capsys.readouterr().out
    assert run(["export", found["artifacts"]["schedule"], "--to", "csv", "--out", "lrs.csv"]) == 0
    assert len(Path("lrs.csv").read_text().splitlines()) == 401
    assert run(["plot", found["artifacts"]["schedule"], "--out", "lrs.png"]) == 0
    default = json.dumps({"piecewise": found["best"]["schedule"]["params"]})
    written(f"default: {default}\ncontroller: law\npruner: none", cooldown="{low: 0.1, high: 0.5}")
    capsys.readouterr()
    assert run([*TUNE, "--name", "polished", "--warm-start", "stages", "--set", "budget.full_runs=2"]) == 0
    out = capsys.readouterr()
    polished = json.loads(out.out)
    assert "runs of stages, peak LR" in out.err
    assert polished["default"]["value"] == found["best"]["value"]
    assert polished["best"]["value"] <= found["best"]["value"]
    (warm,) = space_from_json(dict(events()["polished"][0].event.space)).warm_start
    assert {old.family for old in warm.runs} == {"piecewise"}
    state = Ledger("sqlite:///autosched.db").state("polished")
    assert state.trials[0].role == "default"
    assert state.steps_scheduled - state.steps_trained >= 240, "segments that end at common cuts are not trained again"
