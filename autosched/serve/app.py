"""The live page's server: a Starlette application that answers GET alone.

path                          what
/                             all studies of the ledger
/study/NAME                   the page of one
/api/studies                  the list as JSON
/api/study/NAME/document      the page's document
/api/study/NAME/progress      how much of the study is read, while its document is waited for
/api/study/NAME/follow        what is new in it, as server-sent events
/api/study/NAME/schedule      the winner's schedule, or ``?trial=N``
/api/study/NAME/logs/N        what trial N printed
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from autosched.errors import AutoschedError, UsageError
from autosched.report.frozen import plotly_script, script, served_page, style
from autosched.serve.access import Access
from autosched.serve.watched import Watched

POLL_SECONDS = 1.0
REST = 50
"""A follower rests so many times as long as its last look took, so that it takes at most 2% of a core."""


def application(watched: Watched, access: Access) -> Starlette:
    """The server for these studies.

    Args:
        access: who may look.
    """
    pages = _Pages(watched)
    routes = [
        Route("/", pages.index),
        Route("/page.css", _constant("text/css", style)),
        Route("/page.js", _constant("text/javascript", script)),
        Route("/plotly.js", _constant("text/javascript", plotly_script)),
        Route("/study/{name:path}", pages.study),
        Route("/api/studies", pages.studies),
        Route("/api/study/{name:path}/document", pages.document),
        Route("/api/study/{name:path}/progress", pages.progress),
        Route("/api/study/{name:path}/follow", pages.follow),
        Route("/api/study/{name:path}/law", pages.law),
        Route("/api/study/{name:path}/schedule", pages.schedule),
        Route("/api/study/{name:path}/logs/{trial:int}", pages.log),
    ]
    middleware = [Middleware(access.middleware)]
    if access.token is not None:  # on loopback sending is quicker than packing
        middleware.append(Middleware(GZipMiddleware, minimum_size=2000, compresslevel=5))
    return Starlette(routes=routes, middleware=middleware, exception_handlers={AutoschedError: _told})


async def _told(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=404)


def _constant(media_type: str, content: Any) -> Any:
    async def answer(request: Request) -> Response:
        return Response(content(), media_type=media_type, headers={"Cache-Control": "max-age=3600"})

    return answer


class _Pages:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    async def index(self, request: Request) -> Response:
        return HTMLResponse(served_page("autosched studies", "/api/studies"))

    async def studies(self, request: Request) -> Response:
        return JSONResponse(await to_thread.run_sync(self._watched.rows))

    async def study(self, request: Request) -> Response:
        name = request.path_params["name"]
        return HTMLResponse(served_page(f"{name}: learning-rate schedule search", f"/api/study/{quote(name, safe='')}"))

    async def document(self, request: Request) -> Response:
        found = await to_thread.run_sync(self._watched.whole, request.path_params["name"])
        return Response(found.document, media_type="application/json")

    async def progress(self, request: Request) -> Response:
        return JSONResponse(await to_thread.run_sync(self._watched.progress, request.path_params["name"]))

    async def law(self, request: Request) -> Response:
        return JSONResponse(await to_thread.run_sync(self._watched.law, request.path_params["name"]))

    async def schedule(self, request: Request) -> Response:
        trial = request.query_params.get("trial")
        text = await to_thread.run_sync(
            self._watched.schedule, request.path_params["name"], None if trial is None else _number(trial, "trial")
        )
        return Response(text, media_type="application/json")

    async def log(self, request: Request) -> Response:
        text = await to_thread.run_sync(self._watched.log, request.path_params["name"], request.path_params["trial"])
        return PlainTextResponse(text)

    async def follow(self, request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "0")
        news = self._news(request.path_params["name"], _number(seen, "after"))
        return StreamingResponse(news, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _news(self, name: str, after: int) -> AsyncIterator[bytes]:
        """What is new, as soon as it is known, until the reader goes or the study is finished."""
        while True:
            began = time.monotonic()
            found = await to_thread.run_sync(partial(self._watched.news, name, after))
            if found is not None:
                after = found.events
                yield b"id: %d\ndata: %b\n\n" % (after, found.document)
                if found.finished:
                    return
            await asyncio.sleep(max(POLL_SECONDS, REST * (time.monotonic() - began)))


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise UsageError(f"{what} must be a number, but got {text!r}.")
    return int(text)
