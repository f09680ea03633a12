"""One server's time as the leader: the loop with all that works beside it, from taking office to the last thread."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from gaia_core.coordinator import memory
from gaia_core.coordinator.archives import Archives
from gaia_core.coordinator.encoding import Encoded, Encoding
from gaia_core.coordinator.errands import Errands
from gaia_core.coordinator.loop import Clock, Loop
from gaia_core.coordinator.meter import Meter
from gaia_core.coordinator.polling import Poller
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.standing import LeaderStanding
from gaia_core.coordinator.sweeping import Sweeper
from gaia_core.coordinator.upkeep import Taker, Upkeep
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Bug, GaiaError, JournalCorrupt, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import Archive, DropArchive, StoreEffect
from gaia_core.ports import CoordinatorBus, EventLog, Journal, SetAside, Store, nowhere
from gaia_core.workflow.validate import Rules

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """How a leader works.

    Attributes:
        poll_s: seconds between looks for files from outside; 0 for never.
        expire_changed: a changed file from outside makes its readers run again.
        deployment: name by which attempts mark what they store.
        sweep_s: seconds between looks for versions that nobody refers to; 0 for never.
        versions_kept_s: how long such versions are kept, at least.
        may_lose: go on without what the journal holds from a record on that cannot be read.
        snapshot_bytes: the journal has to grow by so much for a snapshot; 0 for never.
    """

    lease_s: float
    poll_s: float
    expire_changed: bool
    rules: Rules
    deployment: str = ""
    sweep_s: float = 0.0
    versions_kept_s: float = 86_400.0
    snapshot_bytes: int = 0
    may_lose: bool = False


class Reign:
    """Leads one shard for one term.

    Args:
        journal: written by this reign alone.
        bus: to and from the workers.
        open_event_log: opens the public events, shutting out whoever had them before.
        store: where files lie.
        clock: the time.
        duties: how to work.
        ended: called, from any thread, when the reign cannot go on: the journal passed to somebody else, Kafka stayed
            away, or something broke.
        set_aside: keeps records that nobody can use.
    """

    def __init__(
        self,
        journal: Journal,
        bus: CoordinatorBus,
        open_event_log: Callable[[], EventLog],
        store: Store,
        clock: Clock,
        duties: Duties,
        ended: Callable[[GaiaError], None],
        set_aside: SetAside = nowhere,
    ) -> None:
        self.watchers = WatchHub()
        self._bus = bus
        self._ended = ended
        self._publisher = Publisher(journal, open_event_log, self.watchers)
        self._loop = Loop(
            journal,
            bus,
            clock,
            duties.lease_s,
            self._publisher.feed,
            self._ask_store,
            self.watchers,
            duties.rules,
        )
        self._loop.set_aside = set_aside
        self._loop.term.may_lose = duties.may_lose
        self._archives = Archives(store, duties.deployment, duties.rules, self._loop.submit, self._encode)
        self._loop.answer_later = self._archives.answer
        self._errands = Errands(store, self._loop.submit)
        self._poller = Poller(store, self._loop.submit, duties.poll_s, expire_changed=duties.expire_changed)
        self._sweeper = Sweeper(
            store, self._loop.submit, duties.deployment, duties.sweep_s, duties.versions_kept_s, clock.wall_ms
        )
        self._polls = duties.poll_s > 0
        self._sweeps = duties.sweep_s > 0
        self._journal = journal
        self._snapshot_bytes = duties.snapshot_bytes
        self._upkeep: Upkeep | None = None
        self._threads: dict[str, threading.Thread] = {}

    def open(
        self, leader_address: str, version: str, snapshots: Snapshots | None = None, taker: Taker | None = None
    ) -> None:
        """Replay, take office and start working; requests wait until then.

        Args:
            leader_address: by which clients reach this server.
            version: of this Gaia.
            snapshots: to begin from; None where there are none.
            taker: takes further ones; None to take none.

        Raises:
            JournalCorrupt: the journal cannot be read, or holds less than was published or than a snapshot stands for.
            Unavailable: journal, bus, event log or store do not answer.
        """
        self._publisher.claim()
        with memory.building():
            self._loop.open(leader_address, version, snapshots)
        memory.settle()
        self._start("loop", self._loop.run)
        self._start("publisher", lambda: self._publish(snapshots))
        self._start("errands", self._errands.run)
        self._start("archives", self._archives.run)
        if self._polls:
            self._start("poller", self._poller.run)
        if self._sweeps:
            self._start("sweeper", self._sweeper.run)
        if snapshots is not None and taker is not None and self._snapshot_bytes:
            self._begin_upkeep(snapshots, taker)

    def submit(self, request: rq.Request) -> "Future[Any]":
        """Queue a request; see `Intake.submit`."""
        return self._loop.submit(request)

    @property
    def refused(self) -> Mapping[str, int]:
        """Return how many reports did not count, by cause."""
        return self._loop.refused

    def count_for(self, meter: Meter) -> None:
        """Have what is done counted there; before `open`."""
        self._loop.meter = meter

    @property
    def standing(self) -> LeaderStanding:
        """Return how it stands; from any thread."""
        entries, events = self._publisher.waiting
        upkeep = self._upkeep
        return LeaderStanding(
            self._loop.term.number,
            self._loop.intake.waiting,
            self._loop.reports_waiting,
            entries,
            events,
            self._loop.term.grown_bytes,
            self._loop.term.void_records,
            upkeep.newest_bytes if upkeep is not None else 0,
            int(upkeep.taken_s * 1000) if upkeep is not None else 0,
        )

    @property
    def troubles(self) -> Mapping[str, str]:
        """Return why workers take nothing new, by their names."""
        return self._loop.troubles

    def settled(self) -> "Future[None]":
        """Return what is done once watchers were told of all that was answered; see `Publisher.settled`."""
        return self._publisher.settled()

    def close(self) -> None:
        """Stop leading, publish what is left, and wait for every thread; safe to call when `open` failed."""
        self._loop.stop()
        self._bus.close()
        self._errands.stop()
        self._archives.stop()
        self._poller.stop()
        self._sweeper.stop()
        if self._upkeep is not None:
            self._upkeep.stop()
        if "loop" in self._threads:
            self._threads["loop"].join()
        self._publisher.stop()
        for thread in self._threads.values():
            thread.join()
        self._loop.give_up()
        self._publisher.close()
        self.watchers.close()
        memory.unsettle()

    def _publish(self, snapshots: Snapshots | None) -> None:
        """Make the publisher's state, beside the loop, which need not wait for it, and publish from then on."""
        with memory.building():
            self._publisher.begin(snapshots)
        memory.settle_more()
        self._publisher.run()

    def _begin_upkeep(self, snapshots: Snapshots, taker: Taker) -> None:
        """Have snapshots taken and the journal cut from now on."""
        self._upkeep = Upkeep(
            self._journal,
            snapshots,
            taker,
            lambda: self._loop.term.grown_bytes,
            lambda: self._publisher.published.entry_offset,
            self._snapshot_bytes,
        )
        self._start("upkeep", self._upkeep.run)

    def _ask_store(self, wanted: StoreEffect) -> None:
        if isinstance(wanted, Archive | DropArchive):
            self._archives.ask(wanted)
        else:
            self._errands.ask(wanted)

    def _encode(self, wanted: Archive) -> "Future[Encoded | None]":
        return Encoding(wanted, self._publisher.between).outcome

    def _start(self, name: str, target: Callable[[], None]) -> None:
        """Start a thread that ends the reign when it breaks."""

        def guarded() -> None:
            try:
                target()
            except Unavailable as error:
                log.warning("cannot go on leading", extra={"thread_name": name, "cause": error.message})
                self._ended(error)
            except JournalCorrupt as error:
                log.error("the journal cannot be read", extra={"thread_name": name, "cause": error.message})  # noqa: TRY400
                self._ended(error)
            except Exception as error:
                log.exception("a thread broke", extra={"thread_name": name})
                self._ended(error if isinstance(error, GaiaError) else Bug(f"The {name} broke: {error!r}"))

        self._threads[name] = threading.Thread(target=guarded, name=name)
        self._threads[name].start()
