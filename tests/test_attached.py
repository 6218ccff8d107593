import json
import subprocess
import sys

import pytest

import autosched
from autosched.attached import ATTACHMENT


class Optimizer:
    def __init__(self, *lrs):
        self.param_groups = [{"lr": lr} for lr in lrs]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """What a study leaves for its scripts; gives the reports that came back."""
    reports = tmp_path / "reports.jsonl"
    told = {"lrs": [0.1, 0.2], "start": 0, "stop": 2, "horizon": 2, "seed": 3, "reports": str(reports)}
    (tmp_path / "attachment.json").write_text(json.dumps({**told, "checkpoint_in": "", "checkpoint_out": "there"}))
    monkeypatch.setenv(ATTACHMENT, str(tmp_path / "attachment.json"))
    return lambda: [json.loads(line) for line in reports.read_text().splitlines()]


def test_outside_of_a_study_nothing_is_set_and_nothing_reported(monkeypatch):
    monkeypatch.delenv(ATTACHMENT, raising=False)
    optimizer = Optimizer(0.5)
    lr = autosched.attach(optimizer)
    assert (lr(7), lr(7, 0.25), lr.active, lr.stop) == (None, 0.25, False, None)
    lr.report(7, 1.0)
    assert optimizer.param_groups == [{"lr": 0.5}]


def test_in_a_study_the_lrs_are_the_studys_and_the_losses_go_back(study):
    lr = autosched.attach()
    assert [lr(0, 9.0), lr(1)] == [0.1, 0.2]
    assert (lr.seed, lr.stop, lr.horizon, lr.checkpoint_in, lr.checkpoint_out) == (3, 2, 2, None, "there")
    lr.report(2, 1.5)
    assert study()[-1] == {"step": 2, "loss": 1.5}


def test_every_group_of_an_optimizer_gets_the_lr_in_its_proportion(study):
    optimizer = Optimizer(0.01, 0.001, 0.0)
    autosched.attach(optimizer)(1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.2, 0.02, 0.0])


def test_a_scheduler_may_look_one_update_ahead_and_no_further(study):
    lr = autosched.attach()
    assert lr(2) == 0.2
    with pytest.raises(ValueError, match="step must be from 0 to 2, the updates of the run, but got 3"):
        lr(3)


def test_groups_without_lrs_have_no_ratios(study):
    with pytest.raises(ValueError, match=r"must have LRs above 0, whose ratios are kept, but have \[0.0\]"):
        autosched.attach(Optimizer(0.0))


def test_of_several_processes_the_first_reports(study, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    autosched.attach().report(1, 2.0)
    monkeypatch.setenv("RANK", "1")
    autosched.attach().report(1, 3.0)
    assert study() == [{"step": 1, "loss": 2.0}]


def test_attaching_loads_nothing_but_the_standard_library():
    code = "import autosched, sys; autosched.attach(); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_model_and_its_optimizer_go_on_where_they_were_saved(study, tmp_path, monkeypatch):
    import torch

    def made():
        model = torch.nn.Linear(2, 1)
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def trained(model, optimizer):
        optimizer.zero_grad()
        model(torch.rand(2)).sum().backward()
        optimizer.step()
        return model.weight.tolist()

    lr = autosched.attach()
    lr.checkpoint_out = lr.checkpoint_in = str(tmp_path / "saved")
    parts, again = made(), made()
    trained(*parts)
    lr.save(*parts)
    expected = trained(*parts)
    lr.load(*again)
    assert trained(*again) == expected
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["rank-0.pt"]
    with pytest.raises(ValueError, match="must have the 2 parts that save had, but got 1"):
        lr.load(again[0])


def test_without_checkpoints_nothing_is_loaded_or_saved(study):
    lr = autosched.attach()
    lr.load("no model")
    lr.checkpoint_out = None
    lr.save("no model")
