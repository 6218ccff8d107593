"""A ledger that fills as a driver would fill it, its server, and a browser that looks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from example_study import SPACE

from autosched.ledger.events import Stamped, StudyCreated
from autosched.ledger.store import Ledger
from autosched.serve.access import Access
from autosched.serve.app import application
from autosched.serve.watched import Watched
from autosched.space import space_to_json

PATIENCE = 120_000
"""[ms] For what the page does at once on a machine that is not busy."""


def append(ledger: Ledger, study: str, events: list[Stamped]) -> None:
    """Write events as a driver does; the first one has the whole space."""
    told = [stamped.event for stamped in events]
    if isinstance(told[0], StudyCreated):
        told[0] = replace(told[0], space=space_to_json(replace(SPACE, study=study)))
    ledger.append(study, events[0].number, told)


@contextmanager
def serving(url: str, host: str = "127.0.0.1") -> Iterator[tuple[str, Access]]:
    """The address of a server of this ledger, and who may look."""
    access = Access.on(host)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application(Watched(url), access), log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", access
    finally:
        server.should_exit = True
        thread.join()


class Visit:
    """A page in a context of its own, and all that it asked for and complained of."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda told: self.faults.append(told.text) if told.type == "error" else None)
        self.page.goto(address)
        self.page.wait_for_selector("body[data-ready=true]")

    def left_the_place(self, *places: str) -> list[str]:
        """What was asked for that begins with none of these."""
        return [url for url in self.asked if not url.startswith((*places, "data:", "blob:"))]

    def real_faults(self) -> list[str]:
        """Errors, but for style attributes that the content policy kept plotly.js from setting, as it should."""
        return [fault for fault in self.faults if not fault.startswith("Applying inline style violates")]

    def serious(self) -> list[str]:
        """Faults of accessibility that axe calls serious or critical."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {fault['nodes'][0]['html'][:200]}"
            for fault in found
            if fault["impact"] in {"serious", "critical"}
        ]

    def saved(self, name: str, folder: Path) -> str:
        """What a button saves."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=name, exact=True).first.click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path.read_text(encoding="utf-8")
