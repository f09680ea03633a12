"""One seed, one story: servers, workers and clients over simulated surroundings, and an audit of what they left.

python -m tests.chaos.simulate --seed 1234 --story     replays a run and tells what happened
python -m tests.chaos.simulate --minutes 10            tries fresh seeds
"""

import argparse
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import Pool
from typing import Final
from unittest import mock

from gaia_core.backends.memory import MemoryJournal
from gaia_core.coordinator import encoding, publisher
from gaia_core.coordinator.entries import follow
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.machine import requests as rq
from gaia_core.machine.public import Announcer
from gaia_core.wire import frame
from tests.chaos.audit import Recording, Violation, audit
from tests.chaos.clients import Client
from tests.chaos.servers import LEASE_S, Election, Server
from tests.chaos.snapshotting import FOLDER, damage
from tests.chaos.surroundings import Announced, JournalLog, SimStore, Wire
from tests.chaos.workers import Job, SimWorker
from tests.chaos.world import Broken, Fault, World

TROUBLE_S: Final = 75.0
"""How long things go wrong; longer than two leases."""

REST_S: Final = 400.0
"""In which everything must have come to its end after that: several leases and backoffs."""

SMALL_BYTES: Final = 600
"""Journal records of this size make entries come in parts."""

FAULTS: Final[dict[str, list[tuple[str, float]]]] = {
    "before append": [("kill", 0), ("stop", 60), ("stop", 8)],
    "append": [("refused", 0), ("unknown", 0), ("late", 20), ("torn", 3), ("twice", 10)],
    "after append": [("kill", 0), ("stop", 60), ("stop", 8)],
    "after ack": [("kill", 0), ("stop", 60)],
    "send": [("late", 20), ("failed", 0), ("vanished", 0), ("twice", 20), ("swapped", 0)],
    "between effects": [("kill", 0), ("stop", 60)],
    "after effects": [("kill", 0), ("stop", 8)],
    "before deleting": [("kill", 0), ("stop", 60)],
    "before opening": [("stop", 20)],
    "read the journal": [("refused", 0), ("stop", 40)],
    "before cutting": [("kill", 0), ("stop", 60)],
    "cut": [("refused", 0)],
    "after cutting": [("kill", 0)],
    "read a snapshot": [("refused", 0), ("stop", 40), ("kill", 0)],
    "before put a snapshot": [("kill", 0), ("stop", 60)],
    "put a snapshot": [("refused", 0), ("unknown", 0)],
    "after put a snapshot": [("kill", 0), ("stop", 60)],
    "before dropping snapshots": [("kill", 0), ("stop", 60)],
    "before publish": [("kill", 0), ("stop", 30)],
    "publish": [("unknown", 0), ("refused", 0)],
    "after publish": [("kill", 0), ("stop", 30)],
    "before archiving": [("kill", 0), ("stop", 60)],
    "archive": [("refused", 0), ("unknown", 0)],
    "after archiving": [("kill", 0), ("stop", 60)],
    "read an archive": [("refused", 0), ("stop", 40), ("kill", 0)],
    "drop an archive": [("refused", 0), ("stop", 60), ("kill", 0)],
    "after listing": [("kill", 0), ("stop", 60)],
    "before collecting": [("kill", 0), ("stop", 60)],
    "receive": [("lost", 0)],
    "before report": [("kill", 0), ("stop", 50)],
    "report": [("slow", 50), ("twice", 20)],
    "after report": [("kill", 0), ("stop", 50)],
    "before fetching": [("kill", 0), ("stop", 50)],
    "before starting": [("kill", 0), ("stop", 50)],
    "before storing": [("kill", 0), ("stop", 50)],
    "before put": [("kill", 0)],
    "put": [("refused", 0), ("unknown", 0)],
    "after put": [("kill", 0), ("stop", 50)],
}
"""What can go wrong at each juncture, with the longest time that it takes, in seconds."""

SNAPSHOT_BYTES: Final = (0, 1, 1, 4_000)
"""By how much the journal has to grow for a snapshot, and by the size of the newest; 0 for never."""

COMMON: Final = ("append", "send", "report", "publish")
"""Junctures at which more than a stop can happen, chosen more often."""


@dataclass
class Outcome:
    """What became of a run."""

    seed: int
    violations: list[Violation] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    events: int = 0
    entries: int = 0
    completions: int = 0
    unreferenced: int = 0

    @property
    def command(self) -> str:
        """Return how to see it again."""
        return f"python -m tests.chaos.simulate --seed {self.seed} --story"


