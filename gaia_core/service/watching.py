"""Streams of events and updates: from the hub's memory to messages. A slow reader costs nothing but its own place."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

from gaia.v1 import api_pb2 as pb
from gaia.v1 import events_pb2
from gaia_core.coordinator.watching import Watcher, WatchHub
from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine.public import Announcement, Update, WorkflowChanged
from gaia_core.service.replies import update_message
from gaia_core.wire.public import event_message, kind_of
from gaia_core.workflow.interface import suggestion

EVENTS_AT_ONCE: Final = 500
"""Between two such portions other streams and calls have their turn."""

UPDATE_EVERY_S: Final = 0.25
"""At most four updates a second of what changes faster."""

KINDS: Final = tuple(field.name for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields)


async def watch(hub: WatchHub, request: pb.WatchRequest) -> AsyncIterator[pb.WatchResponse]:
    """Yield what a watcher asks for, until the watched workflow is deleted.

    Raises:
        InvalidWorkflow: a kind of event that there is not.
        UnknownName: there is no such workflow.
        NoLongerKept: the first event asked for is gone, or the watcher was too slow.
    """
    _refuse_unknown_kinds(request)
    woken = asyncio.Event()
    with _watching(hub, request, woken) as watcher:
        stream = _events(hub, watcher, request, woken) if request.every_event else _updates(hub, watcher, woken)
        async for response in stream:
            yield response


@contextmanager
def _watching(hub: WatchHub, request: pb.WatchRequest, woken: asyncio.Event) -> Iterator[Watcher]:
    """Begin a watch, and end it however the stream ends."""
    loop = asyncio.get_running_loop()
    start = request.from_sequence if request.HasField("from_sequence") else None

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set)

    watcher = hub.watch(request.workflow, start, wake)
    try:
        yield watcher
    finally:
        hub.leave(watcher)


async def _events(
    hub: WatchHub, watcher: Watcher, request: pb.WatchRequest, woken: asyncio.Event
) -> AsyncIterator[pb.WatchResponse]:
    kinds, steps = frozenset(request.kinds), frozenset(request.steps)
    while True:
        woken.clear()
        found = hub.read(watcher, EVENTS_AT_ONCE)
        for event in found:
            if _passes(event, kinds, steps):
                yield pb.WatchResponse(event=event_message(event))
            if request.workflow and _is_end(event):
                return
        if found:
            await asyncio.sleep(0)
        else:
            await woken.wait()


async def _updates(hub: WatchHub, watcher: Watcher, woken: asyncio.Event) -> AsyncIterator[pb.WatchResponse]:
    sent: dict[int, Update] = {}
    while True:
        woken.clear()
        for update in hub.updates(watcher):
            if sent.get(update.uid) is not update:
                sent[update.uid] = update
                yield pb.WatchResponse(update=update_message(update))
                if update.deleted and watcher.uid:
                    return
        await asyncio.sleep(UPDATE_EVERY_S)
        await woken.wait()


def _passes(event: Announcement, kinds: frozenset[str], steps: frozenset[str]) -> bool:
    return (not kinds or kind_of(event) in kinds) and (not steps or not steps.isdisjoint(event.names))


def _is_end(event: Announcement) -> bool:
    return isinstance(event.fact, WorkflowChanged) and event.fact.change == "deleted"


def _refuse_unknown_kinds(request: pb.WatchRequest) -> None:
    known = dict.fromkeys(KINDS)
    words = f"there are: {', '.join(KINDS)}"
    problems = [
        Problem(f"kinds[{number}]", f"there is no event {kind!r}{suggestion(kind, known)}; {words}")
        for number, kind in enumerate(request.kinds)
        if kind not in known
    ]
    if problems:
        raise InvalidWorkflow.of(problems)
