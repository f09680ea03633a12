"""The EventLog port, over every backend; and the form of the events on Kafka."""

import zlib
from pathlib import Path

import pytest
from confluent_kafka import Producer

from gaia.v1 import events_pb2
from gaia_core.backends.kafka import KafkaSettings, partition_of
from gaia_core.backends.kafka_events import TYPE_PREFIX, KafkaEventLog
from gaia_core.backends.memory import MemoryEventLog
from gaia_core.backends.sqlite import SqliteEventLog
from gaia_core.errors import InvariantBroken, JournalCorrupt, Unavailable
from gaia_core.ports import Aside, EventRecord, Position
from tests.contract.conftest import QUIET, EventRig, KafkaEventRig

TIME_MS = 1_790_000_000_123
"""2026-09-21T14:13:20.123Z"""


def event(sequence: int, workflow: str = "wf", uid: int = 7, value: bytes = b"value", subject: str = "") -> EventRecord:
    return EventRecord(workflow, uid, sequence, "step_completed", TIME_MS, value, subject)


def test_nothing_is_published_at_first(event_logs: EventRig) -> None:
    """The position before any publication is -1, also when asked again."""
    log = event_logs.open()
    assert log.position() == Position(-1)
    assert log.position() == Position(-1)
    assert event_logs.seen() == []


def test_a_publication_shows_its_events_and_its_position(event_logs: EventRig) -> None:
    """Consumers see every event as it was given, in order; the next publisher sees the position."""
    log = event_logs.open()
    log.publish([event(1), event(2)], Position(10))
    log.publish([event(3)], Position(11))
    assert event_logs.seen() == [event(1), event(2), event(3)]
    assert event_logs.open().position() == Position(11)


def test_the_position_moves_without_events(event_logs: EventRig) -> None:
    """A stretch of the journal without public events is published as a position alone."""
    log = event_logs.open()
    log.publish([], Position(5))
    assert log.position() == Position(5)
    assert event_logs.seen() == []


@pytest.mark.parametrize("count", [1, 3000])
def test_a_new_publisher_shuts_out_the_old_one(event_logs: EventRig, count: int) -> None:
    """Once a second publisher has asked for the position, the first fails and nothing of its attempt is seen."""
    old, new = event_logs.open(), event_logs.open()
    old.publish([event(1)], Position(1))
    assert new.position() == Position(1)
    with pytest.raises(Unavailable, match="Another publisher has taken over"):
        old.publish([event(number, value=b"old") for number in range(2, count + 2)], Position(2))
    new.publish([event(2, value=b"new")], Position(3))
    assert event_logs.seen() == [event(1), event(2, value=b"new")]


def test_a_publisher_that_failed_takes_nothing_more(event_logs: EventRig) -> None:
    """After a failure only a new publisher can go on; position and publish of the old one are refused."""
    old = event_logs.open()
    old.position()
    event_logs.open().position()
    with pytest.raises(Unavailable):
        old.publish([event(1)], Position(1))
    with pytest.raises(Unavailable):
        old.publish([event(1)], Position(1))
    with pytest.raises(Unavailable):
        old.position()


def test_a_closed_publisher_takes_nothing(event_logs: EventRig) -> None:
    """Closing twice is harmless; the position stays for the next."""
    log = event_logs.open()
    log.publish([event(1)], Position(1))
    log.close()
    log.close()
    with pytest.raises(Unavailable, match="closed"):
        log.publish([event(2)], Position(2))
    assert event_logs.open().position() == Position(1)


def test_many_events_of_many_workflows_go_out_at_once(event_logs: EventRig) -> None:
    """One publication may hold thousands of events; the order of each workflow is kept."""
    events = [event(number, f"wf{uid}", uid) for number in range(1, 101) for uid in range(1, 31)]
    event_logs.open().publish(events, Position(1))
    assert sorted(event_logs.seen(), key=lambda seen: (seen.workflow_uid, seen.sequence)) == sorted(
        events, key=lambda sent: (sent.workflow_uid, sent.sequence)
    )
    numbers = [seen.sequence for seen in event_logs.seen() if seen.workflow == "wf17"]
    assert numbers == list(range(1, 101))


