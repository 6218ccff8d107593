"""Who may look at the live page, and what the page may do.

On loopback everybody on the machine may; the ``Host`` of a request must be a name of loopback, so that no web page from
elsewhere reads studies through a browser here. On other addresses a token is asked for: the link that `autosched
serve` prints has it once, and a cookie keeps it from then on.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from http.cookies import SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "autosched_token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "
    "connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts, styles and data of this server alone; the hash is that of nothing, see :mod:`autosched.report.frozen`."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or the host of a request, is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may look.

    Attributes:
        token: what a reader must have; None on loopback.
    """

    token: str | None

    @classmethod
    def on(cls, host: str) -> Access:
        """For a server that listens on this address: with a new token where others can reach it."""
        return cls(None if is_loopback(host) else secrets.token_urlsafe(24))

    @property
    def query(self) -> str:
        """What a link ends with so that it opens."""
        return "" if self.token is None else f"?token={self.token}"

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """The application behind this access."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            refusal = self._refusal(scope)
            await (app if refusal is None else refusal)(scope, receive, _with_headers(send))

        return guarded

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered instead of the page; None for those who may look."""
        headers = Headers(scope=scope)
        if self.token is None:
            host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            return None if is_loopback(host) else PlainTextResponse("this server is for this machine alone\n", 421)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if "token" in query and self._is_right(query.pop("token")):
            place = scope["path"] + (f"?{urlencode(query)}" if query else "")
            answer = RedirectResponse("/" + place.lstrip("/"), 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        cookie: Any = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        if cookie is not None and self._is_right(cookie.value):
            return None
        return PlainTextResponse("open the link that `autosched serve` printed: it has the token\n", 403)

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), str(self.token).encode())


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent
