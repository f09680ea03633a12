"""A simulated server: the real loop, publisher, standby and errands, turned by simulated time instead of threads.

Takes office as `coordinator.reign` does and changes roles as `coordinator.office` does; who is elected, and who is told
so too late, is decided here.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final

from gaia_core.coordinator.errands import Errand, Errands
from gaia_core.coordinator.loop import Clock, Loop
from gaia_core.coordinator.polling import Poller
from gaia_core.coordinator.publisher import Publisher, Task
from gaia_core.coordinator.standby import Standby
from gaia_core.coordinator.upkeep import Upkeep
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import GaiaError, NotLeading, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import Archive, DropArchive, LookUp, StoreEffect
from gaia_core.machine.events import Event
from gaia_core.wire.journal import Entry
from tests.chaos.archiving import SimArchives
from tests.chaos.collecting import SimSweeper
from tests.chaos.snapshotting import SimTaker, snapshots_of
from tests.chaos.surroundings import (
    WALL_S,
    Announced,
    JournalLog,
    SimCoordinatorBus,
    SimEventLog,
    SimJournal,
    SimStore,
    Wire,
)
from tests.chaos.world import Process, World, broken

LEASE_S: Final = 30.0
LOOK_S: Final = 3.0
"""How often a leader looks at the clock; less than a third of a lease, or it would think that it was away."""

SESSION_S: Final = 6.0
"""After which a dead leader is missed."""

POLL_S: Final = 20.0
"""Between two looks for files from outside."""

UPKEEP_S: Final = 2.0
"""Between two looks at how much the journal has grown."""


class SimLoop(Loop):
    """The real loop, which can be killed between its effects and its answers."""

    process: Process

    def _carry_out(self, *args: Any, **kwargs: Any) -> Any:
        answers = super()._carry_out(*args, **kwargs)
        self.process.meet("after effects")
        return answers


class DeletingStore:
    """The store as errands see it, with a juncture before anything is deleted."""

    def __init__(self, server: "Server", store: SimStore) -> None:
        self._server, self._store = server, store
        self.stat, self.list = store.stat, store.list

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object]) -> int:
        def surely() -> None:
            sure()
            self._server.meet("before deleting")

        return self._store.delete_all(bucket, prefix, most, surely)


class SimErrands(Errands):
    """The real errands; pauses are simulated ones."""

    def __init__(self, server: "Server", store: SimStore) -> None:
        super().__init__(DeletingStore(server, store), server.ask_now)
        self._server = server
        self._waiting = self  # type: ignore[assignment]

    def put(self, errand: Errand | None) -> None:
        """Do an errand soon."""
        if errand is not None:
            self._later(errand, self._server.world.soon(0.5))

    def _later(self, errand: Errand, pause_s: float) -> None:
        act = self._look if isinstance(errand.wanted, LookUp) else self._delete
        self._server.later(pause_s, partial(self._guarded, act, errand))

    def _guarded(self, act: Any, errand: Errand) -> None:
        if self._server.errands is self:
            act(errand.wanted, errand)


class Election:
    """Decides who leads; who led before may learn it late."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.servers: list[Server] = []
        self.elected: Server | None = None

    def vacate(self, server: "Server", after_s: float) -> None:
        """Elect another one, unless somebody else was elected already."""
        if self.elected is server:
            self.elected = None
            self.world.later(after_s, self._elect)

    def move(self, tell_after_s: float) -> None:
        """Elect somebody else while the leader is alive, who is told after a time."""
        former = self.elected
        others = [one for one in self.servers if one is not former and one.is_alive]
        if former is not None and others:
            former.later(tell_after_s, partial(former.deposed, former.loop))
            self._choose(others)

    def miss(self, server: "Server") -> None:
        """Elect somebody else because the leader gives no sign of life."""
        if self.elected is server:
            self.move(0.0)

    def _elect(self) -> None:
        if self.elected is None:
            alive = [one for one in self.servers if one.is_alive]
            if alive:
                self._choose(alive)
            else:
                self.world.later(1.0, self._elect)

    def _choose(self, candidates: "list[Server]") -> None:
        self.elected = self.world.random.choice(candidates)
        self.world.tell("election", f"{self.elected.name} is to lead")
        self.elected.later(self.world.soon(), self.elected.lead)


