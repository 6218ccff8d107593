import json

import pytest

from autosched.space import load_space
from autosched.study.trainer_check import trainer_findings
from tests.workers.command.commands import PYTHON

SCRIPT = """
import json, os, random, sys
lrs, start, stop, seed, load, save = sys.argv[1], *map(int, sys.argv[2:5]), *sys.argv[5:7]
lrs = list(map(float, open(lrs)))
w, momentum = json.load(open(load)) if load else (3.0 + seed, 0.0)
for step in range(start, stop):
    momentum = 0.5 * momentum + w
    w -= lrs[step] * momentum
    print(json.dumps({"step": step + 1, "loss": 0.1 + w * w}))
json.dump((w, momentum), open(save, "w"))
"""
FAULTS = {
    "none": ("", "", None),
    "not even started": ("import json", "import no_such_module", "The command runs"),
    "losses of 0": ("0.1 + w * w", "0", "The command runs"),
    "random weights": ("3.0 + seed", "3.0 + seed + random.random()", "The same seed and LRs"),
    "forgets its momentum": ("dump((w, momentum)", "dump((w, 0.0)", "A run that goes on"),
    "ignores its LRs": ("lrs[step]", "0.01", "Other LRs"),
    "looks ahead": ("lrs[step]", "min(lrs[step:step + 2])", "Other LRs"),
    "ignores its seed": ("3.0 + seed", "3.0", "Another seed"),
}


def findings(tmp_path, source, fields, **others):
    run = [*PYTHON, "-c", source, *fields]
    options = {"run": run, "losses": {"format": "json_lines", "take": "last"}, **others}
    path = tmp_path / "space.yaml"
    schedule = {"wsd": {"peak_lr": {"low": 1e-2, "high": 1e-1}, "cooldown_fraction": 0.5}}
    trainer = {"use": "command", "with": options}
    space = {"study": "s", "trainer": trainer, "horizon_steps": 20, "eval_every": 5, "schedule": schedule}
    path.write_text(json.dumps({**space, "controller": "tpe", "budget": {"trials": 2}}))
    return [*trainer_findings(load_space(path), thorough=False)]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_command_does_wrong_is_seen(tmp_path, fault):
    right, wrong, promise = FAULTS[fault]
    fields = ["{lrs}", "{start}", "{stop}", "{seed}", "{checkpoint_in}", "{checkpoint_out}"]
    found = findings(tmp_path, SCRIPT.replace(right, wrong), fields)
    broken = [finding.promise for finding in found if finding.level != "kept"]
    assert [name[: len(promise or "")] for name in broken[:1]] == ([promise] if promise else [])
    assert len(found) == (1 if promise == "The command runs" else 5)


def test_a_command_with_a_scheduler_of_its_own_is_asked_with_another_peak(tmp_path):
    source = """
import json, sys
peak, seed, w = float(sys.argv[1]), int(sys.argv[2]), 3.0
for step in range(20):
    w -= peak * (w + 0.1 * seed)
    print(json.dumps({"step": step + 1, "loss": 0.1 + w * w}))
"""
    found = findings(tmp_path, source, ["{peak_lr}", "{seed}"])
    assert [finding.level for finding in found] == ["kept"] * 4