@pytest.mark.parametrize("make", [lambda folder: MemoryEventLog(), lambda folder: SqliteEventLog(folder / "e.sqlite")])
def test_an_event_is_never_stored_twice(make, tmp_path: Path) -> None:
    """A sequence number that is out already is our own bug: nothing of that publication is kept, position included."""
    log = make(tmp_path)
    log.publish([event(1)], Position(1))
    with pytest.raises(InvariantBroken):
        log.publish([event(2), event(1)], Position(2))
    assert log.read() == [event(1)]
    assert log.count() == 1
    log.close()


@pytest.mark.parametrize("make", [lambda folder: MemoryEventLog(), lambda folder: SqliteEventLog(folder / "e.sqlite")])
def test_stored_events_are_read_by_workflow_and_sequence(make, tmp_path: Path) -> None:
    """Events of one workflow can be asked for above a sequence number and up to a count."""
    log = make(tmp_path)
    log.publish([event(number, f"wf{uid}", uid) for uid in (1, 2) for number in (1, 2, 3)], Position(1))
    assert log.read(2, after_sequence=1) == [event(2, "wf2", 2), event(3, "wf2", 2)]
    assert log.read(most=4) == [event(number, "wf1", 1) for number in (1, 2, 3)] + [event(1, "wf2", 2)]
    log.close()


def test_sqlite_rolls_a_failed_publication_back(tmp_path: Path) -> None:
    """When the disk is full, neither events nor position of that publication are there afterwards."""
    path = tmp_path / "events.sqlite"
    log = SqliteEventLog(path)
    log.publish([event(1)], Position(1))
    log._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable, match="disk is full"):
        log.publish([event(2), event(3, value=b"x" * 100_000)], Position(2))
    log.close()
    again = SqliteEventLog(path)
    assert again.position() == Position(1)
    assert again.read() == [event(1)]
    again.close()


def test_kafka_events_are_cloud_events(kafka_settings: KafkaSettings) -> None:
    """An event is a CloudEvent in binary mode: value as given, key and headers by the Kafka binding, our partition."""
    rig = KafkaEventRig(kafka_settings)
    rig.open().publish([event(12, subject="out/grün.txt")], Position(1))
    (message,) = rig.messages()
    rig.close()
    assert (message.key(), message.value()) == (b"wf", b"value")
    assert message.partition() == partition_of("wf", 12)
    assert dict(message.headers()) == {
        "content-type": b"application/protobuf",
        "ce_specversion": b"1.0",
        "ce_id": b"7-12",
        "ce_source": f"/gaia/{kafka_settings.topic_prefix}/wf/7".encode(),
        "ce_type": b"io.gaiaworkflows.v1.step_completed",
        "ce_time": b"2026-09-21T14:13:20.123Z",
        "ce_subject": "out/grün.txt".encode(),
        "ce_sequence": b"00000000000000000012",
    }


def test_kafka_gives_no_header_without_a_value(kafka_settings: KafkaSettings) -> None:
    """An event about the workflow itself has no subject: CloudEvents allows no empty attribute."""
    rig = KafkaEventRig(kafka_settings)
    rig.open().publish([event(1)], Position(1))
    (message,) = rig.messages()
    rig.close()
    names = [name for name, _ in message.headers()]
    assert "ce_subject" not in names
    assert len(names) == len(set(names))


def test_kafka_sequences_sort_as_text(kafka_settings: KafkaSettings) -> None:
    """Who compares the sequences of one source as text gets their order, up to the largest number there can be."""
    rig = KafkaEventRig(kafka_settings)
    rig.open().publish([event(number) for number in (9, 10, 2**64 - 1)], Position(1))
    sequences = [dict(message.headers())["ce_sequence"] for message in rig.messages()]
    rig.close()
    assert sequences == sorted(sequences)
    assert [int(one) for one in sequences] == [9, 10, 2**64 - 1]


