"""Logs through the real client, gRPC and server: history then live, attempt after attempt, and words where none is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gaia.client import Gaia
from gaia_core.errors import InvalidWorkflow, NotAllowedNow, UnknownName
from gaia_core.machine import reports as rp
from gaia_core.service import log_streams as module
from gaia_core.wire.pieces import STDERR, STDOUT, LogRecord, Piece, encode_record, log_key, stored
from gaia_core.workflow.keys import log_location
from gaia_core.workflow.model import Failure, FailureClass, Fence
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.service.served import Served

MAKE = {"name": "make", "image": "any", "command": ["make", "{{out}}"], "outputs": {"out": "/out"}}
ALONE = {"name": "alone", "command": "make", "outputs": {"out": "alone"}}
AFTER = {"name": "after", "command": "read", "inputs": {"in": "alone"}, "outputs": {"out": "after"}}
READ = {"name": "read", "image": "any", "command": ["read"], "inputs": {"in": "/in"}, "outputs": {"out": "/out"}}
SWEEP = {"name": "s", "command": "make", "outputs": {"out": "{{n}}"}, "vars": {"n": [1, 2]}}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here is slow."""
    for name in ("PAUSE_S", "ASK_EVERY_S", "GRACE_S"):
        monkeypatch.setattr(module, name, 0.01)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as made:
        yield made


@pytest.fixture
def flow(served: Served) -> Iterator[Gaia]:
    with served.client() as client:
        yield client


