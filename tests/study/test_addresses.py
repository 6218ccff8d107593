"""Addresses in a space: one that cannot be used is one line before any work, and no password is shown or handed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import TUNE, refuse, run, write_space

from autosched.errors import UsageError
from autosched.ledger.events import Stamped, StudyCreated
from autosched.ledger.store import Ledger
from autosched.report.html import space_yaml
from autosched.report.summary import summarise
from autosched.space import load_space, space_to_json
from autosched.space.json_form import without_secrets_in
from autosched.study.start import check_address, create_study
from autosched.tracking.translation import Translator, flatten, study_run

SECRET = "postgresql://me:hunter2@127.0.0.1:1/db?password=hunter2"
BROKEN = [
    "reference://x",
    "hdfs://host/x",
    "dbfs://host/x",
    "github://x",
    "jupyter://x",
    "generic://x",
    "dir://x",
    "zip://x",
    "nope://x",
    "s3://bucket/x",
    "http://127.0.0.1:1/x",
    "data://x",
]


@pytest.mark.parametrize("address", BROKEN)
def test_checkpoints_at_an_address_that_cannot_be_used_are_one_line(address: str) -> None:
    with pytest.raises(UsageError) as info:
        check_address(address)
    assert repr(address) in str(info.value)
    assert "\n" not in str(info.value)


def test_checkpoints_at_an_address_that_can_be_used_leave_nothing_behind() -> None:
    from autosched.engine.checkpoint_store import CheckpointStore

    check_address("memory://probed")
    assert CheckpointStore("memory://probed").sizes() == {}


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("storage.checkpoints=reference://x", "--set: checkpoints must be a folder or an installed fsspec URL"),
        (
            f"storage.ledger={SECRET.replace('postgresql', 'mongodb')}",
            "got 'mongodb://***@127.0.0.1:1/db?password=***'",
        ),
        (
            "tracking.uri=http://host:port",
            "--set: the tracking uri 'http://host:port' cannot be: Port could not be cast",
        ),
        ("tracking.uri=http://[::1", "the tracking uri 'http://[::1' cannot be: Invalid IPv6 URL."),
        ("tracking.uri=postgresql+nope://h/db", "the tracking uri names a driver that SQLAlchemy does not know"),
        ("tracking.uri=mysql://me:hunter2@h/db", "the tracking uri needs MySQLdb (mysql): pip install mysqlclient."),
        ("tracking.uri=sqlite://host/m.db", "must have three slashes before its file"),
        (
            "tracking.uri=databricks",
            "tracking.uri must be a URL with a scheme of sqlite, postgresql, mysql, mssql, http, h",
        ),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_any_work(
    folder: Path, capsys: pytest.CaptureFixture[str], setting: str, says: str
) -> None:
    write_space({"tracking: none": "tracking: {experiment: e}"})
    assert "hunter2" not in refuse(capsys, (*TUNE, "--set", setting), says)
    assert not Path("autosched.db").exists()


def test_what_a_tracker_and_a_report_are_given_of_a_space_holds_no_password(folder: Path) -> None:
    overrides = [
        f"storage.ledger={SECRET}",
        f"tracking={{uri: '{SECRET}'}}",
        "storage.checkpoints=s3://key:hunter2@b/x",
    ]
    space = load_space("space.yaml", overrides)
    data = space_to_json(space)
    created = Stamped(number=0, time=0.0, event=StudyCreated(space=data, versions={}))
    translator = Translator("s", lambda event: pytest.fail("no proposal"))
    given = [
        json.dumps(dict(study_run("s", created, tags={}).params)),
        *(str(write) for write in translator.translate(created)),
        space_yaml(space),
        json.dumps(summarise(translator.state, space, tracking={"uri": SECRET})),
    ]
    assert [text for text in given if "hunter2" in text] == []
    assert dict(flatten(without_secrets_in(data)))["tracking.uri"] == "postgresql://***@127.0.0.1:1/db?password=***"
    assert without_secrets_in({"study": 7}) == {"study": 7}


def test_a_study_whose_tracking_store_moved_goes_on_with_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = load_space("space.yaml", ["tracking={uri: 'http://127.0.0.1:1'}"])
    ledger = Ledger(space.storage.ledger)
    create_study(ledger, space)
    ledger.close()
    refuse(capsys, ("resume", "s", "--tracking", "ftp://h"), "the tracking uri must be sqlite:///FILE, ")
    assert run(["resume", "s", "--backend", "local", "--tracking", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "finished"