class Simulation:
    """All processes and surroundings of one run."""

    def __init__(self, seed: int) -> None:
        self.world = world = World(seed)
        random = world.random
        self.log = JournalLog(world)
        self.wire = Wire(world, self.log)
        self.announced = Announced()
        self.store = SimStore(world)
        self.election = Election(world)
        snapshot_bytes = random.choice(SNAPSHOT_BYTES)
        self.servers = [Server(world, f"server-{n}", self.election, self.log, self.wire) for n in range(2)]
        for server in self.servers:
            server.announced, server.store, server.taker.store = self.announced, self.store, self.store
            server.snapshot_bytes = snapshot_bytes
        slots = [random.choice((1, 2)) for _ in range(random.choice((1, 2, 2)))]
        self.workers = [SimWorker(world, f"worker-{n}", s, self.wire, self.store) for n, s in enumerate(slots)]
        for worker in self.workers:
            worker.is_current = self._is_current  # type: ignore[method-assign]
        self.clients = [Client(world, f"client-{n}", self.servers, self.store, random.randint(3, 9)) for n in range(2)]
        self._plan()

    def run(self) -> Recording:
        """Let trouble come and go, and everything come to its end; return what is left."""
        for process in (*self.servers, *self.workers, *self.clients):
            process.start()
        self.world.run_until(TROUBLE_S)
        self._make_peace()
        self._rest()
        return self._recording()

    def unrest(self) -> Iterator[Violation]:
        """Say what keeps the run from its end, where the journal cannot tell."""
        for client in self.clients:
            if not client.is_done:
                yield Violation("everything ends", f"{client.name} has no answer")
        if self._leader() is None:
            yield Violation("everything ends", "nobody leads, or two do")

    def _plan(self) -> None:
        """Choose what goes wrong."""
        world, random = self.world, self.world.random
        for _ in range(random.randint(2, 8)):
            juncture = random.choice(COMMON if random.random() < 0.4 else tuple(FAULTS))
            kind, seconds = random.choice(FAULTS[juncture])
            world.plan(juncture, 1 + int(random.expovariate(1 / 8)), Fault(kind, random.uniform(0.0, seconds)))
        happenings: list[Callable[[], object]] = [
            lambda: random.choice(self.servers).kill(),
            lambda: random.choice(self.servers).pause(random.uniform(1, 60)),
            lambda: random.choice(self.workers).kill(),
            lambda: random.choice(self.workers).pause(random.uniform(1, 60)),
            lambda: random.choice(self.workers).leave(),
            lambda: random.choice(self.workers).fall_ill(random.uniform(1, 60)),
            lambda: random.choice(self.workers).fall_ill(random.uniform(1, 60)),
            self._dismiss,
            self._dismiss,
            lambda: self.election.move(random.uniform(0, 40)),
            self._split,
            self._split,
            lambda: random.choice(self.servers).shift_clock(random.uniform(-4000, 4000)),
            self._deafen,
            self._cut_off,
            self._foreign_record,
            self._damage,
        ]
        for _ in range(random.randint(1, 4)):
            world.at(random.uniform(1.0, TROUBLE_S), random.choice(happenings))

    def _split(self) -> None:
        """Let two lead for long, and nobody disturb the one of them that does not know."""
        self.election.move(self.world.random.uniform(30, 60))
        for client in self.clients:
            if self.election.elected is not None:
                client.turn_to(self.election.elected)

    def _dismiss(self) -> None:
        """Ask a worker to leave, of whoever may be asked; the answer counts for nothing."""
        worker = self.world.random.choice(self.workers)
        for server in self.servers:
            if server.loop is not None:
                worker.tell("is asked to leave")
                server.submit(rq.Drain((worker.name,)))

    def _deafen(self) -> None:
        for server in self.servers:
            if server.bus is not None:
                server.tell("hears no reports for a while")
                server.bus.go_deaf(self.world.random.uniform(5, 60))

    def _cut_off(self) -> None:
        worker = self.world.random.choice(self.workers)
        if worker.bus is not None and worker.is_alive:
            worker.tell("is cut off")
            worker.bus.cut(self.world.random.uniform(5, 60))

    def _foreign_record(self) -> None:
        self.log.write(b"a record of somebody else")
        self.log.skip()

    def _damage(self) -> None:
        """Damage the newest snapshot, and often let everybody begin from the one before."""
        if damage(self.store, self.world.tell) and self.world.happens(0.7):
            for server in self.servers:
                server.kill()

    def _make_peace(self) -> None:
        """End all trouble; now and then the last of it is that everybody has to begin anew."""
        if self.world.happens(0.2):
            self._damage()
        self.world.tell("", "---- peace ----")
        self.world.calm_down()
        for worker in self.workers:
            worker.peace()

    def _rest(self) -> None:
        """Let everything come to its end, if it does."""
        end_s = self.world.now_s + REST_S
        quiet = 0
        while self.world.now_s < end_s:
            self.world.run_until(self.world.now_s + 5.0)
            quiet = quiet + 1 if self._is_quiet() else 0
            if quiet >= 3:
                return

    def _leader(self) -> Server | None:
        """Return the one server that leads, once nobody else believes so."""
        leading = [server for server in self.servers if server.loop is not None]
        return leading[0] if len(leading) == 1 and leading[0] is self.election.elected else None

    def _is_quiet(self) -> bool:
        leader = self._leader()
        if leader is None or leader.loop is None or leader.publisher is None or leader.publisher.is_behind:
            return False
        if not leader.has_all:
            return False
        if not all(one.is_alive for one in (*self.servers, *self.workers)):
            return False
        if not all(client.is_done for client in self.clients):
            return False
        state = leader.loop.term.state
        return (
            not any(worker.held for worker in state.fleet.workers.values())
            and not state.doomed
            and not any(_is_open(flow) for flow in state.workflows.values())
            and leader.bus is not None
            and leader.bus.end_offset() == leader.bus._next
        )

    def _is_current(self, job: Job) -> bool:
        leader = self._leader()
        if leader is None or leader.loop is None:
            return False
        fence = job.execution.fence
        attempt = (fence.workflow_uid, fence.step, fence.attempt)
        return any(w.held.get(attempt) is False for w in leader.loop.term.state.fleet.workers.values())

    def _recording(self) -> Recording:
        leader = self._leader()
        return Recording(
            journal=self.log.history,
            reports=self.wire.reports,
            inboxes=self.wire.inbox,
            events=self.announced.events,
            store=self.store,
            acknowledged=[one for client in self.clients for one in client.acknowledged],
            journal_times=self.log.times,
            live=leader.loop.term.state if leader is not None and leader.loop is not None else None,
            snapshots=[data for (path, _), data in self.store.written.items() if path.startswith(FOLDER)],
            archives=self.store.written,
            lease_s=LEASE_S,
            recover=self._recovered,
        )

    def _recovered(self) -> Announcer:
        """Return what somebody knows who begins now."""
        journal = MemoryJournal(self.log)
        beginning = begin(journal, Snapshots(self.store, FOLDER))
        for _, entry in follow(journal, beginning.reader, beginning.read_from, self.log.end):
            if entry is not None:
                beginning.announcer.follow(entry.now_ms, entry.events)
        return beginning.announcer


