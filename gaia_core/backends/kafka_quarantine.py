"""Where records go that nobody can use: the topic `<prefix>.quarantine`, for people who look into what happened.

A record keeps its bytes; headers tell where it lay and why it was passed over. Called by whoever passes a record over,
from any thread. Nothing waits for it: what Kafka does not take is told in the log and dropped.
"""

import logging
import threading
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from gaia_core.backends.kafka import Clients, KafkaSettings, words
from gaia_core.errors import GaiaError
from gaia_core.ports import Aside

VALUE_BYTES_MAX: Final = 2**20
"""What is larger is cut; no topic of ours takes more."""

WAITING_KIB_MAX: Final = 16 * 1024
"""So much may wait for Kafka: a flood of garbage must not fill the memory."""

DELIVERY_S: Final = 60.0

FLUSH_S: Final = 2.0
"""How long `close` waits for what is on its way."""

_log = logging.getLogger(__name__)


class KafkaQuarantine:
    """Puts records aside; its producer is made with the first one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._clients = Clients(settings)
        self._topics = {
            "reports": settings.reports_topic,
            "inbox": settings.steps_topic,
            "journal": settings.journal_topic,
            "published": settings.published_topic,
        }
        self._topic = settings.quarantine_topic
        self._lock = threading.Lock()
        self._producer: Producer | None = None
        self._closed = False

    def put(self, aside: Aside) -> None:
        """Keep one record; see `ports.SetAside`."""
        topic = self._topics.get(aside.log, aside.log)
        headers: dict[str, str | bytes | None] = {
            "topic": topic.encode(),
            "partition": b"%d" % aside.partition,
            "offset": b"%d" % aside.offset,
            "cause": aside.cause.encode(errors="replace"),
        }
        key = f"{topic}/{aside.partition}/{aside.offset}"
        with self._lock:
            if self._closed:
                return
            try:
                producer = self._live()
                value = aside.value[:VALUE_BYTES_MAX]
                producer.produce(self._topic, value, key, 0, headers=headers, on_delivery=_told)
            except (KafkaException, BufferError, GaiaError) as error:
                _log.warning("a record was not put aside", extra={"record": key, "cause": str(error)})
            if self._producer is not None:
                self._clients.poll(self._producer)

    def _live(self) -> Producer:
        if self._producer is None:
            self._producer = self._clients.producer(
                {
                    "message.timeout.ms": int(DELIVERY_S * 1000),
                    "message.max.bytes": 2 * VALUE_BYTES_MAX,
                    "queue.buffering.max.kbytes": WAITING_KIB_MAX,
                }
            )
        return self._producer

    def close(self) -> None:
        """Wait a moment for what is on its way; safe to call twice."""
        with self._lock:
            producer, self._producer, self._closed = self._producer, None, True
        if producer is not None:
            with suppress(KafkaException):
                producer.flush(FLUSH_S)
            self._clients.discard(producer)


def _told(error: KafkaError | None, message: Message) -> None:
    """Tell what Kafka did not take."""
    if error is not None:
        record = (message.key() or b"").decode()
        _log.warning("a record was not put aside", extra={"record": record, "cause": words(error)})
