"""What watchers read: the latest public events of every workflow, in memory, and how each workflow stands now.

Fed by the follower of the journal, read by streams that come for more when they are woken; so a slow watcher costs
nothing but its own place. What is no longer kept is told as such. Thread-safe.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gaia_core.errors import NoLongerKept, UnknownName
from gaia_core.machine.public import Announcement, Update

KEPT_MAX: Final = 100_000
"""Events of all workflows together, some 30 MB; the oldest go first."""

KEPT_PER_WORKFLOW_MAX: Final = 20_000
"""A busy workflow does not push out the events of others before it has pushed out its own."""

ALL: Final = 0
"""Stands for all workflows where a uid is asked for; uids begin with 1."""


class Ring:
    """The latest events of one workflow or of all, each at a position of its own."""

    __slots__ = ("_events", "_first")

    def __init__(self) -> None:
        self._events: deque[Announcement] = deque()
        self._first = 0

    @property
    def end(self) -> int:
        """Return the position after the latest event."""
        return self._first + len(self._events)

    def append(self, event: Announcement) -> None:
        """Add an event."""
        self._events.append(event)

    def drop_oldest(self) -> Announcement:
        """Remove and return the oldest event."""
        self._first += 1
        return self._events.popleft()

    def begins_with(self, event: Announcement) -> bool:
        """Tell whether an event is the oldest one kept."""
        return bool(self._events) and self._events[0] is event

    def __len__(self) -> int:
        return len(self._events)

    def read(self, position: int, most: int) -> list[Announcement]:
        """Return at most `most` events from a position on.

        Raises:
            NoLongerKept: the event at the position is gone.
        """
        if position < self._first:
            raise NoLongerKept(f"The watcher was too slow: {self._first - position} events are no longer kept.")
        return list(islice(self._events, position - self._first, position - self._first + most))

    def position_of(self, sequence: int) -> int:
        """Return the position of the first event whose sequence number is at least this.

        Raises:
            NoLongerKept: it was there and is gone; the message names the oldest one.
        """
        oldest = next((event.sequence for event in self._events if event.sequence), 0)
        if oldest > sequence:
            raise NoLongerKept(f"Events before number {oldest} are no longer kept.", hint=f"begin with {oldest}")
        places = enumerate(self._events)
        return next((self._first + place for place, event in places if event.sequence >= sequence), self.end)


@dataclass(eq=False, slots=True)
class Watcher:
    """One stream: whose events it wants, where it stands, and how it is woken."""

    uid: int
    position: int
    wake: Callable[[], None]
    is_woken: bool = False


class WatchHub:
    """Keeps what watchers may ask for, and wakes those who wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all = Ring()
        self._rings: dict[int, Ring] = {}
        self._uids: dict[str, int] = {}
        self._updates: dict[int, Update] = {}
        self._deleted: set[int] = set()
        self._watchers: dict[int, dict[Watcher, None]] = {}

    def tell(self, events: Iterable[Announcement], updates: Iterable[Update] = ()) -> None:
        """Take in what an entry of the journal announced, and how the workflows it changed stand now."""
        touched: dict[int, None] = {}
        with self._lock:
            for update in updates:
                touched[update.uid] = None
                self._updates[update.uid] = update
                if update.deleted:
                    del self._uids[update.workflow]
                    self._deleted.add(update.uid)
                else:
                    self._uids[update.workflow] = update.uid
            for event in events:
                touched[event.uid] = None
                self._keep(event)
            watchers = [each for uid in (*touched, ALL) for each in self._watchers.get(uid, ()) if not each.is_woken]
            for watcher in watchers:
                watcher.is_woken = True
        for watcher in watchers:
            watcher.wake()

    def watch(self, workflow: str, from_sequence: int | None, wake: Callable[[], None]) -> Watcher:
        """Begin to watch; to be ended by `leave`.

        Args:
            workflow: name, or "" for all workflows.
            from_sequence: of the first event wanted; 0 for new ones only, None for all that are kept.
            wake: called, from another thread, when there is more to read; once until `read` was called.

        Raises:
            UnknownName: there is no such workflow.
            NoLongerKept: the first event wanted is gone.
        """
        with self._lock:
            uid = self._uids.get(workflow, ALL) if workflow else ALL
            if workflow and uid == ALL:
                raise UnknownName(f"There is no workflow {workflow!r}.")
            ring = self._ring(uid)
            if from_sequence == 0:
                position = ring.end
            elif from_sequence is None or uid == ALL:
                position = ring.end - len(ring)
            else:
                position = ring.position_of(from_sequence)
            watcher = Watcher(uid, position, wake)
            self._watchers.setdefault(uid, {})[watcher] = None
            return watcher

    def leave(self, watcher: Watcher) -> None:
        """End a watch."""
        with self._lock:
            self._watchers[watcher.uid].pop(watcher, None)
            if not self._watchers[watcher.uid]:
                del self._watchers[watcher.uid]

    def read(self, watcher: Watcher, most: int) -> list[Announcement]:
        """Return the next events of a watch, [] where it has to wait to be woken.

        Raises:
            NoLongerKept: it was too slow.
        """
        with self._lock:
            watcher.is_woken = False
            found = self._ring(watcher.uid).read(watcher.position, most)
            watcher.position += len(found)
            return found

    def updates(self, watcher: Watcher) -> list[Update]:
        """Return how the watched workflow, or each of all, stands now."""
        with self._lock:
            watcher.is_woken = False
            if watcher.uid == ALL:
                return list(self._updates.values())
            return [self._updates[watcher.uid]] if watcher.uid in self._updates else []

    @property
    def is_watched(self) -> bool:
        """Tell whether anybody watches."""
        return bool(self._watchers)

    def _forget(self, uid: int, ring: Ring) -> None:
        """Forget a deleted workflow of which nothing is left to read."""
        if uid in self._deleted and not ring:
            self._deleted.discard(uid)
            del self._rings[uid], self._updates[uid]

    def _ring(self, uid: int) -> Ring:
        return self._all if uid == ALL else self._rings.setdefault(uid, Ring())

    def _keep(self, event: Announcement) -> None:
        """Keep an event, and drop the oldest where there are too many."""
        self._all.append(event)
        if len(self._all) > KEPT_MAX:
            oldest = self._all.drop_oldest()
            ring = self._rings.get(oldest.uid)
            if ring is not None and ring.begins_with(oldest):
                ring.drop_oldest()
                self._forget(oldest.uid, ring)
        if event.uid:
            ring = self._ring(event.uid)
            ring.append(event)
            if len(ring) > KEPT_PER_WORKFLOW_MAX:
                ring.drop_oldest()
