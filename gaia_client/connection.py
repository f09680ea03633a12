"""Calls to the first server of a list that answers, repeated while none does.

Every mutation carries a request id, so repeating one is harmless. A client that never reached a server gives up at
once; one that did waits out a restart or a change of leader. Knows nothing of what is called.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar, cast
from weakref import WeakSet

import grpc
from google.protobuf.message import Message

from gaia_client import refusals
from gaia_client.config import ClientConfig, address
from gaia_core.errors import ConfigError, NotAllowedNow, Overloaded
from gaia_core.version import VERSION

MESSAGE_BYTES_MAX: Final = 64 * 1024**2
"""What the server takes in one message."""

CALL_TIMEOUT_S: Final = 120.0
"""Accepting a large upload takes the server seconds, never minutes."""

PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 3.0, 3.0)
"""Twelve seconds in all: a change of leader takes about six, a restart of an embedded server less."""

REFUSAL_BYTES_MAX: Final = 700_000
"""What the server may tell of a refusal: a thousand problems; binary metadata grows by a third on its way."""

_OPTIONS: Final = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # A refusal with a thousand problems travels in the trailing metadata.
    ("grpc.max_metadata_size", 1024**2),
    ("grpc.absolute_max_metadata_size", 2 * 1024**2),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # This is the time one attempt to connect may take, too.
    ("grpc.min_reconnect_backoff_ms", 5000),
    # A stream may be silent for hours; without a sign of life in between nobody would notice that its server is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A proxy of the browsing kind does not carry this, and never leads to localhost.
    ("grpc.enable_http_proxy", 0),
)

_NOT_DONE: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""Worth another attempt: nobody answers; or, since we cancel no call that we wait for, a server that is overrun did."""

Answer = TypeVar("Answer", bound=Message)
Result = TypeVar("Result")
Metadata = tuple[tuple[str, str], ...]