class Server(Process):
    """One `gaia server`.

    Attributes:
        loop: while it leads, or believes so.
        snapshot_bytes: the journal has to grow by so much for a snapshot; 0 for never.
        has_all: its publisher has made its state, too.
    """

    def __init__(self, world: World, name: str, election: Election, log: JournalLog, wire: Wire) -> None:
        super().__init__(world, name)
        self.election, self.log, self.wire = election, log, wire
        self.announced: Announced
        self.store: SimStore
        self.loop: SimLoop | None = None
        self.bus: SimCoordinatorBus | None = None
        self.publisher: Publisher | None = None
        self.errands: SimErrands | None = None
        self.poller: Poller | None = None
        self.standby: Standby | None = None
        self.archives: SimArchives | None = None
        self.sweeper: SimSweeper | None = None
        self.upkeep: Upkeep | None = None
        self.taker = SimTaker(world, f"taker-{name[-1]}", log, self._was_taken)
        self.snapshot_bytes = 0
        self.has_all = False
        self._turn_at_s: float | None = None
        self._publishes = False
        self._wall_shift_s = 0.0
        election.servers.append(self)

    def start(self) -> None:
        """Begin to stand by."""
        self.born()
        self._turn_at_s = None
        self._publishes = False
        self.tell("starts")
        self._stand_by()
        if self.election.elected is None:
            self.world.later(self.world.soon(1.0), self.election._elect)

    def shift_clock(self, seconds: float) -> None:
        """Set the wall clock, forwards or back."""
        self._wall_shift_s += seconds
        self.tell(f"has its clock set by {seconds:.0f} s")

    # ---- roles

    def _stand_by(self) -> None:
        self.archives = SimArchives(self, self.store)
        self.standby = Standby(SimJournal(self, self.log), snapshots_of(self, self.store), self.archives)
        self.later(self.world.soon(2.0), partial(self._follow, self.standby))

    def _follow(self, standby: Standby) -> None:
        if self.standby is standby:
            with suppress(Unavailable):
                standby.follow()
            self.later(2.0 + self.world.soon(2.0), partial(self._follow, standby))

    def lead(self) -> None:
        """Take office."""
        if self.election.elected is not self:
            return
        self.deposed(self.loop)
        self.standby = None
        if self.archives is not None:
            self.archives.stop()
        journal = SimJournal(self, self.log)
        clock = Clock(lambda: int((WALL_S + self.world.now_s + self._wall_shift_s) * 1000), lambda: self.world.now_s)
        watchers = WatchHub()
        self.bus = SimCoordinatorBus(self, self.wire, self.wake)
        self.publisher = Publisher(journal, lambda: SimEventLog(self, self.announced), watchers)
        self.errands = SimErrands(self, self.store)
        self.archives = SimArchives(self, self.store, partial(self._between, self.publisher))
        self.poller = Poller(self.store, self.ask_now, POLL_S, expire_changed=True, clock=lambda: self.world.now_s)
        self.loop = SimLoop(journal, self.bus, clock, LEASE_S, self._feed, self._ask_store, watchers)
        self.loop.answer_later = self.archives.answer
        self.loop.process = self
        self.has_all = False
        self.meet("before opening")
        try:
            self.publisher.claim()
            self.loop.open(self.name, "simulated", snapshots_of(self, self.store))
        except Unavailable as error:
            self.publisher = None  # its thread was never started
            self._step_down(error.message, 1.0)
        else:
            self.tell(f"leads, term {self.loop.term.number}")
            self._look()
            self.later(self.world.soon(2.0), partial(self._begin_publishing, self.publisher))
            self.later(self.world.soon(POLL_S), partial(self._poll, self.poller))
            self.sweeper = SimSweeper(self, self.store)
            if self.snapshot_bytes:
                self._begin_upkeep(journal, self.loop, self.publisher)

    def deposed(self, loop: SimLoop | None) -> None:
        """Learn that somebody else was elected; a term that is over by now is none of its business."""
        if loop is not None and self.loop is loop:
            self._step_down("another one was elected", None)

    def _step_down(self, why: str, vacate_after_s: float | None) -> None:
        """Stop leading, publish what is left, stand by."""
        assert self.loop is not None
        assert self.bus is not None
        self.tell(f"steps down: {why}")
        self.bus.close()
        self.loop.give_up()
        if self.archives is not None:
            self.archives.stop()
        publisher, self.publisher = self.publisher, None
        self.loop = self.bus = self.errands = self.poller = self.archives = self.sweeper = self.upkeep = None
        self.taker.stop()
        if vacate_after_s is not None:
            self.election.vacate(self, vacate_after_s)
        if publisher is not None:
            self._publish_the_rest(publisher)
        self._stand_by()

    def _publish_the_rest(self, publisher: Publisher) -> None:
        publisher.stop()
        with suppress(Unavailable):
            if not self.has_all:
                publisher.begin(snapshots_of(self, self.store))
            while publisher.turn():
                pass
        publisher.close()

    def died(self) -> None:
        """Lose everything that is only in memory; start again after a while."""
        if self.bus is not None:
            self.bus.close()
        self.loop = self.bus = self.publisher = self.standby = None
        self.errands = self.poller = self.archives = self.sweeper = self.upkeep = None
        self.world.later(self.world.soon(1.0), self.taker.stop)
        self.election.vacate(self, SESSION_S)
        self.world.later(2.0 + self.world.soon(20.0), self.start)

    def stopped(self, seconds: float) -> None:
        """Be missed as the leader, after a while."""
        if seconds > SESSION_S:
            self.world.later(SESSION_S, partial(self.election.miss, self))

    # ---- the leader's threads

    def wake(self) -> None:
        """Take a turn soon: there is something to do."""
        self._turn_by(self.world.now_s + self.world.soon())

    def _look(self) -> None:
        self._turn_by(self.world.now_s + LOOK_S)

    def _turn_by(self, time_s: float) -> None:
        if self._turn_at_s is None or time_s < self._turn_at_s:
            self._turn_at_s = time_s
            self.world.at(time_s, partial(self._turn, time_s), self)

    def _turn(self, time_s: float) -> None:
        if self._turn_at_s == time_s:
            self._turn_at_s = None
            if self.loop is not None:
                self._take_turn()
                self._look()

    def _take_turn(self) -> None:
        """Let the loop deal with what waits."""
        assert self.loop is not None
        try:
            self.loop.turn(0)
        except Unavailable as error:
            self._step_down(error.message, 1.0)
        except Exception as error:
            raise broken(self.name, error) from error

    def _feed(self, offset: int, entry: Entry) -> None:
        if entry.events:
            self.tell(f"journals at {offset}: {', '.join(map(_short, entry.events))}")
        self.meet("after ack")
        if self.publisher is not None:
            self.publisher.feed(offset, entry)
            self._publish_soon()

    def _between(self, publisher: Publisher, task: Task) -> None:
        """Have something done with the publisher's state."""
        publisher.between(task)
        self._publish_soon()

    def _ask_store(self, wanted: StoreEffect) -> None:
        if isinstance(wanted, Archive | DropArchive):
            if self.archives is not None:
                self.archives.ask(wanted)
        elif self.errands is not None:
            self.errands.ask(wanted)

    def _begin_publishing(self, publisher: Publisher) -> None:
        """Make the publisher's state beside the leader."""
        if self.publisher is publisher:
            try:
                publisher.begin(snapshots_of(self, self.store))
            except Unavailable as error:
                self.publisher = None
                self._step_down(f"the publisher cannot begin: {error.message}", 1.0)
            else:
                self.has_all = True
                self._publish_soon()

    def _begin_upkeep(self, journal: SimJournal, loop: SimLoop, publisher: Publisher) -> None:
        """Have snapshots taken and the journal cut."""

        def published() -> int:
            return self.taker.below if self.taker.taken is not None else publisher.published.entry_offset

        self.upkeep = Upkeep(
            journal,
            snapshots_of(self, self.store),
            self.taker,
            lambda: loop.term.grown_bytes,
            published,
            self.snapshot_bytes,
        )
        self._look_after(self.upkeep)

    def _look_after(self, upkeep: Upkeep) -> None:
        if self.upkeep is upkeep:
            with suppress(Unavailable):
                upkeep.look()
            self.later(UPKEEP_S + self.world.soon(UPKEEP_S), partial(self._look_after, upkeep))

    def _was_taken(self) -> None:
        """See to what a snapshot is good for."""
        if self.upkeep is not None:
            self.later(0.0, partial(self._use, self.upkeep))

    def _use(self, upkeep: Upkeep) -> None:
        if self.upkeep is upkeep and self.taker.taken is not None:
            with suppress(Unavailable):
                upkeep.look()

    def _publish_soon(self) -> None:
        if not self._publishes:
            self._publishes = True
            self.later(self.world.soon(1.0), self._publish)

    def _publish(self) -> None:
        self._publishes = False
        if self.publisher is not None and self.has_all and self.publisher.is_behind:
            self.publisher.turn()
            if self.publisher is not None and self.publisher.is_behind:
                self._publish_soon()

    def _poll(self, poller: Poller) -> None:
        """Look for files from outside."""
        if self.poller is poller:
            with suppress(GaiaError, TimeoutError):
                poller.look()
            self.later(POLL_S, partial(self._poll, poller))

    # ---- the interface

    def submit(self, request: rq.Request) -> "Future[Any]":
        """Take a request, as the desk does.

        Raises:
            Unavailable: somebody else leads, or nobody.
        """
        if self.loop is not None:
            answer = self.loop.submit(request)
            self.wake()
            return answer
        if self.standby is not None:
            return self.standby.submit(request)
        raise NotLeading("This server changes its role.")

    def ask_now(self, request: rq.Request) -> "Future[Any]":
        """Take a request of our own errands, which may wait for the answer."""
        if self.loop is None:
            raise Unavailable("The coordinator is shutting down.")
        answer = self.loop.submit(request)
        self._take_turn()
        return answer


def _short(event: Event) -> str:
    """Say in a few words what an event is about."""
    steps = getattr(event, "steps", getattr(event, "step", ""))
    about = [getattr(event, name) for name in ("uid", "worker", "request_id") if hasattr(event, name)]
    return " ".join(map(str, [type(event).__name__, *about, *([steps] if isinstance(steps, int | tuple) else ())]))
