"""The two bus ports, over every backend; and what single backends promise beyond them."""

import threading
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.kafka import STEPS_PARTITIONS, Clients, KafkaSettings, partition_of
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus, _Listener
from gaia_core.backends.kafka_quarantine import KafkaQuarantine
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.kafka_worker import KafkaWorkerBus
from gaia_core.errors import ConfigError, InboxLost, TooLarge, Unavailable
from gaia_core.ports import Aside, CoordinatorBus, Delivery, Record, ReportBatch, WorkerBus
from tests.contract.conftest import QUIET, BusRig, KafkaBusRig
from tests.support.waiting import wait_until


class Heard:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[ReportBatch] = []
        self.failures: list[Exception] = []

    def listen(self, bus: CoordinatorBus, offset: int) -> None:
        bus.listen(offset, self.batches.append, self.failures.append)

    @property
    def records(self) -> list[bytes]:
        return [record for batch in list(self.batches) for record in batch.records]

    def wait_for(self, count: int) -> list[bytes]:
        wait_until(lambda: len(self.records) >= count, f"{count} reports", every_s=0.005)
        return self.records


def delivered(bus: CoordinatorBus, count: int) -> list[Delivery]:
    """Wait for so many deliveries to end."""
    found: list[Delivery] = []

    def enough() -> bool:
        found.extend(bus.deliveries())
        return len(found) >= count

    wait_until(enough, f"{count} deliveries", every_s=0.005)
    return found


def received(worker: WorkerBus, count: int) -> list[Record]:
    """Receive until so many records have come."""
    found: list[Record] = []

    def enough() -> bool:
        found.extend(worker.receive(0.1))
        return len(found) >= count

    wait_until(enough, f"{count} inbox records", every_s=0)
    return found


def neighbour(name: str) -> str:
    """Return another worker whose inbox lies in the same partition."""
    wanted = partition_of(name, STEPS_PARTITIONS)
    return next(f"n{number}" for number in range(10**6) if partition_of(f"n{number}", STEPS_PARTITIONS) == wanted)


def test_a_worker_receives_what_is_sent_to_it_in_order(bus: BusRig) -> None:
    """Inbox records arrive in the order of the sends, at the offsets that the deliveries name."""
    coordinator, worker = bus.coordinator(), bus.worker("w1")
    for number in range(5):
        coordinator.send("w1", worker.partition, b"%d" % number)
    coordinator.flush()
    records = received(worker, 5)
    assert [record.value for record in records] == [b"0", b"1", b"2", b"3", b"4"]
    assert delivered(coordinator, 5) == [Delivery("w1", record.offset) for record in records]
    assert worker.inbox_offset() == records[-1].offset + 1


def test_a_worker_starts_at_the_end_of_its_inbox(bus: BusRig) -> None:
    """What was sent before a worker connected is not received; its start offset says from where on it reads."""
    coordinator, first = bus.coordinator(), bus.worker("w1")
    coordinator.send("w1", first.partition, b"before")
    (sent,) = delivered(coordinator, 1)
    second = bus.worker("w1")
    assert second.start_offset == second.inbox_offset() == (sent.offset or 0) + 1
    coordinator.send("w1", second.partition, b"after")
    assert [record.value for record in received(second, 1)] == [b"after"]


def test_receiving_from_an_empty_inbox_ends(bus: BusRig) -> None:
    """Nothing to receive is an empty answer, and the offset stays."""
    worker = bus.worker("w1")
    assert worker.receive(0) == []
    assert worker.receive(0.01) == []
    assert worker.inbox_offset() == worker.start_offset


def test_each_worker_receives_only_its_own_records(bus: BusRig) -> None:
    """Records of other workers never show, also where workers share a partition."""
    other = neighbour("w1")
    coordinator, one, two = bus.coordinator(), bus.worker("w1"), bus.worker(other)
    for number in range(4):
        coordinator.send("w1", one.partition, b"one %d" % number)
        coordinator.send(other, two.partition, b"two %d" % number)
    assert [record.value for record in received(one, 4)] == [b"one %d" % number for number in range(4)]
    assert [record.value for record in received(two, 4)] == [b"two %d" % number for number in range(4)]


def test_sending_to_nobody_is_delivered_all_the_same(bus: BusRig) -> None:
    """The bus does not know who is alive: a record for a worker that is not there has an offset like any other."""
    coordinator = bus.coordinator()
    coordinator.send("nobody", 0, b"x")
    (only,) = delivered(coordinator, 1)
    assert only.worker == "nobody"
    assert only.offset is not None


def test_reports_arrive_in_order_with_the_offset_to_go_on_from(bus: BusRig) -> None:
    """Reports of a worker keep their order, and each batch's next offset counts what was delivered."""
    coordinator, worker, heard = bus.coordinator(), bus.worker("w1"), Heard()
    start = coordinator.end_offset()
    heard.listen(coordinator, start)
    for number in range(1000):
        worker.report(b"%d" % number)
    assert worker.flush(10)
    assert heard.wait_for(1000) == [b"%d" % number for number in range(1000)]
    assert heard.batches[-1].next_offset == start + 1000 == coordinator.end_offset()
    assert heard.failures == []


def test_a_worker_knows_which_reports_have_arrived(bus: BusRig) -> None:
    """Reports are counted from the first on; those that nobody reads yet have arrived all the same."""
    worker = bus.worker("w1")
    assert worker.acknowledged() == 0
    for number in range(3):
        worker.report(b"%d" % number)
    assert worker.flush(10)
    assert worker.acknowledged() == 3


def test_reports_made_before_anybody_listened_are_delivered(bus: BusRig) -> None:
    """A coordinator that begins at the offset it knows gets all that came since."""
    coordinator, worker, heard = bus.coordinator(), bus.worker("w1"), Heard()
    start = coordinator.end_offset()
    worker.report(b"early")
    assert worker.flush(10)
    assert coordinator.end_offset() == start + 1
    heard.listen(coordinator, start)
    assert heard.wait_for(1) == [b"early"]


def test_a_coordinator_can_go_back_to_what_it_had_journaled(bus: BusRig) -> None:
    """Reports that were delivered but not dealt with are delivered again to the next term, from the offset it names."""
    coordinator, worker, heard = bus.coordinator(), bus.worker("w1"), Heard()
    start = coordinator.end_offset()
    heard.listen(coordinator, start)
    for number in range(10):
        worker.report(b"%d" % number)
    heard.wait_for(10)
    coordinator.close()
    worker.report(b"10")
    assert worker.flush(10)
    successor, heard_again = bus.coordinator(), Heard()
    heard_again.listen(successor, start + 4)
    assert heard_again.wait_for(7) == [b"%d" % number for number in range(4, 11)]
    assert heard_again.batches[-1].next_offset == start + 11


def test_closing_stops_the_delivery(bus: BusRig) -> None:
    """After close nothing more reaches the sink; closing again is harmless."""
    coordinator, worker, heard = bus.coordinator(), bus.worker("w1"), Heard()
    heard.listen(coordinator, coordinator.end_offset())
    worker.report(b"a")
    heard.wait_for(1)
    coordinator.close()
    coordinator.close()
    worker.report(b"b")
    assert worker.flush(10)
    assert heard.records == [b"a"]
    assert heard.failures == []


def test_a_sink_that_fails_ends_the_listening(bus: BusRig) -> None:
    """Whatever goes wrong while reports are handed over is told once."""
    coordinator, worker = bus.coordinator(), bus.worker("w1")
    failures: list[Exception] = []

    def sink(_batch: ReportBatch) -> None:
        raise ValueError("full")

    coordinator.listen(coordinator.end_offset(), sink, failures.append)
    worker.report(b"a")
    wait_until(lambda: failures, "the failure", every_s=0.005)
    assert [str(failure) for failure in failures] == ["full"]


