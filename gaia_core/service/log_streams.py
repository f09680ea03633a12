"""Streams of logs: of an attempt that has ended from the store, of one that runs from what workers tell of it.

Both know the place of each byte, so a stream goes from one to the other without a gap or a repetition, and a reader
that was cut off goes on where it was. Any server can do this; it asks whoever answers now where a Step stands.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from gaia.v1 import api_pb2 as pb
from gaia.v1 import logs_pb2
from gaia_core.errors import InvalidWorkflow, Overloaded, Problem, RequestError, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.logs import LogTarget
from gaia_core.ports import LogReading, LogTap, Store, Stored
from gaia_core.service.log_telling import LogTelling, notice
from gaia_core.wire.pieces import LogRecord, Piece, decode_record, log_key, read_stored
from gaia_core.workflow.keys import log_location

STREAMS_MAX: Final = 100
"""Readers at a time: one of a running attempt costs a consumer."""

TAIL_LINES_MAX: Final = 10_000

PAUSE_S: Final = 0.2
"""Before it is looked again whether there is more; workers tell four times a second."""

ASK_EVERY_S: Final = 1.0
"""Between two questions where the Step stands."""

GRACE_S: Final = 5.0
"""How long its last words, and its log, may be on their way when an attempt is no longer the current one."""

READING_S: Final = 0.01
"""Pause while the past is still being read."""

CLOCKS_MS: Final = 60_000
"""So far the clocks of machines may be apart."""

AT_ONCE: Final = 200

Ask: TypeAlias = Callable[[rq.Request], Awaitable[Any]]
Responses: TypeAlias = AsyncIterator[pb.LogsResponse]
Item = TypeVar("Item")


class LogStreams:
    """Reads logs for all clients of a server.

    Args:
        store: holds the logs of attempts that have ended.
        tap: gives what running ones write.
        ask: asks whoever answers now.
        clock: seconds that never go back.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        store: Store,
        tap: LogTap,
        ask: Ask,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.store = store
        self.tap = tap
        self.ask = ask
        self.clock = clock
        self.sleep = sleep
        self._open = 0

    async def begin(self, request: pb.LogsRequest) -> Responses:
        """Return the stream that answers a request.

        Raises:
            InvalidWorkflow: something is wrong with it.
            UnknownName: there is no such workflow, Step or attempt.
            NotAllowedNow: the name stands for several Steps.
            Overloaded: too many are read already.
        """
        _refuse(request)
        target: LogTarget = await self.ask(rq.FindLog(request.workflow, request.step))
        if request.attempt > target.attempt and not request.follow:
            newest = f"the newest is {target.attempt}" if target.attempt else "it has not had one"
            raise UnknownName(f"There is no attempt {request.attempt} of Step {target.name!r}; {newest}.")
        if self._open >= STREAMS_MAX:
            raise Overloaded(f"{STREAMS_MAX} logs are being read already.", hint="ask again in a moment")
        return self._counted(_Stream(self, request, target).told())

    async def _counted(self, responses: Responses) -> Responses:
        self._open += 1
        try:
            async for response in responses:
                yield response
        finally:
            self._open -= 1


