"""What watchers read: the latest public events of every workflow, in memory, and how each workflow stands now.

Fed by the follower of the journal, read by streams that come for more when they are woken; so a slow watcher costs
nothing but its own place. What is no longer kept is told as such. Thread-safe.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from gaia_core.coordinator.caches import CacheBoard
from gaia_core.coordinator.progress import ProgressBoard
from gaia_core.coordinator.ring import Ring
from gaia_core.errors import NoLongerKept, Unavailable, UnknownName
from gaia_core.machine.public import Announcement, Update
from gaia_core.workflow.states import StepState

KEPT_MAX: Final = 100_000
"""Events of all workflows together, some 30 MB; the oldest go first."""

KEPT_PER_WORKFLOW_MAX: Final = 50_000
"""A busy workflow does not push out the events of others before it has pushed out its own."""

NO_STEPS: Final = (0,) * len(StepState)

ALL: Final = 0
"""Stands for all workflows where a uid is asked for; uids begin with 1."""


@dataclass(eq=False, slots=True)
class Watcher:
    """One stream: what it reads, where it stands, and how it is woken.

    Attributes:
        position: of the next event.
        latest: the highest sequence number that the workflow had when the watch began.
        change: number of the latest update that it was given; 0 before the first.
    """

    feed: "Feed"
    position: int
    latest: int
    wake: Callable[[], object]
    change: int = 0


@dataclass(eq=False, slots=True)
class Feed:
    """What is told of one workflow, or of all of them.

    Attributes:
        updates: uid → number of its latest change and how it stands since then, the latest change last.
        waiting: watchers that have read everything, to be woken by what comes next.
        is_over: the workflow is deleted.
        is_archived: the workflow has left memory; its feed does so, too, once nothing of it is kept or watched.
    """

    events: Ring = field(default_factory=Ring)
    updates: dict[int, tuple[int, Update]] = field(default_factory=dict)
    waiting: dict[Watcher, None] = field(default_factory=dict)
    is_over: bool = False
    is_archived: bool = False

    def enter(self, change: int, update: Update) -> None:
        """Enter how a workflow stands now."""
        self.updates.pop(update.uid, None)
        self.updates[update.uid] = (change, update)

    def changed_since(self, change: int) -> Iterator[tuple[int, Update]]:
        """Yield the latest updates, the last one first, back to a change."""
        return takewhile(lambda one: one[0] > change, reversed(self.updates.values()))


class WatchHub:
    """Keeps what watchers may ask for, and wakes those who wait for it.

    Attributes:
        told: number of events there ever were.
        progress: how far attempts are, as the leader hears from their workers.
        caches: of inputs, as workers tell the leader.
    """

    def __init__(self) -> None:
        self.told = 0
        self.progress = ProgressBoard()
        self.caches = CacheBoard()
        self._lock = threading.Lock()
        self._all = Feed()
        self._feeds: dict[int, Feed] = {}
        self._watchers: dict[Watcher, None] = {}
        self._changes = 0
        self._closed = False

    def tell(self, events: Iterable[Announcement], updates: Iterable[Update] = ()) -> None:
        """Take in what an entry of the journal announced, and how the workflows it changed stand now."""
        with self._lock:
            touched = dict.fromkeys([*map(self._keep, events), *map(self._stand, updates)])
            if touched:
                touched[self._all] = None
            woken = [watcher for feed in touched for watcher in feed.waiting]
            for feed in touched:
                feed.waiting.clear()
        for watcher in woken:
            watcher.wake()

    def resume(self, updates: Iterable[Update], recent: Sequence[Announcement]) -> None:
        """Take in how workflows stand, and the latest events; earlier ones are no longer known."""
        with self._lock:
            standing = {update.uid: update for update in updates}
            gone = {event.uid: event for event in recent if event.uid and event.uid not in standing}
            for event in recent:
                self._keep(event)
            for update in standing.values():
                self._stand(update)
            for event in gone.values():
                self._stand(Update(event.workflow, event.uid, event.sequence, "deleted", False, NO_STEPS, deleted=True))

    def watch(self, uid: int, from_sequence: int | None, wake: Callable[[], object]) -> Watcher:
        """Begin to watch; to be ended by `leave`.

        Args:
            uid: of a workflow; ALL for all.
            from_sequence: of the first event wanted; 0 for new ones only, None for all that are kept. Of all workflows
                together any other number means all that are kept.
            wake: called, from another thread, when there is more to read; once, after a read that found nothing.

        Raises:
            UnknownName: nothing was told of the workflow, or it was deleted and nothing of what is wanted is kept.
            NoLongerKept: the first event wanted is gone.
        """
        with self._lock:
            feed = self._all if uid == ALL else self._feeds.get(uid) or self._feed_again(uid)
            if feed is None:
                raise UnknownName("There is no such workflow; it may have been deleted.")
            try:
                position = _start(feed, None if uid == ALL and from_sequence else from_sequence)
            except NoLongerKept:
                self._forget(uid, feed)
                raise
            if feed.is_over and position == feed.events.end:
                raise UnknownName("The workflow was deleted, and nothing of it is left to tell.")
            watcher = Watcher(feed, position, feed.events.latest, wake)
            self._watchers[watcher] = None
            return watcher

    def leave(self, watcher: Watcher) -> None:
        """End a watch; safe to call twice."""
        with self._lock:
            self._watchers.pop(watcher, None)
            watcher.feed.waiting.pop(watcher, None)
            if watcher.feed.is_archived:
                self._forget(next(iter(watcher.feed.updates)), watcher.feed)

    def read(self, watcher: Watcher, most: int) -> list[Announcement]:
        """Return the next events of a watch, [] where it has to wait to be woken.

        Raises:
            NoLongerKept: it was too slow.
            Unavailable: nothing more will come here.
        """
        with self._lock:
            found = watcher.feed.events.read(watcher.position, most)
            watcher.position += len(found)
            if not found:
                self._wait(watcher)
            return found

    def updates(self, watcher: Watcher) -> list[Update]:
        """Return how the watched workflow, or each of all, stands now, where that is news; [] where it has to wait.

        The first time, all but deleted ones are told.

        Raises:
            Unavailable: nothing more will come here.
        """
        with self._lock:
            is_first = not watcher.change and watcher.feed is self._all
            news = watcher.feed.changed_since(watcher.change)
            found = [update for _, update in news if not (is_first and update.deleted)]
            watcher.change = self._changes
            if not found:
                self._wait(watcher)
            return found[::-1]

    def close(self) -> None:
        """Let every watch end once it has read what there is."""
        with self._lock:
            self._closed = True
            woken = list(self._watchers)
        for watcher in woken:
            watcher.wake()

    @property
    def is_watched(self) -> bool:
        """Tell whether anybody watches."""
        return bool(self._watchers)

    def _wait(self, watcher: Watcher) -> None:
        if self._closed:
            raise Unavailable("The server changes its role, or goes down.", hint="go on where the events broke off")
        watcher.feed.waiting[watcher] = None

    def _stand(self, update: Update) -> Feed:
        """Keep how a workflow stands now; return what is told of it."""
        self._changes += 1
        feed = self._feeds.setdefault(update.uid, Feed())
        for each in (feed, self._all):
            each.enter(self._changes, update)
        feed.events.latest = max(feed.events.latest, update.sequence)
        feed.is_over, feed.is_archived = update.deleted, update.archived
        self._forget(update.uid, feed)
        return feed

    def _feed_again(self, uid: int) -> Feed | None:
        """Return a feed of an archived workflow, of which only is known how it stands; None where there is none."""
        known = self._all.updates.get(uid)
        if known is None:
            return None
        feed = self._feeds[uid] = Feed(is_archived=True)
        feed.enter(*known)
        feed.events.latest = known[1].sequence
        return feed

    def _keep(self, event: Announcement) -> Feed:
        """Keep an event, and drop the oldest where there are too many; return what is told of its workflow."""
        self.told += 1
        feed = self._all
        feed.events.append(event)
        if event.sequence or event.uid in self._feeds:
            feed = self._feeds.setdefault(event.uid, Feed())
            feed.events.append(event)
            if len(feed.events) > KEPT_PER_WORKFLOW_MAX:
                feed.events.drop_oldest()
        if len(self._all.events) > KEPT_MAX:
            self._drop_oldest()
        return feed

    def _drop_oldest(self) -> None:
        """Drop the oldest event of all, also from what is kept of its workflow."""
        oldest = self._all.events.drop_oldest()
        feed = self._feeds.get(oldest.uid)
        if feed is not None and feed.events.begins_with(oldest):
            feed.events.drop_oldest()
            self._forget(oldest.uid, feed)

    def _forget(self, uid: int, feed: Feed) -> None:
        """Forget a deleted workflow of which no event is left; who still watches it keeps what it has to read.

        Of an archived one it stays known how it stands.
        """
        if feed.events or self._feeds.get(uid) is not feed:
            return
        if feed.is_over:
            del self._feeds[uid], self._all.updates[uid]
        elif feed.is_archived and not any(watcher.feed is feed for watcher in self._watchers):
            del self._feeds[uid]


def _start(feed: Feed, from_sequence: int | None) -> int:
    """Return the position of the first event that is wanted; raises as `Ring.position_of`."""
    if from_sequence is None:
        return feed.events.start
    return feed.events.position_of(from_sequence) if from_sequence else feed.events.end
