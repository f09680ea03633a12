"""One workflow of a measure, followed until enough of it is complete, or until that will never be.

Nothing here waits for ever: what fails, is halted or deleted, finds no worker, or does not get on, ends the measure.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any, Final

from gaia_client.client import Gaia
from gaia_client.feed import Feed
from gaia_client.waiting import progress_words
from gaia_core.errors import GaiaError, NotAllowedNow, Problem, UnknownName
from gaia_core.workflow.model import FailureClass

EVENTS: Final = "events"
UPDATES: Final = "updates"

TICK_S: Final = 0.25
LOOK_AFTER_S: Final = 5.0
"""When nothing became complete for so long, the server is asked whether there is a reason that will not pass."""

FAILURES_SHOWN: Final = 2
"""All of them ran the same."""

Clock = Callable[[], float]
Progress = Callable[[dict[str, Any]], None]


class StepsFailed(GaiaError):
    """What was measured does not work: its Steps fail."""

    exit_code = 1


class Course:
    """How a workflow goes on.

    Attributes:
        show: called with every update.
        update: how it stands.
        events: those that came, each with `came-s`, the moment at which it did.
    """

    def __init__(
        self,
        flow: Gaia,
        workflow: str,
        timeout_s: float,
        kinds: Sequence[str] = (),
        now_s: Clock = time.monotonic,
    ) -> None:
        """Begin to follow.

        Args:
            flow: the client.
            workflow: its name.
            timeout_s: give up when nothing becomes complete for so many seconds.
            kinds: of new events that are wanted, too; none if ().
            now_s: the clock that events get their moments from.
        """
        self.workflow = workflow
        self.show: Progress = lambda _: None
        self.events: list[dict[str, Any]] = []
        self._flow = flow
        self._timeout_s = timeout_s
        self._now_s = now_s
        self._feed = Feed()
        updates, self.update = _first_update(flow, workflow)
        self._feed.add(UPDATES, chain([self.update], updates))
        if kinds:
            self._feed.add(EVENTS, _stamped(flow.watch(workflow, self.update["sequence"] + 1, kinds=kinds), now_s))
        self._begin_patience()

    @property
    def complete(self) -> int:
        """Return how many Steps are complete."""
        return int(self.update["steps"]["complete"])

    @contextmanager
    def shown(self, phase: AbstractContextManager[Progress]) -> Iterator[None]:
        """Show how it goes on, and begin to be patient."""
        with phase as self.show:
            self._begin_patience()
            yield

    def await_complete(self, count: int) -> None:
        """Return once so many Steps are complete.

        Raises:
            StepsFailed: they fail.
            NotAllowedNow: no worker takes them, or somebody halted or deleted the workflow.
            TimeoutError: it does not get on.
        """
        while self.complete < count:
            self.turn(TICK_S)

    def await_events(self, count: int) -> None:
        """Return once so many events have come; raises what `await_complete` raises."""
        while len(self.events) < count:
            self.turn(TICK_S)

    def turn(self, timeout_s: float) -> None:
        """Take in what comes first, within so many seconds; raises what `await_complete` raises."""
        item = self._feed.take(timeout_s)
        if item is None:
            self._check_patience()
        elif item.is_end:
            raise self._gone()
        elif item.stream == EVENTS:
            self.events.append(item.value)
            self._begin_patience()
        else:
            self._see(item.value)
            self._check_patience()

    def _begin_patience(self) -> None:
        self._moved_s = self._looked_s = self._now_s()

    def _see(self, update: dict[str, Any]) -> None:
        if update["steps"]["complete"] != self.complete:
            self._begin_patience()
        self.update = update
        if update["deleted"]:
            raise self._gone()
        if update["steps"]["failed"]:
            raise self._failed()
        if update["state"] == "halted":
            raise NotAllowedNow(f"Somebody halted {self.workflow}: nothing can be measured.")
        self.show(update)

    def _check_patience(self) -> None:
        """Look for what will not pass by itself, and give up after a while."""
        now_s = self._now_s()
        if now_s - self._looked_s < min(LOOK_AFTER_S, self._timeout_s):
            return
        self._looked_s = now_s
        status = self._flow.status(self.workflow)
        if remarks := status.get("remarks"):
            raise NotAllowedNow("The Steps cannot run any more.", problems=[Problem("", words) for words in remarks])
        if now_s - self._moved_s >= self._timeout_s:
            words = f"Nothing became complete for {self._timeout_s:g} s: {progress_words(status)}"
            raise TimeoutError(words)

    def _failed(self) -> StepsFailed:
        """Return the error that tells which Steps failed, and why."""
        failed = self._flow.status(self.workflow)["failed"]
        problems = [Problem(each["step"], _failure_words(each)) for each in failed[:FAILURES_SHOWN]]
        lacks_image = any(each["class"] == FailureClass.IMAGE.name for each in failed)
        hint = "name an image that the workers have, or can get, with --image" if lacks_image else ""
        return StepsFailed("The Steps that were to be measured fail.", hint=hint, problems=problems)

    def _gone(self) -> NotAllowedNow:
        return NotAllowedNow(f"Somebody deleted {self.workflow}: nothing can be measured.")


def _first_update(flow: Gaia, workflow: str) -> tuple[Iterable[dict[str, Any]], dict[str, Any]]:
    """Return the updates and the first of them; a standby hears of a new workflow a moment later."""
    while True:
        try:
            updates = flow.watch(workflow, updates=True)
            return updates, next(updates)
        except UnknownName:
            flow.status(workflow)
            time.sleep(TICK_S)


def _stamped(events: Iterable[dict[str, Any]], now_s: Clock) -> Iterator[dict[str, Any]]:
    """Yield events with the moments at which they came; read by a thread of their own."""
    for event in events:
        yield {**event, "came-s": now_s()}


def _failure_words(failed: dict[str, Any]) -> str:
    tail = " | ".join(line for line in failed["log-tail"].splitlines() if line.strip())
    words = f"{failed['class']}, attempt {failed['attempt']} on {failed['worker']}: {failed['message']}"
    return f"{words} | {tail}" if tail else words