def test_sources_tell_workflows_of_one_name_apart(kafka_settings: KafkaSettings) -> None:
    """A workflow made anew under a used name is another source, since its sequence begins at 1 again."""
    rig = KafkaEventRig(kafka_settings)
    rig.open().publish([event(1), event(1, uid=8)], Position(1))
    sources = [dict(message.headers())["ce_source"] for message in rig.messages()]
    rig.close()
    assert len(set(sources)) == 2


def test_types_are_named_as_the_generated_java_code() -> None:
    """One reverse domain name stands for the project, in the types of events and in the packages of Java."""
    assert f"{events_pb2.DESCRIPTOR.GetOptions().java_package}." == TYPE_PREFIX


def test_kafka_hides_what_was_not_committed(kafka_settings: KafkaSettings) -> None:
    """Events of a publisher that died before its commit lie in the topic, but a read_committed consumer skips them."""
    rig = KafkaEventRig(kafka_settings)
    dying = KafkaEventLog(kafka_settings)
    dying.publish([event(1)], Position(1))
    producer = dying._live()
    producer.begin_transaction()
    dying._produce_event(producer, event(2, value=b"abandoned"))
    producer.flush(10)
    after = rig.open()
    assert after.position() == Position(1)
    after.publish([event(2)], Position(2))
    assert [message.value() for message in rig.messages("read_uncommitted")] == [b"value", b"abandoned", b"value"]
    assert rig.seen() == [event(1), event(2)]
    dying.close()
    rig.close()


def test_kafka_finds_a_position_far_back(kafka_settings: KafkaSettings) -> None:
    """The last committed position counts, however many records of transactions that came to nothing lie behind it."""
    rig = KafkaEventRig(kafka_settings)
    dying = rig.open()
    dying.publish([], Position(42))
    producer = dying._live()
    producer.begin_transaction()
    for _ in range(1500):
        producer.produce(kafka_settings.published_topic, b'{"entry_offset": 43, "event_count": 0}', b"0", 0)
    producer.flush(10)
    assert rig.open().position() == Position(42)
    rig.close()


def write_nonsense(settings: KafkaSettings, *values: bytes) -> None:
    """Write records that are no positions where positions lie."""
    producer = Producer(settings.client({}), logger=QUIET)
    for value in values:
        producer.produce(settings.published_topic, value, b"0", settings.shard)
    producer.flush(10)


def test_kafka_passes_over_what_is_no_position(kafka_settings: KafkaSettings) -> None:
    """A stranger's records behind the position are put aside; the position counts."""
    rig = KafkaEventRig(kafka_settings)
    rig.open().publish([], Position(42))
    nonsense = [b"nonsense", b"", b"[1]", b'{"entry_offset": 1e999, "event_count": 0}', b"[" * 100_000]
    write_nonsense(kafka_settings, *nonsense)
    aside: list[Aside] = []
    log = rig.opened(KafkaEventLog(kafka_settings, aside.append))
    assert log.position() == Position(42)
    assert [one.value for one in aside] == nonsense
    assert {one.log for one in aside} == {"published"}
    rig.close()


def test_kafka_position_that_cannot_be_read_stops_the_publisher(kafka_settings: KafkaSettings) -> None:
    """A foreign record where the position should be is shown, not taken for "nothing published"."""
    rig = KafkaEventRig(kafka_settings)
    write_nonsense(kafka_settings, b"nonsense")
    with pytest.raises(JournalCorrupt, match="nonsense"):
        rig.open().position()
    rig.close()


def test_partitions_are_those_of_crc32() -> None:
    """The partition of a workflow or worker is the CRC-32 of its UTF-8 name modulo the count, as in any language."""
    assert partition_of("123456789", 2**32) == 0xCBF43926
    assert partition_of("123456789", 12) == 0xCBF43926 % 12
    assert partition_of("grün", 2**32) == zlib.crc32(b"gr\xc3\xbcn")