def test_a_closed_worker_is_refused(bus: BusRig) -> None:
    """Receive and report fail after close, which is harmless twice."""
    worker = bus.worker("w1")
    worker.close()
    worker.close()
    with pytest.raises(Unavailable, match="closed"):
        worker.report(b"a")
    with pytest.raises(Unavailable, match="closed"):
        worker.receive(0)


def test_in_process_offsets_of_an_earlier_process_mean_the_beginning() -> None:
    """A coordinator that names an offset this process never had gets every report, after word of where that is."""
    bus, heard = InProcessBus(first_offset=1000), Heard()
    worker = bus.connect("w1")
    worker.report(b"hello")
    heard.listen(bus, 7)
    assert heard.wait_for(1) == [b"hello"]
    assert heard.batches == [ReportBatch([], 1000), ReportBatch([b"hello"], 1001)]
    bus.close()


def test_in_process_offsets_of_a_later_process_are_higher() -> None:
    """Journaled report offsets never go back over a restart."""
    first = InProcessBus()
    first.connect("w1").report(b"a")
    assert InProcessBus().end_offset() >= first.end_offset() - 1 > 10**15


def test_in_process_inbox_is_bounded() -> None:
    """A record for a full inbox is told as not delivered instead of waiting for the worker."""
    bus = InProcessBus(inbox_most=2)
    worker = bus.connect("w1")
    for number in range(3):
        bus.send("w1", 0, b"%d" % number)
    assert bus.deliveries() == [Delivery("w1", 0), Delivery("w1", 1), Delivery("w1", None)]
    assert [record.value for record in worker.receive(0)] == [b"0", b"1"]


def test_in_process_worker_waits_for_a_slow_coordinator() -> None:
    """Reports beyond the bound hold their worker up until the sink has taken some, and none is lost."""
    bus, heard, go = InProcessBus(waiting_most=3), Heard(), threading.Event()

    def slow(batch: ReportBatch) -> None:
        go.wait(10)
        heard.batches.append(batch)

    worker = bus.connect("w1")
    bus.listen(bus.end_offset(), slow, heard.failures.append)
    talking = threading.Thread(target=lambda: [worker.report(b"%d" % number) for number in range(50)])
    talking.start()
    wait_until(lambda: bus.end_offset() - bus._next >= 3, "the queue to fill", every_s=0.005)
    assert talking.is_alive()
    go.set()
    assert heard.wait_for(50) == [b"%d" % number for number in range(50)]
    talking.join()
    bus.close()


def test_in_process_inbox_of_a_closed_worker_is_dropped() -> None:
    """A worker that reconnects starts behind everything its last incarnation left unread."""
    bus = InProcessBus()
    first = bus.connect("w1")
    bus.send("w1", 0, b"unread")
    first.close()
    bus.send("w1", 0, b"nobody's")
    second = bus.connect("w1")
    assert second.start_offset == 2
    assert second.receive(0) == []


def test_kafka_inbox_offset_passes_over_other_workers_records(kafka_settings: KafkaSettings) -> None:
    """A worker has read past a neighbour's records although it receives none: its heartbeat must say so."""
    rig = KafkaBusRig(kafka_settings)
    coordinator, worker = rig.coordinator(), rig.worker("w1")
    coordinator.send(neighbour("w1"), worker.partition, b"not yours")
    (sent,) = delivered(coordinator, 1)
    wait_until(lambda: worker.receive(0.05) or worker.inbox_offset() > (sent.offset or 0), "the neighbour's record")
    assert worker.inbox_offset() == (sent.offset or 0) + 1
    rig.close()


