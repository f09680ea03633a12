"""A server that does not lead: follows the journal on a state of its own, and answers what only reads.

Changes are refused with the leader's address, which the journal's openings tell. What is read may be some moments
old. Every standby can take office at any time; it then begins anew from the journal.
"""

import logging
import threading
from concurrent.futures import Future
from typing import Any, Final

from gaia_core.coordinator.archives import Archives
from gaia_core.coordinator.entries import RecordUnreadable, follow
from gaia_core.coordinator.intake import Submission
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.standing import StandbyStanding
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import NotLeading, RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import IsArchived
from gaia_core.machine.handle import answer_query
from gaia_core.machine.public import Announcer
from gaia_core.ports import Journal

LOOK_EVERY_S: Final = 0.1
"""How often the journal is asked for news."""

READS: Final = (
    rq.ListWorkflows, rq.ListWorkers, rq.ListSteps, rq.GetUid, rq.GetStatus, rq.Explain, rq.PlanExpire, rq.GetFiles,
    rq.GetFigures, rq.FindLog,
)  # fmt: skip
"""What may be answered some moments late; other queries belong to changes that only the leader makes."""

log = logging.getLogger(__name__)


class Standby:
    """Follows one shard from the newest snapshot on, and anew should it fall behind what the journal keeps.

    Args:
        journal: to follow.
        snapshots: to begin from; None where there are none.
        archives: reads workflows that have left memory; None where none do.
        may_lose: what cannot be read is for the leader to go on without; until then, wait.
    """

    def __init__(
        self,
        journal: Journal,
        snapshots: Snapshots | None = None,
        archives: Archives | None = None,
        *,
        may_lose: bool = False,
    ) -> None:
        self.watchers = WatchHub()
        self._journal = journal
        self._snapshots = snapshots
        self._archives = archives
        self._may_lose = may_lose
        self._announcer = Announcer()
        self._lock = threading.Lock()
        self._read_to = -1
        self._seen_end = 0
        self._leader = ""
        self._is_up_to_date = False
        self._stopping = threading.Event()

    def run(self) -> None:
        """Follow until `stop`.

        Raises:
            JournalCorrupt: a record of ours cannot be read.
        """
        reading = threading.Thread(target=self._archives.run, name="archives") if self._archives is not None else None
        if reading is not None:
            reading.start()
        try:
            while not self._stopping.is_set():
                self._follow_on()
                self._stopping.wait(LOOK_EVERY_S)
        finally:
            self.stop()
            if reading is not None:
                reading.join()

    def _follow_on(self) -> None:
        """Take in what there is, if it can be had now."""
        try:
            self.follow()
        except Unavailable as error:
            log.warning("cannot follow the journal", extra={"cause": error.message})
        except RecordUnreadable:
            if not self._may_lose:
                raise
            self._is_up_to_date = False

    def follow(self) -> None:
        """Take in what the journal holds by now.

        Raises:
            JournalCorrupt: a record of ours cannot be read.
            Unavailable: the journal, or the store with the snapshots, does not answer.
        """
        start, end = self._journal.bounds()
        self._seen_end = end
        if self._read_to < start or self._read_to < 0:
            self._begin()
        for record, entry in follow(self._journal, self._reader, self._read_to, end):
            if self._stopping.is_set():
                return
            self._read_to = record.offset + 1
            if entry is not None:
                with self._lock:
                    announced = self._announcer.follow(entry.now_ms, entry.events)
                    self._leader = entry.opening.leader_address if entry.opening is not None else self._leader
                    self.watchers.tell(announced, self._announcer.updates)
        self._read_to = max(self._read_to, end)
        self._is_up_to_date = True

    def _begin(self) -> None:
        """Take over the newest snapshot; watchers that were here before begin again, since they would miss events."""
        beginning = begin(self._journal, self._snapshots)
        with self._lock:
            self._announcer, self._reader = beginning.announcer, beginning.reader
            self._leader = beginning.leader_address
            if self._read_to >= 0:
                log.warning("the journal was cut before this server had read it", extra={"read_to": self._read_to})
                self.watchers.close()
                self.watchers = WatchHub()
            self._read_to = beginning.read_from
            self.watchers.resume(self._announcer.standing(), beginning.recent)

    def submit(self, request: rq.Request) -> "Future[Any]":
        """Answer a query at once; refuse a change.

        Raises:
            NotLeading: it is for the leader to answer.
            Unavailable: only a part of the journal was read by now; what is not known yet is not unknown.
        """
        if not isinstance(request, READS):
            hint = f"ask {self._leader}" if self._leader else "ask again in a moment"
            raise NotLeading("This server stands by; another one leads.", leader=self._leader, hint=hint)
        if not self._is_up_to_date:
            raise Unavailable("This server has not read the whole journal yet.", hint="ask again in a moment")
        answer: Future[Any] = Future()
        try:
            with self._lock:
                answer.set_result(answer_query(self._announcer.state, request))
        except RequestError as refusal:
            answer.set_exception(refusal)
        except IsArchived as away:
            if self._archives is None:
                raise Unavailable(f"The workflow {away.archived.name!r} is archived.") from away
            answer.set_running_or_notify_cancel()
            self._archives.answer(Submission(request, answer), away.archived)
        return answer

    @property
    def standing(self) -> StandbyStanding:
        """Return how far it has come."""
        return StandbyStanding(max(0, self._seen_end - max(0, self._read_to)), self._is_up_to_date)

    def settled(self) -> "Future[None]":
        """Return what is done: watchers are told of an entry before anything is answered that follows from it."""
        settled: Future[None] = Future()
        settled.set_result(None)
        return settled

    def stop(self) -> None:
        """Make `run` return, and every stream end."""
        self._stopping.set()
        if self._archives is not None:
            self._archives.stop()
        self.watchers.close()
