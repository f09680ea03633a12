"""What somebody wants to see, as it comes: events and updates side by side, until all that there is was given."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from gaia_client.client import Gaia
from gaia_client.ending import Ending
from gaia_client.feed import Feed, Item
from gaia_core.errors import NoLongerKept, UnknownName

EVENTS: Final = "events"
UPDATES: Final = "updates"

TICK_S: Final = 0.25
"""So often whoever shows what comes gets to do something else, such as to draw."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to see.

    Attributes:
        workflow: its name, or None for all.
        start: number of the first event; 0 for the next one, None for all that are kept.
        kinds: only events of these kinds; () for all.
        steps: only events about these Steps; () for all.
        is_endless: whether to go on when the workflow is at rest.
        may_skip: whether events may be missing that came too fast to be read.
    """

    workflow: str | None
    start: int | None = None
    kinds: Sequence[str] = ()
    steps: Sequence[str] = ()
    is_endless: bool = False
    may_skip: bool = False


class Following:
    """Gives the events and updates of what is wanted.

    Attributes:
        status: of the workflow when all was given; None before, and if it was deleted.
    """

    def __init__(self, flow: Gaia, wanted: Wanted, now_s: Callable[[], float] = time.monotonic) -> None:
        """Reach the server.

        Raises:
            UnknownName: there is no such workflow, or it has no such Step.
            Unavailable: no server answers.
        """
        self.status: dict[str, Any] | None = None
        self._flow = flow
        self._wanted = wanted
        self._now_s = now_s
        self._start = wanted.start
        self._updates = self._begin_updates()
        self._ending = Ending((self._start or 1) - 1, is_filtered=bool(wanted.kinds or wanted.steps))

    def __iter__(self) -> Iterator[Item | None]:
        """Yield what comes, and None when nothing did for a tick."""
        feed = Feed()
        feed.add(UPDATES, self._updates)
        feed.add(EVENTS, self._events())
        while not self._is_over():
            item = feed.take(TICK_S)
            if item is None or not item.is_end:
                self._note(item)
                yield item
            elif item.stream == EVENTS:
                return

    def _note(self, item: Item | None) -> None:
        if item is not None and item.stream == EVENTS:
            self._ending.saw_event(self._now_s(), item.value)
        elif item is not None:
            self._ending.saw_update(self._now_s(), item.value)

    def _is_over(self) -> bool:
        """Tell whether all was given; updates may lag behind what a mutation was answered, so the server is asked."""
        workflow, update = self._wanted.workflow, self._ending.update
        if workflow is None or update is None or self._wanted.is_endless or not self._ending.is_due(self._now_s()):
            return False
        try:
            status = self._flow.status(workflow)
        except UnknownName:
            return False  # its last event, that it was deleted, ends the stream of events
        if (status["state"], status["stalled"]) != (update["state"], update["stalled"]):
            return False
        self.status = status
        return True

    def _begin_updates(self) -> Iterable[dict[str, Any]]:
        """Return the updates; of one workflow, make sure that the first is there, and begin behind it if told so."""
        if self._wanted.workflow is None:
            self._flow.workers()  # where there is no workflow no update would tell that the server was reached
            return self._flow.watch(updates=True)
        updates, first = self._first_update(self._wanted.workflow)
        if self._start == 0:
            self._start = first["sequence"] + 1
        return chain([first], updates)

    def _first_update(self, workflow: str) -> tuple[Iterable[dict[str, Any]], dict[str, Any]]:
        """Return the updates and the first of them; a workflow that was made a moment ago may be unknown to them."""
        while True:
            try:
                updates = self._flow.watch(workflow, steps=self._wanted.steps, updates=True)
                return updates, next(updates)
            except UnknownName as refusal:
                if refusal.problems:  # the workflow is known, some of the Steps are not
                    raise
                self._flow.status(workflow)
                time.sleep(TICK_S)

    def _events(self) -> Iterator[dict[str, Any]]:
        """Yield events; who may skip some goes on with the oldest that are kept when it was too slow."""
        wanted, start = self._wanted, self._start
        while True:
            has_begun = start is None
            try:
                for event in self._flow.watch(wanted.workflow, start, kinds=wanted.kinds, steps=wanted.steps):
                    has_begun = True
                    yield event
            except NoLongerKept:
                if not (has_begun and wanted.may_skip):
                    raise
                start = None
            else:
                return