def test_kafka_sends_on_after_its_producer_has_died(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fatal error of the coordinator's producer costs the record at hand, told as not delivered, and no later one."""
    rig = KafkaBusRig(kafka_settings)
    coordinator = rig.opened(KafkaCoordinatorBus(kafka_settings))
    worker, dead = rig.worker("w1"), coordinator._producer

    class Dead:
        def produce(self, *_arguments: object, **_settings: object) -> None:
            raise KafkaException(KafkaError(KafkaError._FATAL))

        def __getattr__(self, name: str) -> object:
            return getattr(dead, name)

    monkeypatch.setattr(coordinator, "_producer", Dead())
    coordinator.send("w1", worker.partition, b"lost")
    coordinator.send("w1", worker.partition, b"kept")
    assert [record.value for record in received(worker, 1)] == [b"kept"]
    assert [delivery.offset is None for delivery in delivered(coordinator, 2)] == [True, False]
    rig.close()


class Full:
    """A producer that takes nothing more."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def produce(self, *_: object, **__: object) -> None:
        raise BufferError

    def __getattr__(self, name: str) -> object:
        return getattr(self._producer, name)


def test_kafka_tells_deliveries_in_order_also_when_it_takes_nothing_more(kafka_settings: KafkaSettings) -> None:
    """What cannot even be queued ends behind what was queued before it: deliveries name nothing but their worker."""
    rig = KafkaBusRig(kafka_settings)
    coordinator = KafkaCoordinatorBus(kafka_settings)
    coordinator.send("w1", 7, b"queued")
    coordinator._producer = Full(coordinator._producer)
    coordinator.send("w1", 7, b"refused")
    assert delivered(coordinator, 2)[1] == Delivery("w1", None)
    coordinator.send("w1", 7, b"taken")
    assert delivered(coordinator, 1)[0].offset is not None
    coordinator.close()
    rig.close()


@pytest.mark.parametrize("asked", [1, 1000])
def test_kafka_reports_that_were_deleted_are_passed_over(kafka_settings: KafkaSettings, asked: int) -> None:
    """A coordinator that asks for reports the topic no longer (or not yet) has is told which is the first it has.

    Reports are kept for a week: after a longer time without a leader the next one must not wait for them for ever.
    """
    rig, heard = KafkaBusRig(kafka_settings), Heard()
    worker = rig.worker("w1")
    for word in (b"gone", b"gone too", b"kept"):
        worker.report(word)
    assert worker.flush(10)
    place = TopicPartition(kafka_settings.reports_topic, kafka_settings.shard, 2)
    admin = Clients(kafka_settings).admin()
    admin.delete_records([place])[place].result(10)
    heard.listen(rig.coordinator(), asked)
    assert heard.wait_for(1) == [b"kept"]
    assert (heard.batches[0], heard.failures) == (ReportBatch([], 2), [])
    rig.close()


def test_kafka_reports_that_are_deleted_under_way_are_told(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that is slower than the topic forgets is told, instead of skipping them: it begins anew."""
    monkeypatch.setattr(_Listener, "_begin", lambda *_: None)  # as if they had been there at that time
    rig, heard = KafkaBusRig(kafka_settings), Heard()
    heard.listen(rig.coordinator(), 1000)
    wait_until(lambda: heard.failures, "the failure", every_s=0.005)
    (failure,) = heard.failures
    assert isinstance(failure, Unavailable)
    assert "from there on, its records were deleted" in str(failure)
    rig.close()


def test_kafka_reports_have_their_true_offsets(kafka_settings: KafkaSettings) -> None:
    """The last report of a batch lies right before its next offset, whatever takes offsets in between and after."""
    rig, heard = KafkaBusRig(kafka_settings), Heard()
    stranger = Producer(kafka_settings.client({"transactional.id": kafka_settings.topic_prefix}), logger=QUIET)
    stranger.init_transactions(10)
    for word in (b"one", b"two"):
        stranger.begin_transaction()
        stranger.produce(kafka_settings.reports_topic, word, partition=0)
        stranger.commit_transaction(10)
    coordinator = rig.coordinator()
    heard.listen(coordinator, 0)
    wait_until(lambda: heard.batches and heard.batches[-1].next_offset == coordinator.end_offset(), "the end")
    found = [(batch.next_offset - len(batch.records) + at, record)
             for batch in heard.batches for at, record in enumerate(batch.records)]  # fmt: skip
    assert (found, coordinator.end_offset()) == ([(0, b"one"), (2, b"two")], 4)
    assert heard.failures == []
    rig.close()


def test_kafka_puts_records_aside(kafka_settings: KafkaSettings) -> None:
    """A record keeps its bytes, up to the most that a topic takes; headers say where it lay, and why it is here."""
    KafkaBusRig(kafka_settings)
    quarantine = KafkaQuarantine(kafka_settings)
    values = [b"", b"x", b"\xff" * 2**20]
    for offset, value in enumerate(values):
        quarantine.put(Aside("reports", 0, offset, "no report: größer", value))
    quarantine.close()
    quarantine.put(Aside("reports", 0, 9, "too late", b""))
    consumer = Consumer(kafka_settings.client({"group.id": "any"}), logger=QUIET)
    consumer.assign([TopicPartition(kafka_settings.quarantine_topic, 0, 0)])
    found = consumer.consume(len(values), 10)
    consumer.close()
    assert [message.value() for message in found] == values
    headers = dict(found[1].headers() or [])
    assert headers == {
        "topic": kafka_settings.reports_topic.encode(),
        "partition": b"0",
        "offset": b"1",
        "cause": "no report: größer".encode(),
    }


def test_kafka_worker_passes_over_what_is_nobodys(kafka_settings: KafkaSettings) -> None:
    """A record without a worker's name as its key is put aside; orders that follow arrive."""
    rig, aside = KafkaBusRig(kafka_settings), []
    worker = rig.opened(KafkaWorkerBus(kafka_settings, "w1", aside.append))
    stranger = Producer(kafka_settings.client({}), logger=QUIET)
    stranger.produce(kafka_settings.steps_topic, b"nobody's", partition=worker.partition)
    stranger.flush(10)
    rig.coordinator().send("w1", worker.partition, b"yours")
    assert [record.value for record in received(worker, 1)] == [b"yours"]
    assert [(one.log, one.partition, one.value) for one in aside] == [("inbox", worker.partition, b"nobody's")]
    rig.close()


def test_kafka_worker_whose_orders_were_deleted_is_told(kafka_settings: KafkaSettings) -> None:
    """Orders deleted before their worker read them end this incarnation; the next one hears again."""
    rig = KafkaBusRig(kafka_settings)
    coordinator, worker = rig.coordinator(), rig.opened(KafkaWorkerBus(kafka_settings, "w1"))
    inbox = TopicPartition(kafka_settings.steps_topic, worker.partition)
    worker._consumer.pause([inbox])  # as a worker that is cut off from Kafka for longer than records are kept
    coordinator.send("w1", worker.partition, b"lost")
    (sent,) = delivered(coordinator, 1)
    inbox.offset = (sent.offset or 0) + 1
    admin = AdminClient(kafka_settings.client({}), logger=QUIET)
    for outcome in admin.delete_records([inbox]).values():
        outcome.result(10)
    worker._consumer.resume([inbox])
    with pytest.raises(InboxLost, match="records were deleted"):
        wait_until(lambda: worker.receive(0.1), "the loss to be told", every_s=0)
    again = rig.worker("w1")
    coordinator.send("w1", again.partition, b"anew")
    assert [record.value for record in received(again, 1)] == [b"anew"]
    rig.close()


def test_kafka_worker_sends_again_what_a_producer_gave_up(kafka_settings: KafkaSettings) -> None:
    """Reports outlive their producer: after one fails for good a new one sends all of them, in order."""
    rig, heard = KafkaBusRig(kafka_settings), Heard()
    coordinator = rig.coordinator()
    worker = rig.opened(KafkaWorkerBus(kafka_settings, "w1"))
    heard.listen(coordinator, 0)
    worker.report(b"0")
    assert worker.flush(10)
    worker._reporter._producer.purge()
    for number in range(1, 5):
        worker.report(b"%d" % number)
        worker._reporter._producer.purge()
    wait_until(lambda: worker.flush(0.1), "every acknowledgement")
    heard.wait_for(5)
    assert list(dict.fromkeys(heard.records)) == [b"0", b"1", b"2", b"3", b"4"]
    rig.close()


def test_kafka_refuses_a_report_that_cannot_be_sent(kafka_settings: KafkaSettings) -> None:
    """A report above Kafka's limit is refused at once; those after it go out."""
    rig, heard = KafkaBusRig(kafka_settings), Heard()
    worker = rig.worker("w1")
    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        worker.report(b"x" * 1_000_000)
    worker.report(b"small")
    heard.listen(rig.coordinator(), 0)
    assert heard.wait_for(1) == [b"small"]
    rig.close()


def test_kafka_without_topics_refuses_a_worker(kafka_settings: KafkaSettings) -> None:
    """A worker that starts before the server made the topics is told so."""
    with pytest.raises(Unavailable, match=rf"did not tell the offsets of {kafka_settings.steps_topic}"):
        KafkaWorkerBus(kafka_settings, "w1")


def test_kafka_topics_have_the_settings_that_keep_records(kafka_settings: KafkaSettings) -> None:
    """Making the topics twice is harmless; the journal never expires and positions are compacted."""
    ensure_topics(kafka_settings)
    warnings = ensure_topics(kafka_settings)
    assert any("journal.0 has 1 replica(s)" in warning for warning in warnings)
    admin = AdminClient(kafka_settings.client({}), logger=QUIET)
    counts = {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=10).topics.items()}
    prefix = kafka_settings.topic_prefix
    expected = {"journal.0": 1, "reports": 1, "steps": 64, "events": 12, "published": 1, "quarantine": 1}
    assert {name: counts[f"{prefix}.{name}"] for name in expected} == expected


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda s: NewTopic(s.events_topic, 3, 1), "has 3 partitions; it needs 12"),
        (lambda s: NewTopic(s.steps_topic, 65, 1), "has 65 partitions; it needs 64"),
        (lambda s: NewTopic(s.journal_topic, 1, 1), "retention.ms is 604800000, not -1"),
        (lambda s: NewTopic(s.published_topic, 1, 1), "cleanup.policy is delete, not compact"),
    ],
)
def test_kafka_topics_made_otherwise_are_refused(
    kafka_settings: KafkaSettings, wrong: Callable[[KafkaSettings], NewTopic], said: str
) -> None:
    """An existing topic with other partitions, or with settings that lose records, is named and not touched."""
    admin = AdminClient(kafka_settings.client({}), logger=QUIET)
    for outcome in admin.create_topics([wrong(kafka_settings)]).values():
        outcome.result(10)
    with pytest.raises(ConfigError, match=said):
        ensure_topics(kafka_settings)


def test_kafka_that_is_away_is_told_in_words(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture) -> None:
    """A wrong address is named with the cause and a hint, and the client library prints nothing of its own."""
    with pytest.raises(Unavailable, match=r"Kafka at 127\.0\.0\.1:1 did not answer") as refused:
        ensure_topics(KafkaSettings("127.0.0.1:1"))
    assert "GAIA_KAFKA_BOOTSTRAP" in refused.value.hint
    assert "refused" in str(refused.value)
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


@pytest.mark.parametrize("prefix", ["", "a b", "ä", ".gaia", "x" * 201])
def test_kafka_prefixes_that_name_no_topic_are_refused(prefix: str) -> None:
    """A topic prefix is checked before anything is sent."""
    with pytest.raises(ConfigError):
        KafkaSettings("127.0.0.1:1", topic_prefix=prefix)


def test_kafka_settings_hide_secrets_and_refuse_nonsense() -> None:
    """Further settings reach the client library, whose refusal is told, and are never printed."""
    settings = KafkaSettings("127.0.0.1:1", extra={"sasl.password": "s3cret", "no.such.setting": "1"})
    assert "s3cret" not in repr(settings)
    with pytest.raises(ConfigError, match=r"no\.such\.setting"):
        ensure_topics(settings)
