"""Who leads a shard, decided by Kafka: the member of a consumer group that holds the journal's one partition.

Nothing is consumed; membership is all. A member that is killed is missed after its session's timeout, one that leaves
hands over at once. What still goes wrong (a leader that was paused and wakes up) the journal itself decides.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from gaia_core.backends.kafka import Clients, KafkaSettings

SESSION_MS: Final = 6_000
"""Takeover after a kill was measured at 5.6 s with it; shorter ones mistake a slow broker for a dead member."""

POLL_S: Final = 0.2
STOP_S: Final = 10.0

log = logging.getLogger(__name__)


class KafkaElection:
    """One candidate of a shard; see `ports.Election`.

    Args:
        settings: where; the journal's topic must exist.

    Raises:
        ConfigError: librdkafka refuses the settings.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.journal_topic
        self._consumer: Consumer = Clients(settings).consumer(
            {
                "group.id": f"{settings.topic_prefix}.leader.{settings.shard}",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": SESSION_MS,
                "auto.offset.reset": "latest",
            }
        )
        self._elected: Callable[[], None] = _nothing
        self._deposed: Callable[[], None] = _nothing
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def stand(self, elected: Callable[[], None], deposed: Callable[[], None]) -> None:
        """Become a candidate, and go on being one until `close`."""
        self._elected, self._deposed = elected, deposed
        self._thread = threading.Thread(target=self._run, name="gaia-election", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave, so that another candidate is elected at once; safe to call twice."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_S)

    def _run(self) -> None:
        """Keep the membership alive; everything else happens in the callbacks."""
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        while not self._stopping.is_set():
            with suppress(KafkaException):
                self._consumer.poll(POLL_S)
        self._consumer.close()

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if partitions:
            consumer.pause(partitions)
            log.info("elected", extra={"topic": self._topic})
            self._elected()

    def _revoked(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if partitions:
            log.info("no longer elected", extra={"topic": self._topic})
            self._deposed()
        with suppress(KafkaException):
            consumer.incremental_unassign(partitions)


def _nothing() -> None:
    """Do nothing."""
