"""`autosched watch`: a study that another process runs, from its ledger."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from command_line import events, interrupted, refuse, run

from autosched.ledger.store import Ledger


def test_a_study_is_followed_to_its_end_while_another_process_writes_it(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [written] = [[stamped.event for stamped in log] for log in events().values()]
    url, half = "sqlite:///followed.db", len(written) // 2
    ledger = Ledger(url)
    ledger.append("s", 0, written[:half])
    looked_at = threading.Event()

    def drive() -> None:
        with ledger.lease("s"):
            begun.set()
            looked_at.wait(60)
            ledger.append("s", half, written[half:])
            ended.wait(60)

    begun, ended = threading.Event(), threading.Event()
    driver = threading.Thread(target=drive)
    driver.start()
    begun.wait(60)
    looked_at.set()
    try:
        assert run(["watch", "s", "--ledger", url]) == 0
    finally:
        ended.set()
        driver.join()
        ledger.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if " trial 0 (default) complete: loss " in line]
    assert sum(line.startswith("study ") for line in lines) == 1
    assert lines[-1].startswith(("schedule", "report", "law", "note"))


def test_one_that_nobody_runs_is_said_to_be_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    interrupted()
    assert run(["watch", "s"]) == 2
    shown = capsys.readouterr()
    assert shown.err == "autosched: error: nobody runs the study 's': `autosched resume s` goes on with it.\n"
    assert "trial 0 (default) complete" in shown.out
    refuse(capsys, ("watch", "absent"), "there is no study 'absent'")