def _is_open(flow: object) -> bool:
    counts = flow.counts  # type: ignore[attr-defined]
    return bool(counts[2] or counts[3] or (counts[1] and not flow.holds))  # type: ignore[attr-defined]


@contextmanager
def quick_and_quiet(seed: int) -> Iterator[None]:
    """Let nothing wait for real time, nothing be logged, and for some seeds entries come in parts."""
    most_bytes = SMALL_BYTES if seed % 3 == 0 else frame.PAYLOAD_BYTES_MAX
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            mock.patch.object(publisher, "RETRY_S", 0.0),
            mock.patch.object(encoding, "SLICE_S", -1.0),  # others have their turn after each part
            mock.patch.object(frame, "PAYLOAD_BYTES_MAX", most_bytes),
        ):
            yield
    finally:
        logging.disable(before)


def recorded(seed: int) -> Recording:
    """Run one seed and return what it left."""
    with quick_and_quiet(seed):
        return Simulation(seed).run()


def simulate(seed: int) -> Outcome:
    """Run one seed."""
    outcome = Outcome(seed)
    with quick_and_quiet(seed):
        simulation = Simulation(seed)
        try:
            verdict = audit(simulation.run())
        except Broken as problem:
            outcome.violations.append(Violation("nothing breaks", str(problem)))
        else:
            outcome.violations += [*verdict.violations, *simulation.unrest()]
            outcome.entries, outcome.completions = verdict.entries, verdict.completions
            outcome.unreferenced = verdict.unreferenced
    outcome.events = simulation.world.events
    outcome.story = list(simulation.world.lines())
    return outcome


def fresh_seed() -> int:
    """Return a seed that nobody chose."""
    return secrets.randbelow(2**31)


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first seed; without --count only this one")
    parser.add_argument("--count", type=int, help="so many seeds, one after the other")
    parser.add_argument("--minutes", type=float, help="fresh seeds for so long")
    parser.add_argument("--story", action="store_true", help="tell what happened")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at the same time")
    options = parser.parse_args(arguments)
    first = options.seed if options.seed is not None else fresh_seed()
    if options.seed is not None and options.count is None and options.minutes is None:
        return _tell(simulate(first), story=options.story)
    began_s = time.monotonic()
    ended = failed = events = completions = 0
    count = options.count if options.count is not None else 10**12
    with Pool(options.jobs) as pool:
        for outcome in pool.imap_unordered(simulate, range(first, first + count), chunksize=8):
            ended += 1
            events += outcome.events
            completions += outcome.completions
            if outcome.violations:
                failed += 1
                _tell(outcome, story=options.story)
            if options.minutes is not None and time.monotonic() - began_s > options.minutes * 60:
                pool.terminate()
                break
    seconds = time.monotonic() - began_s
    print(
        f"{ended:,} schedules from seed {first} in {seconds:.0f} s ({ended / seconds * 60:,.0f} a minute): "
        f"{events:,} events, {completions:,} completions, {failed} failed"
    )
    return 1 if failed else 0


def _tell(outcome: Outcome, *, story: bool) -> int:
    if story:
        print("\n".join(outcome.story))
    for violation in outcome.violations:
        print(f"seed {outcome.seed}: {violation}")
    if outcome.violations:
        print(f"again: {outcome.command}")
    elif story:
        print(f"{outcome.events} events, {outcome.completions} completions, no promise broken")
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
