"""The example consumers of the public events, in Python and Go: every completion once, in order, whatever is killed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from gaia_core.backends.kafka import EVENTS_PARTITIONS, KafkaSettings, partition_of
from gaia_core.backends.kafka_events import KafkaEventLog
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.machine import public
from gaia_core.ports import EventRecord, Position
from gaia_core.wire.public import encode_announcement, subject_of
from tests.conftest import _or_skip
from tests.integration.cluster import Cluster, check_sequences
from tests.integration.gaia_processes import EXAMPLES
from tests.support.golang import build_go
from tests.support.machine import ROOT
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.services import KafkaService

FLOW = "ada_events_20240501.120000"
WIDE = 300
PYTHON = EXAMPLES / "consumer" / "python"
TIME_MS = 1_790_000_000_123

_LINE = re.compile(r"(\S+T\S+Z) (\d+)-(\d+) (\S+): attempt (\d+) took \d+ ms(?:, wrote (.*))?")
_SUMMARY = re.compile(r"(\S+) (\w+): (\d+) completions, (\d+) events, (\d+) missing, (\d+) doubled")


class Told(NamedTuple):
    """One completion as a consumer printed it."""

    sequence: int
    step: str
    attempt: int
    wrote: str


@dataclass
class Reader:
    """One consumer: its program, and the file in which it remembers how far it is."""

    program: list[str]
    state: Path
    bootstrap: str
    prefix: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        flags = ["--bootstrap", self.bootstrap, "--prefix", self.prefix, "--state", str(self.state)]
        with self._log.open("ab") as output:
            self.process = subprocess.Popen([*self.program, *flags, FLOW], stdout=output, stderr=output)

    def end(self) -> int:
        """Return its exit code once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(timeout=120)

    def kill(self) -> None:
        """End it as a power cut would; nothing happens when it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def printed(self) -> str:
        """Everything it wrote since it was started first."""
        return self._log.read_text()

    @property
    def _log(self) -> Path:
        return self.state.with_suffix(".log")

    def remembers(self) -> dict[str, Any]:
        """Return what its file says."""
        return json.loads(self.state.read_text()) if self.state.exists() else {"completions": 0}

    def told(self) -> list[Told]:
        """Return the completions it printed, in its order."""
        found = [match.groups() for match in map(_LINE.fullmatch, self.printed.splitlines()) if match]
        return [Told(int(number), step, int(attempt), wrote or "") for _, _, number, step, attempt, wrote in found]

    def summary(self) -> tuple[str, ...]:
        """Return the parts of its last line: workflow, how it rests, completions, events, missing, doubled."""
        match = _SUMMARY.fullmatch(self.printed.splitlines()[-1])
        assert match, self.printed
        return match.groups()


@pytest.fixture(scope="session")
def programs() -> dict[str, list[str]]:
    """How each consumer is started."""
    go = _or_skip(lambda: build_go("consumer/go"))
    return {"python": [sys.executable, str(PYTHON / "consumer.py")], "go": [str(go)]}


@pytest.fixture
def reader(
    programs: dict[str, list[str]], kafka: KafkaService, topic_prefix: str, tmp_path: Path
) -> Iterator[Callable[[str], Reader]]:
    """Makes consumers of this test's topic, each with a file of its own."""
    made: list[Reader] = []

    def make(language: str) -> Reader:
        state = tmp_path / f"{language}-{len(made)}.json"
        made.append(Reader(programs[language], state, kafka.bootstrap, topic_prefix.rstrip(".")))
        return made[-1]

    yield make
    for one in made:
        one.kill()


def workflow(image: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Hundreds of Steps now, hundreds when their worker comes, and behind a gate one that writes and one that fails."""
    wide = {"name": "nothing", "image": image, "command": ["true"]}
    greet = {"name": "greet", "image": image, "command": ["echo", "Hello"], "inputs": {"gate": "/in/gate"},
             "outputs": {"greeting": ">"}}  # fmt: skip
    fail = {"name": "fail", "image": image, "command": ["false"], "inputs": {"gate": "/in/gate"}}
    numbers = list(range(WIDE))
    steps = [
        {"name": "early", "command": "nothing", "vars": {"N": numbers}},
        {"name": "late", "command": "nothing", "vars": {"N": numbers}, "pool": "late"},
        {"name": "greets", "command": "greet", "inputs": {"gate": "gate"}, "outputs": {"greeting": "grüße/hello.txt"},
         "pool": "real"},
        {"name": "fails", "command": "fail", "inputs": {"gate": "gate"}, "pool": "real"},
    ]  # fmt: skip
    return [wide, greet, fail], steps


def play(cluster: Cluster, image: str, readers: list[Reader], *, kill: bool) -> None:
    """Run the workflow under the eyes of the readers: complete, expire, fail; with kill, kill servers and readers."""
    server = cluster.server()
    cluster.worker("one", "noop")
    for one in readers:
        one.start()
    flow = cluster.client()
    flow.upload(FLOW, {}, *workflow(image))

    def complete() -> int:
        return int(flow.status(FLOW)["steps"]["complete"])

    wait_until(complete, "Steps are complete", deadline_s=60)
    if kill:
        server.kill()
        server = cluster.server()
    wait_until(lambda: complete() == WIDE, "the early Steps are complete", deadline_s=60)
    if kill:
        for one in readers:
            wait_until(lambda one=one: one.remembers()["completions"] == WIDE, "the reader has all", deadline_s=60)
            one.kill()
    cluster.worker("two", "noop", "--pool", "late")
    wait_until(lambda: complete() > WIDE, "late Steps are complete", deadline_s=60)
    if kill:
        server.kill()
        cluster.server()
        for one in readers:
            one.start()
    wait_until(lambda: complete() == 2 * WIDE, "the late Steps are complete", deadline_s=60)
    assert sorted(flow.expire(FLOW, ["early-7", "late-8"])["steps"]) == ["early-7", "late-8"]
    wait_until(lambda: complete() == 2 * WIDE, "the expired Steps are complete again", deadline_s=60)
    cluster.worker("three", "docker", "--pool", "real")
    flow.put(FLOW, "gate", b"open")
    status = flow.wait(FLOW, timeout_s=90)
    assert (status["state"], [one["step"] for one in status["failed"]]) == ("error", ["fails"])


@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "killed"])
def test_every_completion_is_seen_once_and_in_order(
    cluster: Cluster, busybox_image: str, reader: Callable[[str], Reader], kill: bool
) -> None:
    """Both consumers print each accepted attempt once, in the order of the numbers, and find no gap and no double."""
    readers = [reader("python"), reader("go")]
    play(cluster, busybox_image, readers, kill=kill)
    events = cluster.events(FLOW, "error")
    check_sequences(events)
    done = [event for event in events if event.WhichOneof("event") == "step_completed"]
    expected = [(event.sequence, event.step_completed.step, event.step_completed.attempt) for event in done]
    kinds = {event.WhichOneof("event") for event in events}
    assert {"workflow_changed", "step_completed", "step_failed", "step_expired", "key_available"} <= kinds
    once = {(f"{sweep}-{number}", 1) for sweep in ("early", "late") for number in range(WIDE)} | {("greets", 1)}
    assert {(step, attempt) for _, step, attempt in expected} == once | {("early-7", 2), ("late-8", 2)}
    assert len(expected) == 2 * WIDE + 3
    for one in readers:
        assert one.end() == 0, one.printed
        assert [(told.sequence, told.step, told.attempt) for told in one.told()] == expected
        assert one.told()[-1].wrote == "grüße/hello.txt (6 B)"
        assert one.summary() == (FLOW, "error", str(len(expected)), str(len(events)), "0", "0")


def facts(*numbers: int) -> Iterator[EventRecord]:
    """Yield events with these numbers: Steps complete, and with the last one the workflow does."""
    for number in numbers:
        fact: public.Fact = public.StepCompleted(f"s{number}", 1, "w", (), 5)
        if number == numbers[-1]:
            fact = public.WorkflowChanged("complete")
        kind, value = encode_announcement(public.Announcement(FLOW, 7, number, TIME_MS, fact))
        yield EventRecord(FLOW, 7, number, kind, TIME_MS, value, subject_of(fact))


@pytest.fixture
def events_of(kafka: KafkaService, topic_prefix: str) -> KafkaSettings:
    """Settings of topics that exist and that no Gaia writes to."""
    settings = KafkaSettings(kafka.bootstrap, topic_prefix=topic_prefix.rstrip("."))
    ensure_topics(settings)
    return settings


@pytest.mark.parametrize("language", ["python", "go"])
def test_what_is_missing_or_doubled_is_told(
    events_of: KafkaSettings, reader: Callable[[str], Reader], language: str
) -> None:
    """A number left out and one that comes twice are counted, and the exit code says so; a double is not dealt with."""
    with closing(KafkaEventLog(events_of)) as log:
        log.publish(list(facts(1, 2, 4, 4, 5)), Position(1))
    one = reader(language)
    one.start()
    assert one.end() == 1, one.printed
    assert [told.sequence for told in one.told()] == [1, 2, 4]
    assert one.summary() == (FLOW, "complete", "3", "4", "1", "1")
    assert f"/gaia/{events_of.topic_prefix}/{FLOW}/7: 1 missing before 7-4" in one.printed
    assert f"/gaia/{events_of.topic_prefix}/{FLOW}/7: 7-4 came twice" in one.printed


@pytest.mark.parametrize("language", ["python", "go"])
def test_a_gap_over_a_restart_is_told(events_of: KafkaSettings, reader: Callable[[str], Reader], language: str) -> None:
    """The last number is remembered with the offset: what is missing between two runs is seen by the second."""
    with closing(KafkaEventLog(events_of)) as log:
        log.publish(list(facts(1, 2)), Position(1))
        one = reader(language)
        one.start()
        assert one.end() == 0, one.printed
        log.publish(list(facts(4, 5)), Position(2))
    one.start()
    assert one.end() == 1, one.printed
    assert one.summary() == (FLOW, "complete", "2", "4", "1", "0")


@pytest.mark.parametrize("language", ["python", "go"])
def test_what_was_not_committed_is_not_seen(
    events_of: KafkaSettings, reader: Callable[[str], Reader], language: str
) -> None:
    """Events of a publisher that died before its commit lie in the topic; those that replace them are read instead."""
    with closing(KafkaEventLog(events_of)) as dying, closing(KafkaEventLog(events_of)) as successor:
        dying.publish(list(facts(1, 2))[:1], Position(1))
        producer = dying._live()
        producer.begin_transaction()
        for event in facts(2, 3, 4):
            dying._produce_event(producer, event)
        producer.flush(10)
        assert successor.position() == Position(1)
        successor.publish(list(facts(2, 3)), Position(2))
    one = reader(language)
    one.start()
    assert one.end() == 0, one.printed
    assert [told.sequence for told in one.told()] == [1, 2]
    assert one.summary() == (FLOW, "complete", "2", "3", "0", "0")


@pytest.mark.parametrize("language", ["python", "go"])
def test_what_retention_cut_is_no_gap_for_who_comes_later(
    events_of: KafkaSettings, reader: Callable[[str], Reader], language: str
) -> None:
    """Who begins after the cut takes what is there; who had begun before it and missed some is refused, in one line."""
    with closing(KafkaEventLog(events_of)) as log:
        log.publish(list(facts(1, 2)), Position(1))
        early, late = reader(language), reader(language)
        early.start()
        assert early.end() == 0, early.printed
        log.publish(list(facts(3, 4, 5)), Position(2))
        log.publish(list(facts(6, 7)), Position(3))
    # Two events and the mark of their transaction, then three and theirs.
    cut = TopicPartition(events_of.events_topic, partition_of(FLOW, EVENTS_PARTITIONS), 3 + 4)
    admin = AdminClient({"bootstrap.servers": events_of.bootstrap})
    admin.delete_records([cut])[cut].result(30)
    late.start()
    assert late.end() == 0, late.printed
    assert [told.sequence for told in late.told()] == [6]
    early.start()
    assert early.end() == 2, early.printed
    assert "deleted before we read them" in early.printed.splitlines()[-1]


def test_the_libraries_that_the_page_names_are_the_ones_tested() -> None:
    """The consumer in Python is pinned to what Gaia itself is locked to, which these tests use."""
    locked = (ROOT / "requirements" / "runtime.lock").read_text().replace(" \\", "").splitlines()
    pins = (PYTHON / "requirements.txt").read_text().splitlines()
    assert pins
    assert [pin for pin in pins if pin not in locked] == []
