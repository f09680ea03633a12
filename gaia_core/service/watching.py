"""Streams of events and updates: from the hub's memory to messages. A slow reader costs nothing but its own place."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from gaia.v1 import api_pb2 as pb
from gaia.v1 import events_pb2
from gaia_core.coordinator.watching import Watcher, WatchHub
from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine.public import Announcement, WorkflowChanged
from gaia_core.service.replies import update_message
from gaia_core.wire.public import event_message, kind_of
from gaia_core.workflow.interface import all_of

EVENTS_AT_ONCE: Final = 20
"""Between two such portions, of a millisecond each, other streams, calls and threads have their turn."""

CROWD_WINDOW_S: Final = 0.5
CROWD_EVENTS: Final = 1_000
"""When more events than this come in one window, what makes them goes first."""

CROWD_SENT_PER_S: Final = 1_000
"""So many all streams together send then.

Source: benchmarks/watchers.py. Sending one takes 50 µs of the one processor that a Python process has; ten streams that
send as fast as they can took 40 % of the completions of a workflow that makes 18,000 a second, and 2,000 a second in
all took 14 % of one that makes 32,000.
"""

UPDATE_EVERY_S: Final = 0.25
"""At most four updates a second of what changes faster."""

KINDS: Final = tuple(field.name for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields)


Sleep = Callable[[float], Awaitable[object]]


class Pace:
    """How fast streams of events go, all together: freely, but slowly while very much happens; they catch up later.

    Args:
        clock: seconds that never go back.
        sleep: waits so many seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._window_s = clock()
        self._told = 0
        self._was_crowded = False
        self._next_s = 0.0

    async def rest(self, told: int, sent: int) -> None:
        """Pause after so many events were sent, when so many were told altogether.

        Who sent none has only read, which takes next to nothing, and goes on as soon as others had their turn.
        """
        now_s = self._clock()
        if self._is_crowded(now_s, told) and sent:
            self._next_s = max(self._next_s, now_s) + sent / CROWD_SENT_PER_S
            await self._sleep(self._next_s - now_s)
        else:
            await self._sleep(0)

    def _is_crowded(self, now_s: float, told: int) -> bool:
        """Tell whether very much happened in this window or the one before."""
        is_crowded = told - self._told > CROWD_EVENTS
        if now_s < self._window_s + CROWD_WINDOW_S:
            return is_crowded or self._was_crowded
        self._was_crowded = is_crowded
        self._window_s, self._told = now_s, told
        return is_crowded


class Watch(NamedTuple):
    """A watch that has begun.

    Attributes:
        latest: the highest sequence number that the workflow had by then.
        responses: the stream; it ends when the watched workflow is deleted.
    """

    latest: int
    responses: AsyncIterator[pb.WatchResponse]


@contextmanager
def watching(
    hub: WatchHub, pace: Pace, uid: int, request: pb.WatchRequest, sleep: Sleep = asyncio.sleep
) -> Iterator[Watch]:
    """Begin a watch, and end it however its stream ends.

    Args:
        hub: where events come from.
        pace: of all streams together.
        uid: of the workflow to watch; 0 for all.
        request: what to tell of it.
        sleep: waits so many seconds.

    Raises:
        InvalidWorkflow: a kind of event that there is not.
        UnknownName: the workflow was deleted meanwhile.
        NoLongerKept: the first event asked for is gone. The stream: the watcher was too slow.
    """
    _refuse_unknown_kinds(request)
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    start = request.from_sequence if request.every_event and request.HasField("from_sequence") else None
    watcher = hub.watch(uid, start, lambda: loop.call_soon_threadsafe(woken.set))
    try:
        if request.every_event:
            yield Watch(watcher.latest, _events(hub, pace, watcher, uid, request, woken))
        else:
            yield Watch(watcher.latest, _updates(hub, watcher, uid, woken, sleep))
    finally:
        hub.leave(watcher)


async def _events(
    hub: WatchHub, pace: Pace, watcher: Watcher, uid: int, request: pb.WatchRequest, woken: asyncio.Event
) -> AsyncIterator[pb.WatchResponse]:
    is_wanted = _filter(uid, request)
    while True:
        woken.clear()
        found = hub.read(watcher, EVENTS_AT_ONCE)
        sent = 0
        for event in found:
            if is_wanted(event):
                sent += 1
                yield pb.WatchResponse(event=event_message(event))
            if uid and _is_end(event):
                return
        if found:
            await pace.rest(hub.told, sent)
        else:
            await woken.wait()


async def _updates(
    hub: WatchHub, watcher: Watcher, uid: int, woken: asyncio.Event, sleep: Sleep
) -> AsyncIterator[pb.WatchResponse]:
    while True:
        woken.clear()
        found = hub.updates(watcher)
        for update in found:
            yield pb.WatchResponse(update=update_message(update))
            if uid and update.deleted:
                return
        if found:
            await sleep(UPDATE_EVERY_S)
        else:
            await woken.wait()


def _filter(uid: int, request: pb.WatchRequest) -> Callable[[Announcement], bool]:
    """Return what tells whether an event is wanted."""
    kinds, steps = frozenset(request.kinds), frozenset(request.steps)
    first = request.from_sequence if uid else 0

    def is_wanted(event: Announcement) -> bool:
        return (
            (not kinds or kind_of(event) in kinds)
            and (not steps or not steps.isdisjoint(event.names))
            and (not event.sequence or event.sequence >= first)
        )

    return is_wanted


def _is_end(event: Announcement) -> bool:
    return isinstance(event.fact, WorkflowChanged) and event.fact.change == "deleted"


def _refuse_unknown_kinds(request: pb.WatchRequest) -> None:
    known = dict.fromkeys(KINDS)
    problems = [
        Problem(f"kinds[{number}]", f"there is no event {kind!r}{all_of(kind, known)}")
        for number, kind in enumerate(request.kinds)
        if kind not in known
    ]
    if problems:
        raise InvalidWorkflow.of(problems)
