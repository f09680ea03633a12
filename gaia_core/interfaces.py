"""The two ports of a server, gRPC and HTTP: how they are bound, served and closed. A part of the composition root."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from starlette.types import ASGIApp

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.config import Config, split_address, variable
from gaia_core.errors import GaiaError, NotAllowedNow, Unavailable
from gaia_core.service.calls import CallMeter
from gaia_core.service.grpc_api import GaiaService
from gaia_core.service.interceptor import ErrorInterceptor
from gaia_core.service.limits import MESSAGE_BYTES_MAX

STOP_S: Final = 5.0
"""How long open calls may go on after a stop was asked for."""

KEEPALIVE_MS: Final = 40_000
"""After so much silence a client is asked for a sign of life, and given as long again to answer."""

PENDING_CALLS_MAX: Final = 100_000
"""Calls that the gRPC library keeps until we look at them; of more than 1,000 it would cancel some at random.

Source: grpc_core::Server, whose max_pending_requests is a RandomEarlyDetection of 1,000 and 3,000. Of 10,000 calls at
once from one client (gRPC 1.85) about 6,000 ended as CANCELLED, none with this.
"""


OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # What comes faster than it is looked at is to be refused by us, in words, and not cancelled by the library.
    ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
    # Watchers that disappeared without a word are noticed; those that ask for signs of life are not sent away.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 4),
)
"""Of the gRPC server; the library passes over a name that it does not know."""


class Interfaces:
    """gRPC and HTTP, bound before anything else is done and served from then on."""

    def __init__(self, config: Config, service: GaiaService, app: ASGIApp, calls: CallMeter) -> None:
        self._config = config
        self._service = service
        self._app = app
        self._calls = calls
        self._stack = ExitStack()

    async def __aenter__(self) -> None:
        bound = self._stack.enter_context(self._http_socket())
        self._grpc = await self._start_grpc()
        settings = uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off")
        self._http = _QuietUvicorn(settings)
        self._serving = asyncio.create_task(self._http.serve(sockets=[bound]))

    async def __aexit__(self, *_: object) -> None:
        await self._grpc.stop(STOP_S)
        self._http.should_exit = True
        await self._serving
        self._stack.close()

    @contextmanager
    def _http_socket(self) -> Iterator[socket.socket]:
        """Bind the HTTP port."""
        host, port = split_address(self._config.http_listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                bound.bind((host, port))
            except OSError as error:
                raise _port_refused("HTTP", self._config.http_listen, "http_listen", error) from error
            yield bound

    async def _start_grpc(self) -> Any:
        server = grpc.aio.server(interceptors=[ErrorInterceptor(self._config.token, self._calls)], options=OPTIONS)
        api_pb2_grpc.add_GaiaServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]
        servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        name = api_pb2.DESCRIPTOR.services_by_name["Gaia"].full_name
        reflection.enable_server_reflection(
            [name, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME], server
        )
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            server.add_insecure_port(self._config.listen)
        except RuntimeError as error:
            raise _port_refused("gRPC", self._config.listen, "listen", error) from error
        await server.start()
        return server


def known_hosts(config: Config) -> frozenset[str]:
    """Return the names that clients may call the HTTP port by; empty for any."""
    if config.token or config.insecure:
        return frozenset()
    host, _ = split_address(config.http_listen)
    return frozenset({"localhost", "127.0.0.1", "::1", host})


class _QuietUvicorn(uvicorn.Server):
    """Leaves signals to the process that runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def _port_refused(what: str, address: str, setting: str, error: Exception) -> GaiaError:
    """Return the error for a port that cannot be bound."""
    flag = {"listen": "--listen", "http_listen": "--http"}[setting]
    hint = f"another Gaia may run here; choose another address with {flag} or {variable(setting)}"
    if isinstance(error, PermissionError):
        return Unavailable(f"The {what} address {address} may not be used: {error.strerror}.", hint=hint)
    return NotAllowedNow(f"The {what} address {address} is in use.", hint=hint)
