"""HTTP: health now, the original's verbs and more later. A web page of somebody else must not start commands here."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


def build(is_ready: Callable[[], bool], known_hosts: frozenset[str], token: str) -> ASGIApp:
    """Return the HTTP application.

    Args:
        is_ready: whether this server leads and answers.
        known_hosts: host names that clients may call us by; empty for any.
        token: what clients must send as a bearer token; "" for none. Health needs none.
    """

    async def health(_: Request) -> JSONResponse:
        ready = is_ready()
        return JSONResponse({"status": "ok" if ready else "starting"}, 200 if ready else 503)

    return _Guard(Starlette(routes=[Route("/healthz", health)]), known_hosts, token)


class _Guard:
    """Refuses what a browser could be made to send: unknown hosts, other origins, bodies that are not JSON."""

    def __init__(self, app: ASGIApp, known_hosts: frozenset[str], token: str) -> None:
        self._app = app
        self._known_hosts = known_hosts
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            refusal = self._refusal(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        host = _host_of(f"//{request.headers.get('host', '')}")
        if self._known_hosts and host not in self._known_hosts:
            return _refused(403, f"this server is not known as {host!r}")
        if request.method not in SAFE_METHODS:
            origin = request.headers.get("origin")
            if origin is not None and _host_of(origin) != host:
                return _refused(403, "requests from pages of another site are refused")
            if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _refused(415, "the Content-Type must be application/json")
        given = request.headers.get("authorization")
        if self._token and request.url.path != "/healthz" and given != f"Bearer {self._token}":
            return _refused(401, "the token is missing or wrong")
        return None


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _refused(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)
