"""A run that has every kind of journal entry in it, with fixed ids and times, so that it comes out the same each time.

`make` writes its journal and a snapshot down; the test reads them as any later version has to.
"""

from dataclasses import replace
from typing import Any

from gaia_core.backends.memory import MemoryJournal, MemoryLog
from gaia_core.coordinator.entries import EntryReader, follow
from gaia_core.machine import events as own
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Restored
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.wire.frame import PAYLOAD_BYTES_MAX, wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry
from gaia_core.wire.snapshot import Place, Snapshot, decode_archived
from gaia_core.workflow.model import (
    Command,
    Failure,
    FailureClass,
    Fence,
    FileVersion,
    Options,
    Publication,
    Resources,
    StepSpec,
)
from tests.unit.machine.archiving import Attic
from tests.unit.machine.deployment import COPY, LIST, MAKE, TREE, make

START_MS = 1_700_000_000_000
MIDDLE = 39
"""The snapshot stands behind the last entry below this offset."""

FULL = Command(
    "full",
    "registry/image:1.2",
    ("sh", "-c", "cat {{in}} > {{out}}; echo {{WORD}} {{{{"),
    {"in": "/in/file"},
    {"out": "/out/file", "log": ">>"},
    {"WORD": "hello", "COUNT": 3, "RATIO": 0.5, "YES": True},
    stdout="/out/file",
    options=Options(60.5, 2, Resources(1.5, 2**20, 1), "default", 7, "on_failure", 3_600.0),
    network=True,
    env={"KEY": "{{WORD}}"},
    workdir="/work",
    entrypoint=("tini", "--"),
    reuse=True,
)
PAIR = Command(
    "pair",
    inputs={"from": ""},
    outputs={"to": ""},
    steps=(
        StepSpec("first", "copy", {"in": "from"}, {"out": "between"}),
        StepSpec("second", "full", {"in": "between"}, {"out": "to"}, {"WORD": "{{WORD}}"}),
    ),
    var_names=("WORD",),
)
COMMANDS = (COPY, LIST, MAKE, TREE, FULL, PAIR)


