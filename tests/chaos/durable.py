"""What a real run left, read for the auditor: from SQLite files and a folder, or from Kafka's topics and S3."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from gaia.v1 import events_pb2
from gaia_core.app import EMBEDDED_BUCKET
from gaia_core.backends.folder import FolderStore
from gaia_core.errors import ObjectMissing
from gaia_core.ports import EventRecord, Record, Store
from tests.chaos.audit import Acknowledged, InboxSeen, Recording, ReportSeen

ANSWER_S: Final = 10.0


class StoreSeen:
    """A store, asked for one version after another."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def holds(self, path: str, version: str) -> bool:
        """Tell whether there is a version of an object."""
        try:
            next(iter(self._store.open(None, path, version)), b"")
        except ObjectMissing:
            return False
        return True

    def all(self) -> Iterable[tuple[str, str]]:
        """Return nothing: the port lists no old versions."""
        return ()


def of_folder(data: Path, acknowledged: list[Acknowledged]) -> Recording:
    """Read what `gaia up` left in its data folder; its bus leaves nothing."""
    with closing(sqlite3.connect(data / "journal.sqlite")) as file:
        journal = [Record(*row) for row in file.execute("SELECT offset, value FROM journal ORDER BY offset")]
    with closing(sqlite3.connect(data / "events.sqlite")) as file:
        columns = "workflow, workflow_uid, sequence, kind, time_ms, value"
        rows = file.execute(f"SELECT {columns} FROM events ORDER BY workflow_uid, sequence").fetchall()
    store = StoreSeen(FolderStore(data / "store", EMBEDDED_BUCKET))
    return Recording(journal, events=[EventRecord(*row) for row in rows], store=store, acknowledged=acknowledged)


def of_topics(bootstrap: str, prefix: str, store: Store, acknowledged: list[Acknowledged], lease_s: float) -> Recording:
    """Read what a cluster left in its topics."""
    journal = list(_messages(bootstrap, f"{prefix}.journal.0", 1))
    return Recording(
        journal=[Record(message.offset() or 0, message.value() or b"") for message in journal],
        reports=[ReportSeen(one.value() or b"", _time_s(one)) for one in _messages(bootstrap, f"{prefix}.reports", 1)],
        inboxes=[
            InboxSeen((one.key() or b"").decode(), one.value() or b"", time_s=_time_s(one))
            for one in _messages(bootstrap, f"{prefix}.steps", 64)
        ],
        events=[_event(message) for message in _messages(bootstrap, f"{prefix}.events", 12)],
        store=StoreSeen(store),
        acknowledged=acknowledged,
        journal_times={message.offset() or 0: _time_s(message) for message in journal},
        lease_s=lease_s,
    )


def _time_s(message: Message) -> float:
    return message.timestamp()[1] / 1000


def _event(message: Message) -> EventRecord:
    event = events_pb2.Event.FromString(message.value() or b"")
    time_ms = int(event.time.ToMilliseconds())
    return EventRecord(event.workflow, event.workflow_uid, event.sequence, "", time_ms, message.value() or b"")


def _messages(bootstrap: str, topic: str, partitions: int) -> Iterator[Message]:
    """Yield every committed message of a topic, by partition in order."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "auditor", "enable.auto.commit": False,
         "enable.partition.eof": True, "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
    )  # fmt: skip
    with closing(consumer):
        consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        ended = 0
        while ended < partitions:
            found = consumer.consume(1_000, ANSWER_S)
            assert found, f"{topic} does not answer"
            for message in found:
                error = message.error()
                if error is None:
                    yield message
                else:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    ended += 1