class Connection:
    """Channels to a list of servers, the one that answered last first."""

    def __init__(self, config: ClientConfig, sleep: Callable[[float], None]) -> None:
        """Keep the addresses; nothing is opened before the first call."""
        self._given = config.hosts
        self._hosts = list(config.hosts)
        authorization: Metadata = (("authorization", f"Bearer {config.token}"),) if config.token else ()
        self._metadata: Metadata = (
            ("gaia-refusal-bytes-max", str(REFUSAL_BYTES_MAX)),
            ("gaia-version", VERSION),
            *authorization,
        )
        self._channels: dict[str, grpc.Channel] = {}
        self._sleep = sleep
        self._reached = False
        self._closed = False
        self._streams: WeakSet[Stream[Any]] = WeakSet()

    def close(self) -> None:
        """Close every channel, and end the streams that other threads read; safe to call twice."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()
        while self._channels:
            self._channels.popitem()[1].close()

    @property
    def is_closed(self) -> bool:
        """Tell whether it was closed."""
        return self._closed

    def pause(self, seconds: float) -> None:
        """Wait before something is tried again."""
        self._sleep(seconds)

    def call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        """Call a method and return its answer.

        Raises:
            GaiaError: the server's refusal, or Unavailable.
        """

        def attempt(channel: grpc.Channel) -> Answer:
            invoke: Any = channel.unary_unary(_path(method), _serialised, answer.FromString)
            return cast("Answer", invoke(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata))

        return self.trying(attempt)

    def download(
        self, method: str, request: Message, answer: type[Answer], consume: Callable[[Iterator[Answer]], Result]
    ) -> Result:
        """Call a method that answers with a stream, and return what consume makes of it.

        Args:
            method: name of the method.
            request: its request.
            answer: class of the messages of the stream.
            consume: reads the stream to its end; it is called anew when the stream breaks.
        """

        def attempt(channel: grpc.Channel) -> Result:
            invoke: Any = channel.unary_stream(_path(method), _serialised, answer.FromString)
            stream = invoke(request, metadata=self._metadata)
            try:
                return consume(stream)
            finally:
                stream.cancel()

        return self.trying(attempt)

    def stream(self, method: str, request: Message, answer: type[Answer]) -> "Stream[Answer]":
        """Call a method that answers with a stream without end, and return that once the server has begun it.

        Raises:
            GaiaError: the server's refusal, or Unavailable.
        """

        def attempt(channel: grpc.Channel) -> Stream[Answer]:
            invoke: Any = channel.unary_stream(_path(method), _serialised, answer.FromString)
            return Stream(invoke(request, metadata=self._metadata), self._given)

        stream = self.trying(attempt)
        self._streams.add(stream)
        return stream

    def upload(self, method: str, requests: Callable[[], Iterator[Message]], answer: type[Answer]) -> Answer:
        """Call a method that takes a stream.

        Args:
            method: name of the method.
            requests: makes the stream; it is called anew when the stream breaks.
            answer: class of the answer.

        Raises:
            Exception: whatever the stream itself raised; the call is cancelled then.
        """

        def attempt(channel: grpc.Channel) -> Answer:
            source = _Source(requests())
            invoke: Any = channel.stream_unary(_path(method), _serialised, answer.FromString)
            return cast("Answer", source.finish(invoke.future(source, metadata=self._metadata)))

        return self.trying(attempt)

    def trying(self, attempt: Callable[[grpc.Channel], Result]) -> Result:
        """Return the result of the first attempt that a server answers, over all servers and pauses."""
        pauses = iter(PAUSES_S)
        while True:
            for host in list(self._hosts):
                try:
                    result = attempt(self._channel(host))
                except grpc.RpcError as problem:
                    failure = problem
                    if not self._is_for_others(host, problem):
                        break
                else:
                    self._prefer(host)
                    return result
            pause = next(pauses, None) if self._reached else None
            if pause is None:
                raise refusals.error_of(failure, self._given) from None
            self._sleep(pause)

    def _is_for_others(self, host: str, failure: grpc.RpcError) -> bool:
        """Tell whether other servers may answer what this one did not; follow a standby to its leader.

        Raises:
            GaiaError: another attempt would not change it.
        """
        refused = refusals.refusal(failure)
        self._reached = self._reached or refused is not None
        if isinstance(refused, Overloaded):
            return False
        if refusals.code_of(failure) not in _NOT_DONE:
            self._prefer(host)
            raise refusals.error_of(failure, [host]) from None
        leader = refusals.trailer(failure, refusals.LEADER_KEY)
        if isinstance(leader, str) and leader:
            self._follow(leader)
        return True

    def _follow(self, leader: str) -> None:
        try:
            leader = address(leader)
        except ConfigError:
            return
        self._hosts = [leader, *(host for host in self._hosts if host != leader)]

    def _prefer(self, host: str) -> None:
        self._reached = True
        if self._hosts[0] != host:
            self._hosts = [host, *(other for other in self._hosts if other != host)]

    def _channel(self, host: str) -> grpc.Channel:
        if self._closed:
            raise NotAllowedNow("The client was closed.")
        if host not in self._channels:
            self._channels[host] = grpc.insecure_channel(host, options=_OPTIONS)
        return self._channels[host]


class Stream(Iterator[Answer]):
    """The messages of a stream without end.

    Attributes:
        begun: what the server said when it began the stream; empty if its first message came without that.
    """

    def __init__(self, call: Any, hosts: Iterable[str]) -> None:
        """Wait until the stream has begun.

        Raises:
            grpc.RpcError: it did not.
        """
        self._call = call
        self._hosts = hosts
        self._closed = False
        try:
            self.begun = {name: text for name, text in call.initial_metadata() if name.startswith("gaia-")}
            self._early: list[Answer] = [] if self.begun else list(islice(call, 1))
        except BaseException:
            call.cancel()
            raise

    def __next__(self) -> Answer:
        """Return the next message.

        Raises:
            GaiaError: the server's refusal, or Unavailable: the stream broke.
        """
        if self._early:
            return self._early.pop()
        try:
            return cast("Answer", next(self._call))
        except grpc.RpcError as failure:
            if self._closed:
                raise StopIteration from None
            raise refusals.error_of(failure, self._hosts) from None

    def close(self) -> None:
        """End the call, from any thread; whoever waits for a message finds the stream at its end."""
        self._closed = True
        self._call.cancel()


class _Source:
    """A stream of requests; what it raises cancels the call and reaches the caller, instead of a log of gRPC's."""

    def __init__(self, requests: Iterator[Message]) -> None:
        self._requests = requests
        self._failure: Exception | None = None
        self._call: Any = None
        self._started = threading.Event()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except Exception as failure:  # noqa: BLE001 - raised again by finish, in the caller's thread
            self._failure = failure
            self._started.wait()
            if self._call is not None:
                self._call.cancel()
            raise StopIteration from None

    def finish(self, call: Any) -> Any:
        """Return the call's answer, or raise what the stream raised."""
        self._call = call
        self._started.set()
        try:
            return call.result()
        except BaseException:
            call.cancel()
            if self._failure is not None:
                raise self._failure from None
            raise


def _path(method: str) -> str:
    return f"/gaia.v1.Gaia/{method}"


def _serialised(message: Message) -> bytes:
    return message.SerializeToString()