class Writer:
    """Drives the machine and writes what it decides as a leader does, a second apart."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.driver = Attic()
        self.driver.now_ms = START_MS
        self.opened = self.last = -1
        self.reports = 0

    def open(self, term_id: bytes, *events: own.Event) -> None:
        """Take office."""
        for event in events:
            self.driver.state.apply(event)
            self.driver.replica.apply(event)
        self.driver.announcer.follow(self.driver.now_ms, events)
        opening = Opening(term_id, "leader.example:24442", "0.1.0")
        self.opened = self._write(Entry(-1, self.last, self.driver.now_ms, events, self.reports, opening))

    def ask(self, request: rq.Request) -> None:
        """Carry out a request."""
        self.driver.ask(request)
        self._commit()

    def say(self, worker: str, *said: rp.Report, incarnation: str = "i1") -> None:
        """Enter what a worker reports."""
        self.driver.say(worker, *said, incarnation=incarnation)
        self._commit()

    def hello(self, worker: str, incarnation: str = "i1", **more: Any) -> None:
        """Let a worker say hello."""
        fields = {"pool": "default", "slots": 3, "prefetch": 1, "partition": 5, "start_offset": 0, **more}
        self.say(worker, rp.Hello(executor="noop", host="host.example", **fields), incarnation=incarnation)

    def complete(self, *steps: str, flow: str = "ada_first") -> None:
        """Let Steps complete, each with all it writes."""
        for name in steps:
            step = self.driver.step(name, flow)
            outputs = tuple(written(key.name, f"{name}/{step.attempt}") for key in step.outputs)
            incarnation = self.driver.state.fleet.workers[step.worker].incarnation
            self.say(step.worker, rp.Completed(self.driver.fence(name, flow), outputs, 1_234), incarnation=incarnation)

    def fail(self, name: str, kind: FailureClass, flow: str = "ada_first", **more: Any) -> None:
        """Let a Step fail."""
        failure = Failure(kind, "it failed", 3 if kind is FailureClass.COMMAND else None, "last\nwords")
        step = self.driver.step(name, flow)
        self.say(step.worker, rp.Failed(self.driver.fence(name, flow), failure, **more))

    def _commit(self) -> None:
        if self.driver.events:
            self.reports += 1
            self._write(Entry(self.opened, self.last, self.driver.now_ms, tuple(self.driver.events), self.reports))
        self.driver.now_ms += 1_000

    def _write(self, entry: Entry) -> int:
        _, end = self.log.bounds()
        for record in wrap(encode_entry(entry), b"%08d" % end):
            self.last = self.log.write(record)
        return self.last


def written(key: str, version: str) -> Publication:
    """Return what lies under a Key: a large tree has a manifest."""
    if key == "tree/":
        return Publication(key, (), FileVersion(".gaia/manifest", version, 99, b"\x02" * 32))
    path = f"{key}file" if key.endswith("/") else key
    return Publication(key, (FileVersion(path, version, 10, b"\x01" * 32),))


def write() -> MemoryLog:
    """Return the journal of the run."""
    writer = Writer()
    writer.open(b"first term......")
    _first_workflow(writer)
    writer.log.write(b"a foreign record")
    writer.log.skip(2)
    _others(writer)
    _archives(writer)
    _damage(writer)
    writer.ask(rq.Merge("ada_first", (make("late", "late"),)))
    return writer.log


def _first_workflow(writer: Writer) -> None:
    """Everything that happens to Steps and Keys."""
    writer.hello("w", metadata={"zone": "north"})
    properties = {"owner": "ada", "note": {"any": ["thing", 1, None]}, "max_parallel": 6}
    steps = (
        make("make", "made"),
        StepSpec("full", "full", {"in": "made"}, {"out": "full/out", "log": "full/log"}, {"COUNT": 4}),
        StepSpec("sweep", "copy", {"in": "outside/{{N}}"}, {"out": "swept/{{N}}"}, {"N": (1, 2.5, True, "four")}),
        StepSpec("tree", "tree", {}, {"out": "tree/"}),
        StepSpec("list", "list", {"in": "swept/"}, {"out": "listed"}, {}, Options(retries=1)),
        StepSpec("whole", "pair", {"from": "made"}, {"to": "paired"}, {"WORD": "w"}),
        make("slow", "slow", options=Options(queue_timeout_s=5, pool="rare")),
    )
    writer.ask(rq.Upload("ada_first", properties, COMMANDS, steps, rq.RequestId("request 1", b"digest 1")))
    outside = tuple(written(f"outside/{n}", f"outside {n}") for n in ("1", "2.5", "true", "four"))
    writer.ask(rq.Arrive("ada_first", outside))
    writer.complete("make", "tree")
    writer.ask(rq.Expire("ada_first", ("key:outside/2.5",)))
    writer.ask(rq.Arrive("ada_first", (written("outside/2.5", "outside again"),)))
    writer.fail("sweep-1", FailureClass.COMMAND)
    writer.fail("full", FailureClass.STORE, outputs=(written("full/log", "full/1"),))
    writer.driver.now_ms += 60_000
    writer.ask(rq.Tick())
    writer.ask(rq.Merge("ada_first", (replace(steps[2], vars={"N": (1, 2.5)}),), prune=True))
    writer.ask(rq.Remove("ada_first", ("tree",), rq.RequestId("request 2", b"digest 2")))
    writer.ask(rq.SetCommands("ada_first", (replace(COPY, image="registry/copy:2"),)))
    stopped = [Fence(*attempt) for attempt, stops in writer.driver.state.fleet.workers["w"].held.items() if stops]
    writer.say("w", *map(rp.Cancelled, stopped))


def _archives(writer: Writer) -> None:
    """Workflows that leave memory, one of which comes back."""
    for name in ("sue_back", "sue_away"):
        writer.ask(rq.Upload(name, {"retention_s": 60}, (MAKE,), (make("a", "a"),)))
        writer.complete("a", flow=name)
        writer.ask(writer.driver.encode(writer.driver.flow(name).uid))
    archived = writer.driver.state.archived["sue_back"]
    data = writer.driver.objects[archived.file.key][archived.file.version]
    writer.ask(rq.Revive(archived.uid, archived.file, Restored(data, decode_archived)))


def _others(writer: Writer) -> None:
    """Everything that happens to workflows and workers."""
    writer.open(b"second term.....")
    writer.hello("w", draining=True)
    writer.hello("v")
    given_back = [Fence(*attempt) for attempt in writer.driver.state.fleet.workers["w"].held]
    unstarted = Failure(FailureClass.LOST, "the worker drains")
    writer.say("w", *(rp.Failed(fence, unstarted, unstarted=True) for fence in given_back))
    writer.say("w", rp.Goodbye("drained"))
    writer.ask(rq.Upload("bob_halted", {"on_error": "stop"}, (MAKE,), (make("a", "a"), make("b", "b"))))
    writer.ask(rq.Halt("bob_halted"))
    writer.ask(rq.Upload("eve_gone", {}, (MAKE,), (make("a", "a"),)))
    writer.ask(rq.Delete("eve_gone", data=True))
    writer.ask(rq.Delete("bob_halted"))
    writer.ask(rq.DataGone(3))
    writer.ask(rq.Upload("bob_again", {}, (MAKE,), (make("a", "a"),)))
    writer.ask(rq.Halt("bob_again"))
    writer.ask(rq.Run("bob_again"))
    writer.ask(rq.LoseWorker("v", "i1", "silent for a whole lease"))
    writer.hello("v", incarnation="i2", slots=9)


def _damage(writer: Writer) -> None:
    """A record that cannot be read, what follows on it, and a leader that went on without both."""
    writer.ask(rq.Upload("large", {"note": "x" * PAYLOAD_BYTES_MAX}, (), ()))
    last = writer.last
    damaged = writer.log.write(b"GAIA, and then something else")
    stray = wrap(encode_entry(Entry(writer.opened, damaged, writer.driver.now_ms, (own.DataDeleted(9),))), b"lost....")
    writer.log.write(stray[0])
    writer.last = last
    writer.open(b"third term......", own.EntriesLost(damaged))


def snapshot_of(log: MemoryLog, below: int) -> Snapshot:
    """Return a snapshot of all that is accepted below an offset."""
    announcer, reader = Announcer(), EntryReader()
    told: list[Announcement] = []
    for _, entry in follow(MemoryJournal(log), reader, 0, below):
        if entry is not None:
            told += announcer.follow(entry.now_ms, entry.events)
    place = Place(reader.last, reader.opening, 17, "leader.example:24442", reader.last_id)
    return Snapshot(place, announcer, tuple(told[-20:]))
