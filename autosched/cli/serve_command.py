"""`serve`: the live page of a ledger's studies."""

from __future__ import annotations

import os
import threading
from typing import Annotated

import typer

from autosched.cli.live_link import PORT, study_path
from autosched.cli.options import LedgerOption
from autosched.cli.ready import said_when_ready
from autosched.cli.server_commands import check_port
from autosched.interruption import terminable
from autosched.study.start import ledger_url


def serve(
    study: Annotated[
        str | None, typer.Argument(help="A study to link to; default: the list of all.", metavar="[STUDY]")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = PORT,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback need the token of the link.")
    ] = "127.0.0.1",
    ledger: LedgerOption = None,
) -> int:
    """Show studies as they run: a live page, read-only, from the ledger alone.

    Example: autosched serve wsd-demo
    """
    import uvicorn

    from autosched.serve.access import Access
    from autosched.serve.app import application
    from autosched.serve.watched import Watched

    watched = Watched(ledger_url(ledger))
    check_port(host, port)
    access = Access.on(host)
    os.nice(10)  # whoever trains here goes first
    is_read = threading.Event()
    threading.Thread(target=watched.read_ahead, args=(study, is_read), daemon=True).start()
    config = uvicorn.Config(
        application(watched, access), host=host, port=port, log_level="critical", access_log=False, server_header=False
    )
    config.timeout_graceful_shutdown = 1  # a reader's stream does not end by itself
    shown = f"[{host}]" if ":" in host else host
    link = f"http://{shown}:{port}{study_path(study)}{access.query}"
    server = uvicorn.Server(config)

    def ready() -> str | None:
        is_ready = server.started and is_read.is_set()
        return f"studies of {watched.place} on {link}; Ctrl-C stops it." if is_ready else None

    with terminable(), said_when_ready(f"reading {study or 'studies'} of {watched.place} …", ready):
        server.run()
    return 0
