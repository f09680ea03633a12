"""HTTP: health, metrics, and the original Gaia's verbs. A web page of somebody else must not start commands here."""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gaia_core.coordinator.desk import Submit
from gaia_core.service import verb_calls
from gaia_core.service.late_bodies import LateBodies
from gaia_core.service.metrics import Expose
from gaia_core.service.reception import Reception
from gaia_core.service.verb_calls import refused

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


def build(
    role: Callable[[], str],
    submit: Submit,
    reception: Reception,
    known_hosts: frozenset[str],
    token: str,
    refused: Callable[[], Mapping[str, int]] = dict,
    expose: Expose | None = None,
    troubles: Callable[[], Mapping[str, str]] = dict,
) -> ASGIApp:
    """Return the HTTP application.

    Args:
        role: "leader" or "standby"; "" while this server answers nothing.
        submit: hands a request to the coordinator.
        reception: where bodies are read.
        known_hosts: host names that clients may call us by; empty for any.
        token: what clients must send, as a bearer token or as the password of any user; "" for none. Health needs none.
        refused: how many reports of workers did not count, by cause; the health page tells.
        expose: what is shown to Prometheus; None shows nothing.
        troubles: why workers take nothing new, by name; the health page tells, too.
    """

    async def health(_: Request) -> JSONResponse:
        now = role()
        if not now:
            return JSONResponse({"status": "starting"}, 503)
        counted, told = dict(refused()), dict(troubles())
        return JSONResponse({"status": "ok", "role": now, "refused_reports": counted, "workers_in_trouble": told})

    async def metrics(_: Request) -> Response:
        assert expose is not None
        return Response(await expose(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    shown = [Route("/metrics", metrics)] if expose is not None else []
    app = Starlette(
        routes=[Route("/healthz", health), *shown, *verb_calls.routes(submit, reception)],
        exception_handlers={HTTPException: _no_such_call},
    )
    return LateBodies(_Guard(app, known_hosts, token))


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
            return _refusal(request, 403, f"this server is not known as {host!r}")
        if request.method not in SAFE_METHODS:
            origin = request.headers.get("origin")
            if origin is not None and _host_of(origin) != host:
                return _refusal(request, 403, "requests from pages of another site are refused")
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return _refusal(request, 415, "the Content-Type must be application/json")
        given = request.headers.get("authorization", "")
        if self._token and request.scope["path"] != "/healthz" and not _is_token(given, self._token):
            return _refusal(request, 401, "the token is missing or wrong")
        return None


def _no_such_call(request: Request, error: Exception) -> Response:
    """Refuse a path that nothing answers, or a method that a path does not take."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    words = f"{path!r} does not take {request.method}" if error.status_code == 405 else f"there is nothing at {path!r}"
    refusal = _refusal(request, error.status_code, words)
    refusal.headers.update(error.headers or {})
    return refusal


def _refusal(request: Request, status: int, words: str) -> Response:
    """Return a refusal; the original's verbs know but one status for all of them."""
    return refused(words, 400 if request.scope["path"] in verb_calls.PATHS else status)


def _is_token(given: str, token: str) -> bool:
    """Tell whether an Authorization header holds the token.

    Source: RFC 6750 (Bearer) and RFC 7617 (Basic). The original client can send headers of its own only as the user
    and password of its address: `{'gaia_host': 'gaia:TOKEN@server:24480'}`.
    """
    scheme, _, value = given.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(value.encode(), token.encode())


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
