"""Around every gRPC method: the token is checked, and whatever goes wrong becomes a refusal and a line in the log."""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc

from gaia_core.errors import GaiaError, NotAllowedNow, NotAuthorized
from gaia_core.service.calls import CallMeter
from gaia_core.service.refusals import abort
from gaia_core.skew import too_far


class ErrorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Turns our errors into status codes with a Refusal, checks the token, and logs one line a call."""

    def __init__(self, token: str, calls: CallMeter | None = None) -> None:
        self._calls = calls or CallMeter()
        self._token = f"Bearer {token}" if token else ""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method's handler."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(("/grpc.health", "/grpc.reflection")):
            return handler
        given = dict(handler_call_details.invocation_metadata or ())
        wrap = _stream_wrapper if handler.response_streaming else _unary_wrapper
        return _rebuild(handler, wrap(_behaviour(handler), method, self._objection(given), self._calls))

    def _objection(self, given: Mapping[str, str | bytes]) -> GaiaError | None:
        """Return why a caller is not served, by what its call carries, or None."""
        if self._token and not _same(str(given.get("authorization", "")), self._token):
            return NotAuthorized("The token is missing or wrong.", hint="set GAIA_TOKEN to the server's token")
        why = too_far(str(given.get("gaia-version", "")))
        return NotAllowedNow(f"This client may not be served. {why}", hint="install another version") if why else None


def _behaviour(handler: Any) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _rebuild(handler: Any, behaviour: Any) -> Any:
    """Return a handler of the same kind around another behaviour."""
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = kinds[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _unary_wrapper(behaviour: Any, method: str, objection: GaiaError | None, calls: CallMeter) -> Any:
    async def call(request: Any, context: Any) -> Any:
        began_s = time.monotonic()
        try:
            with _counted(calls, method):
                _check(objection)
                return await behaviour(request, context)
        except Exception as error:  # noqa: BLE001
            await abort(context, method, error)
        finally:
            calls.seconds.add(time.monotonic() - began_s)

    return call


def _stream_wrapper(behaviour: Any, method: str, objection: GaiaError | None, calls: CallMeter) -> Any:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            with _counted(calls, method):
                _check(objection)
                async for message in behaviour(request, context):
                    yield message
        except Exception as error:  # noqa: BLE001
            await abort(context, method, error)

    return call


@contextmanager
def _counted(calls: CallMeter, method: str) -> Iterator[None]:
    """Count a call when it ends, however that is."""
    try:
        yield
    except BaseException as error:
        calls.ended(method, error)
        raise
    calls.ended(method, None)


def _check(objection: GaiaError | None) -> None:
    if objection is not None:
        raise objection


def _same(one: str, other: str) -> bool:
    """Compare without telling by the time taken where they differ."""
    return hashlib.sha256(one.encode()).digest() == hashlib.sha256(other.encode()).digest()