class _Stream:
    """One stream: attempt after attempt."""

    def __init__(self, streams: LogStreams, request: pb.LogsRequest, target: LogTarget) -> None:
        self._streams = streams
        self._request = request
        self._target = target
        self._asked_s = streams.clock()
        self._gone_s: float | None = None
        self._has_ended = True

    async def told(self) -> Responses:
        """Tell all that is wanted."""
        request = self._request
        async for response in self._until_attempt(max(request.attempt, 1), is_first=True):
            yield response
        number = request.attempt or self._target.attempt
        tail = request.tail_lines if request.HasField("tail_lines") else None
        telling = LogTelling(number, request.from_offset, request.streams, tail)
        while 0 < number <= self._target.attempt:
            async for response in self._attempt(telling, number):
                yield response
            if not request.onward:
                break
            number += 1
            await self._look()
            async for response in self._until_attempt(number):
                yield response
            telling = LogTelling(number, 0, request.streams, None if request.follow else tail)
        async for response in self._conclusion(min(number, self._target.attempt)):
            yield response

    async def _conclusion(self, number: int) -> Responses:
        """Say what became of the Step where its latest attempt was told, and is no success."""
        if self._request.follow and not self._target.is_over:
            await self._look()
        target = self._target
        if 0 < number == target.attempt and not (target.is_running or target.is_complete):
            yield notice(f"{target.name} {target.summary}", number)

    async def _until_attempt(self, number: int, *, is_first: bool = False) -> Responses:
        """Wait until there is an attempt, if that is wanted and may be; say what is waited for."""
        said = ""
        while (target := self._target).attempt < number:
            is_last = target.is_over or not self._request.follow
            is_worth_saying = is_first or not (is_last or target.is_running)  # its end is on its way
            if is_worth_saying and target.summary != said:
                said = target.summary
                yield notice(f"{target.name} {said}", target.attempt)
            if is_last:
                return
            await self._streams.sleep(PAUSE_S if target.is_running else ASK_EVERY_S)
            await self._look()

    async def _attempt(self, telling: LogTelling, number: int) -> Responses:
        """Tell one attempt to its end, or what there is of it by now."""
        self._has_ended, self._gone_s = True, None
        if self._is_running(number) and self._has_log():
            async for response in self._live(telling, number):
                yield response
        if not self._has_ended:
            return
        stored = await self._stored(number)
        if stored is not None:
            async for response in self._from_store(telling, stored):
                yield response
        elif not telling.next:
            async for response in self._not_stored(telling, number):
                yield response
        for response in telling.flush():
            yield response
        yield telling.end()

    async def _live(self, telling: LogTelling, number: int) -> Responses:
        """Tell what a running attempt writes, until it has ended; or only what there is, where nobody follows."""
        size_bytes, is_flushed = 0, False
        async with self._reading(self._target.ready_since_ms - CLOCKS_MS) as reading:
            async for records in self._portions(reading, number):
                for response in _told(telling, records):
                    yield response
                size_bytes = max([size_bytes, *(record.size_bytes for record in records)])
                if not records and not is_flushed:
                    is_flushed = True
                    for response in telling.flush():
                        yield response
                    if not self._request.follow:
                        self._has_ended = False
                        yield telling.end(running=True)
                        return
        if await self._stored(number) is None:
            for response in telling.leave_out(size_bytes):
                yield response
            if not telling.next:
                self._has_ended = False
                yield telling.notice(f"attempt {number} of {self._target.name} wrote nothing")
                yield telling.end()

    async def _portions(self, reading: LogReading, number: int) -> AsyncIterator[list[LogRecord]]:
        """Yield what is told of a running attempt, and [] each time that all is read, until it has ended."""
        while not self._is_over():
            records = await self._read(reading, number)
            if records:
                yield records
                if records[-1].ended:
                    return
            elif reading.caught_up:
                yield []
                await self._look_now_and_then(number)
                await self._streams.sleep(PAUSE_S)
            else:
                await self._streams.sleep(READING_S)

    async def _look_now_and_then(self, number: int) -> None:
        """Ask where the Step stands, and note since when the attempt is no longer the current one."""
        if self._streams.clock() - self._asked_s > ASK_EVERY_S:
            await self._look()
            if self._gone_s is None and not self._is_running(number):
                self._gone_s = self._streams.clock()
                if await self._stored(number) is not None:
                    self._gone_s -= GRACE_S

    def _is_over(self) -> bool:
        """Tell whether nothing more is to be expected of an attempt, which did not say so itself."""
        is_gone = self._gone_s is not None and self._streams.clock() - self._gone_s >= GRACE_S
        if is_gone:
            self._gone_s = None
        return is_gone

    @asynccontextmanager
    async def _reading(self, since_ms: int) -> AsyncIterator[LogReading]:
        """Open what is told of the Step, and close it."""
        key = log_key(self._target.workflow, self._target.name)
        reading = await asyncio.to_thread(self._streams.tap.open, key, since_ms)
        try:
            yield reading
        finally:
            await asyncio.to_thread(reading.close)

    async def _read(self, reading: LogReading, number: int) -> list[LogRecord]:
        """Return the next records of an attempt."""
        found = []
        for data in await asyncio.to_thread(reading.read):
            try:
                record = decode_record(data)
            except RequestError:  # a stranger's
                continue
            if (record.uid, record.step_index, record.attempt) == (self._target.uid, self._target.step, number):
                found.append(record)
        return found

    async def _from_store(self, telling: LogTelling, stored: Stored) -> Responses:
        """Tell what is kept of an attempt."""
        pieces = read_stored(self._streams.store.open(None, stored.path, stored.version))
        while portion := await asyncio.to_thread(_some, pieces):
            for piece in portion:
                for response in telling.take(piece):
                    yield response

    async def _not_stored(self, telling: LogTelling, number: int) -> Responses:
        """Tell what was heard of an attempt whose log is not in the store, or why there is nothing."""
        target = self._target
        if number == target.attempt and not self._has_log():
            yield telling.notice(f"{target.name} was given to a worker that runs no programs, so there is no log")
            return
        if number == target.attempt and target.is_complete:
            yield telling.notice(f"attempt {number} of {target.name} wrote nothing")
            return
        async with self._reading(0) as reading:
            while True:
                records = await self._read(reading, number)
                for response in _told(telling, records):
                    yield response
                if not records and reading.caught_up:
                    break
                await self._streams.sleep(0 if records else READING_S)
        if telling.next:
            yield telling.notice("its worker was lost or could not store the log; this is what was heard of it")
        else:
            yield telling.notice(
                f"no log of attempt {number} of {target.name} is kept: it wrote nothing, or too long ago"
            )

    async def _stored(self, number: int) -> Stored | None:
        target = self._target
        place = log_location(target.workflow, target.uid, target.step, number)
        return await asyncio.to_thread(self._streams.store.stat, place.bucket, place.path)

    async def _look(self) -> None:
        """Ask where the Step stands now."""
        found: LogTarget = await self._streams.ask(rq.FindLog(self._request.workflow, self._target.name))
        self._asked_s = self._streams.clock()
        if (found.uid, found.step) != (self._target.uid, self._target.step):
            raise UnknownName(f"Step {self._target.name!r} of {self._target.workflow!r} is another one now.")
        self._target = found

    def _is_running(self, number: int) -> bool:
        return self._target.is_running and self._target.attempt == number

    def _has_log(self) -> bool:
        """Tell whether the worker of the latest attempt runs programs."""
        return self._target.executor != NO_PROGRAMS


NO_PROGRAMS: Final = "noop"
"""The executor that completes attempts without running anything."""


def _told(telling: LogTelling, records: Iterable[LogRecord]) -> Iterator[pb.LogsResponse]:
    for record in records:
        for piece in record.pieces:
            yield from telling.take(piece)


def _some(pieces: Iterator[Piece]) -> list[Piece]:
    return list(islice(pieces, AT_ONCE))


def _refuse(request: pb.LogsRequest) -> None:
    """Refuse what cannot be meant.

    Raises:
        InvalidWorkflow: with every problem.
    """
    problems = []
    if request.tail_lines > TAIL_LINES_MAX:
        problems.append(Problem("tail_lines", f"must be at most {TAIL_LINES_MAX:,}"))
    known: Iterable[int] = (logs_pb2.LOG_STREAM_STDOUT, logs_pb2.LOG_STREAM_STDERR)
    for number, stream in enumerate(request.streams):
        if stream not in known:
            problems.append(Problem(f"streams[{number}]", "must be LOG_STREAM_STDOUT or LOG_STREAM_STDERR"))
    if request.from_offset and not request.attempt:
        problems.append(Problem("from_offset", "needs an attempt: a place in which log?"))
    if problems:
        raise InvalidWorkflow.of(problems)
