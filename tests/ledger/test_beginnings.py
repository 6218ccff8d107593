"""Two processes that begin the same study at the same moment."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from autosched.errors import StudyError
from autosched.ledger.events import SessionStarted, StudyCreated
from autosched.ledger.store import Ledger
from autosched.space import load_space
from autosched.study.start import create_study

ROUNDS = 25


def test_of_two_that_begin_a_study_at_the_same_moment_one_runs_it_and_the_other_says_who_has_it(url: str) -> None:
    spaces = [replace(load_space("wsd"), study=f"s{number}") for number in range(ROUNDS)]
    rivals, barrier = [Ledger(url) for _ in range(2)], threading.Barrier(2)

    def begin(number: int) -> list[str]:
        ledger, said = rivals[number], []
        for space in spaces:
            barrier.wait()
            try:
                create_study(ledger, space)
                with ledger.lease(space.study):
                    start = ledger.state(space.study).events
                    ledger.append(space.study, start, [SessionStarted(backend=str(number), workers=1)])
                    said.append("ran")
                    barrier.wait()  # it holds the study until the other has been refused
            except StudyError as error:
                said.append(str(error))
                barrier.wait()
        return said

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(begin, range(2))
    for said in zip(first, second, strict=True):
        (refused,) = [text for text in said if text != "ran"]
        assert re.match(r"another process is running the study 's\d+' \((process|connected|just begun)", refused)
    for space in spaces:
        assert [type(one.event) for one in rivals[0].read(space.study)] == [StudyCreated, SessionStarted]
    for rival in rivals:
        rival.close()