class Talker(Hand):
    """A worker that says it runs programs, and writes what the test says."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)  # type: ignore[arg-type]
        self.served = served
        self.written: dict[Fence, list[Piece]] = {}
        self.executor = "docker"

    def hello(self) -> None:
        self.say(rp.Hello("default", 10, 0, 0, self.bus.start_offset, self.executor, "host"))

    def fence(self, step: str, attempt: int = 1) -> Fence:
        """Return the fence of an attempt, once it was ordered."""

        def ordered() -> bool:
            self.read()
            return step in self.fences() and self.fences()[step].attempt == attempt

        wait_until(ordered, f"attempt {attempt} of {step} is ordered")
        return self.fences()[step]

    def write(self, step: str, *words: str, attempt: int = 1, is_told: bool = True, ended: bool = False) -> None:
        """Write words, those with "!" to stderr, and tell of them."""
        fence = self.fence(step, attempt)
        written = self.written.setdefault(fence, [])
        size = written[-1].end if written else 0
        pieces = []
        for word in words:
            pieces.append(Piece(size, STDERR if word.startswith("!") else STDOUT, 1_000, word.encode()))
            size = pieces[-1].end
        written += pieces
        if is_told:
            record = LogRecord("flow", fence.workflow_uid, step, fence.step, attempt, tuple(pieces), size, ended)
            self.served.logs.publish(log_key("flow", step), encode_record(record))

    def keep(self, step: str, attempt: int = 1) -> None:
        """Store the log, and tell that nothing more comes."""
        fence = self.fence(step, attempt)
        place = log_location("flow", fence.workflow_uid, fence.step, attempt)
        self.served.store.put_bytes(None, place.path, b"".join(map(stored, self.written[fence])))
        self.write(step, attempt=attempt, ended=True)

    def done(self, step: str, attempt: int = 1) -> None:
        self.say(rp.Completed(self.fence(step, attempt), (), 1))

    def fail(self, step: str, attempt: int = 1) -> None:
        self.say(rp.Failed(self.fence(step, attempt), Failure(FailureClass.COMMAND, "exit code 1", 1)))


@pytest.fixture
def talker(served: Served) -> Talker:
    made = Talker(served)
    made.hello()
    return made


class Reader:
    """Reads logs in a thread of its own."""

    def __init__(self, flow: Gaia, *arguments: Any, **more: Any) -> None:
        self.told: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read, args=(flow, arguments, more))
        self._thread.start()

    def _read(self, flow: Gaia, arguments: tuple[Any, ...], more: dict[str, Any]) -> None:
        self.told += []
        for one in flow.logs("flow", *arguments, **more):
            self.told.append(one)

    def text(self) -> str:
        return text(self.told)

    def await_text(self, wanted: str) -> None:
        wait_until(lambda: self.text() == wanted, wanted, evidence=lambda: str(self.told))

    def await_end(self) -> list[dict[str, Any]]:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.told


def text(told: list[dict[str, Any]]) -> str:
    return b"".join(one["data"] for one in told if one["kind"] == "piece").decode()


def notices(told: list[dict[str, Any]]) -> list[str]:
    return [one["words"] for one in told if one["kind"] == "notice"]


def start(flow: Gaia, *steps: dict[str, Any], **more: Any) -> None:
    flow.upload("flow", {}, [MAKE, READ], [{**step, **more} for step in steps])


def test_what_an_attempt_wrote_is_read_after_its_end(flow: Gaia, talker: Talker) -> None:
    """In order, each piece with its stream, place and time, and then the end."""
    start(flow, ALONE)
    talker.write("alone", "one\n", "!two\n", is_told=False)
    talker.keep("alone")
    talker.done("alone")
    flow.wait("flow", timeout_s=30)
    first = {"attempt": 1, "kind": "piece", "offset": 0, "stream": "stdout", "time": "1970-01-01T00:00:01Z"}
    assert list(flow.logs("flow", "alone")) == [
        {**first, "data": b"one\n"},
        {**first, "offset": 4, "stream": "stderr", "data": b"!two\n"},
        {"attempt": 1, "kind": "end", "size": 9, "running": False},
    ]
    assert text(list(flow.logs("flow", "alone", streams=["stderr"]))) == "!two\n"
    assert text(list(flow.logs("flow", "alone", tail=1))) == "!two\n"
    assert text(list(flow.logs("flow", "alone", 1, from_offset=6))) == "wo\n"


def test_history_then_live_then_the_store(flow: Gaia, talker: Talker) -> None:
    """No byte is missing or comes twice where one goes over into the other."""
    start(flow, ALONE)
    talker.write("alone", "one\n")
    reader = Reader(flow, "alone", follow=True)
    reader.await_text("one\n")
    talker.write("alone", "two\n")
    reader.await_text("one\ntwo\n")
    talker.write("alone", "three\n", is_told=False)
    talker.keep("alone")
    talker.done("alone")
    assert text(reader.await_end()) == "one\ntwo\nthree\n"


def test_what_could_not_be_told_live_is_marked(flow: Gaia, talker: Talker) -> None:
    """A reader sees how much is left out, and where it goes on."""
    start(flow, ALONE)
    talker.write("alone", "one\n")
    talker.write("alone", "lost", is_told=False)
    talker.write("alone", "two\n")
    reader = Reader(flow, "alone", follow=True)
    reader.await_text("one\ntwo\n")
    talker.keep("alone")
    talker.done("alone")
    assert {"attempt": 1, "kind": "gap", "offset": 4, "size": 4} in reader.await_end()


def test_without_follow_a_running_attempt_is_read_as_far_as_it_is(flow: Gaia, talker: Talker) -> None:
    """It ends, and says that there will be more."""
    start(flow, ALONE)
    talker.write("alone", "one\n", "two\n")
    told = list(flow.logs("flow", "alone", tail=1))
    assert text(told) == "two\n"
    assert told[-1] == {"attempt": 1, "kind": "end", "size": 8, "running": True}


def test_a_step_that_has_not_started_is_waited_for(flow: Gaia, talker: Talker) -> None:
    """With words on what it waits for; without follow these are all there is."""
    start(flow, ALONE, AFTER)
    waits = "after waits for alone, which alone will write"
    assert notices(list(flow.logs("flow", "after"))) == [waits]
    reader = Reader(flow, "after", follow=True)
    wait_until(lambda: notices(reader.told) == [waits], "it says what it waits for")
    talker.done("alone")
    talker.write("after", "at last\n")
    talker.keep("after")
    talker.done("after")
    assert text(reader.await_end()) == "at last\n"


def test_following_goes_on_with_the_next_attempt(flow: Gaia, talker: Talker) -> None:
    """A failed one that is tried again is followed by the next; a named one is followed to its own end only."""
    start(flow, ALONE, retries=1)
    talker.write("alone", "first\n")
    talker.keep("alone")
    reader, of_one = Reader(flow, "alone", follow=True), Reader(flow, "alone", 1, follow=True)
    reader.await_text("first\n")
    talker.fail("alone")
    assert text(of_one.await_end()) == "first\n"
    talker.write("alone", "second\n", attempt=2)
    reader.await_text("first\nsecond\n")
    talker.keep("alone", attempt=2)
    talker.fail("alone", attempt=2)
    told = reader.await_end()
    assert [(one["attempt"], one["size"]) for one in told if one["kind"] == "end"] == [(1, 6), (2, 7)]
    assert "alone attempt 1 failed (COMMAND: exit code 1) and is followed by another" in notices(told)
    assert notices(told)[-1] == "alone failed (COMMAND: exit code 1)"
    assert text(list(flow.logs("flow", "alone"))) == "second\n"
    assert notices(list(flow.logs("flow", "alone"))) == ["alone failed (COMMAND: exit code 1)"], (
        "a log that is all there does not tell how it ended"
    )
    assert text(list(flow.logs("flow", "alone", 1))) == "first\n"
    assert notices(list(flow.logs("flow", "alone", 1))) == []
    assert text(list(flow.logs("flow", "alone", "all"))) == "first\nsecond\n"


def test_a_stream_outlives_a_restart(served: Served, flow: Gaia, talker: Talker) -> None:
    """It goes on behind what came, without a repetition."""
    start(flow, ALONE)
    talker.write("alone", "one\n")
    reader = Reader(flow, "alone", follow=True)
    reader.await_text("one\n")
    served.again()
    talker.write("alone", "two\n")
    reader.await_text("one\ntwo\n")
    talker.keep("alone")
    talker.bus = served.bus.connect(talker.name)
    talker.hello()
    talker.done("alone")
    assert text(reader.await_end()) == "one\ntwo\n"


def test_an_attempt_whose_end_nobody_told_ends_all_the_same(flow: Gaia, talker: Talker) -> None:
    """Its worker was lost: what was heard of it is read, then and later, and words say so."""
    start(flow, ALONE)
    talker.write("alone", "one\n")
    reader = Reader(flow, "alone", 1, follow=True)
    reader.await_text("one\n")
    talker.say(rp.Failed(talker.fence("alone"), Failure(FailureClass.LOST, "gone")))
    assert text(reader.await_end()) == "one\n"
    told = list(flow.logs("flow", "alone", 1))
    assert text(told) == "one\n"
    assert notices(told) == ["its worker was lost or could not store the log; this is what was heard of it"]


def test_where_nothing_was_written_words_say_so(flow: Gaia, talker: Talker) -> None:
    """Of an attempt that ran silently, and of one that never ran."""
    start(flow, ALONE)
    reader = Reader(flow, "alone", follow=True)
    wait_until(lambda: talker.fence("alone").attempt == 1, "it runs")
    talker.write("alone", ended=True)
    talker.done("alone")
    assert notices(reader.await_end()) == ["attempt 1 of alone wrote nothing"]
    assert notices(list(flow.logs("flow", "alone"))) == ["attempt 1 of alone wrote nothing"]


def test_a_worker_that_runs_no_programs_has_no_logs(flow: Gaia, served: Served) -> None:
    """The words name the cause."""
    talker = Talker(served)
    talker.executor = "noop"
    talker.hello()
    start(flow, ALONE)
    talker.done("alone")
    flow.wait("flow", timeout_s=30)
    told = list(flow.logs("flow", "alone", follow=True))
    assert notices(told) == ["alone was given to a worker that runs no programs, so there is no log"]


def test_unknown_names_are_refused(flow: Gaia, talker: Talker) -> None:
    """A workflow, a Step, an attempt that there is not; a name that stands for several Steps; a place in no log."""
    start(flow, SWEEP)
    with pytest.raises(UnknownName, match="no workflow"):
        flow.logs("nothing", "s-1")
    with pytest.raises(UnknownName, match="did you mean 's-"):
        flow.logs("flow", "s-l")
    with pytest.raises(NotAllowedNow) as several:
        flow.logs("flow", "s")
    assert several.value.hint == "name one of them: s-1, s-2"
    talker.fence("s-1")
    with pytest.raises(UnknownName, match="the newest is 1"):
        flow.logs("flow", "s-1", 2)
    with pytest.raises(InvalidWorkflow, match="from_offset"):
        flow.logs("flow", "s-1", from_offset=5)
    with pytest.raises(InvalidWorkflow, match="tail_lines"):
        flow.logs("flow", "s-1", tail=10_001)
    for wrong in ({"attempt": 0}, {"attempt": "some"}, {"streams": ["out"]}):
        with pytest.raises(InvalidWorkflow):
            flow.logs("flow", "s-1", **wrong)  # type: ignore[arg-type]


def test_how_far_attempts_are_is_seen(flow: Gaia, talker: Talker) -> None:
    """In the lists of Steps while they run, and by watchers; never by a number that events have."""
    start(flow, ALONE)
    fence = talker.fence("alone")
    watched = flow.watch("flow", 0, kinds=["step_progress"])
    talker.say(rp.Progress(fence, 3, 10, "mapping"))
    event = next(watched)
    assert {name: event[name] for name in ("sequence", "step", "attempt", "done", "total", "message")} == {
        "sequence": 0, "step": "alone", "attempt": 1, "done": 3, "total": 10, "message": "mapping",
    }  # fmt: skip
    said = {"done": 3, "total": 10, "message": "mapping"}
    assert next(flow.steps("flow"))["progress"] == said
    assert flow.status("flow", debug=True)["debug"]["steps"][0]["progress"] == said
    talker.done("alone")
    flow.wait("flow", timeout_s=30)
    assert "progress" not in next(flow.steps("flow"))
