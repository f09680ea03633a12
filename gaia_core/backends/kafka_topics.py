"""The topics: which there are, with which settings, and the refusal of topics that somebody made otherwise.

Called by the server before anything else touches Kafka. Workers create nothing.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from gaia_core.backends.kafka import (
    ANSWER_S,
    EVENTS_PARTITIONS,
    LEADER_S,
    LOGS_PARTITIONS,
    STEPS_PARTITIONS,
    Clients,
    KafkaSettings,
)
from gaia_core.errors import ConfigError, Problem

DAY_MS: Final = 24 * 60 * 60 * 1000
RECORD_BATCH_BYTES: Final = 2**20
"""librdkafka sends batches of up to 1,000,000 bytes; a record of ours has at most 512 KiB."""

SAFE_REPLICAS: Final = 3
"""Below this, losing one broker's disk can lose what was acknowledged."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it has to be.

    Attributes:
        must: settings whose absence loses data, checked on existing topics.
        may: settings given to a new topic; an operator may change them.
        growing: one partition per shard, so more than ours are fine.
    """

    name: str
    partitions: int
    must: Mapping[str, str]
    may: Mapping[str, str] = field(default_factory=dict)
    growing: bool = False

    def miscounted(self, partitions: int) -> bool:
        """Tell whether so many partitions are wrong: a name's partition must never change."""
        return partitions < self.partitions if self.growing else partitions != self.partitions

    def new(self, replicas: int | None) -> NewTopic:
        """Return the request that makes it."""
        safety = {"min.insync.replicas": "2"} if (replicas or 0) >= SAFE_REPLICAS else {}
        always = {"max.message.bytes": str(RECORD_BATCH_BYTES), "unclean.leader.election.enable": "false"}
        config = {**always, **safety, **self.may, **self.must}
        return NewTopic(self.name, self.partitions, -1 if replicas is None else replicas, config=config)


def topics_of(settings: KafkaSettings) -> list[Topic]:
    """Return the topics of a deployment."""
    deleted, compacted = {"cleanup.policy": "delete"}, {"cleanup.policy": "compact"}
    for_ever = {"retention.ms": "-1", "retention.bytes": "-1"}
    # Small, short segments: compaction leaves the newest segment alone, and a starting publisher reads this topic.
    brisk = {"segment.ms": str(DAY_MS // 24), "segment.bytes": str(2**24), "min.cleanable.dirty.ratio": "0.1"}
    # Kafka drops whole segments, so a day is a day only where these are shorter; and a flood must not fill its disk.
    passing = {"segment.ms": str(DAY_MS // 24), "retention.bytes": str(2**30)}
    # What others wrote may be as large as their topic allows, and gets headers on top.
    roomy = {"max.message.bytes": str(2 * RECORD_BATCH_BYTES)}
    return [
        Topic(settings.journal_topic, 1, {**deleted, **for_ever}),
        Topic(settings.reports_topic, settings.shard + 1, deleted, {"retention.ms": str(7 * DAY_MS)}, growing=True),
        Topic(settings.steps_topic, STEPS_PARTITIONS, deleted, {"retention.ms": str(DAY_MS)}),
        Topic(settings.events_topic, EVENTS_PARTITIONS, {}, {**deleted, "retention.ms": str(30 * DAY_MS)}),
        Topic(settings.logs_topic, LOGS_PARTITIONS, {}, {**deleted, "retention.ms": str(DAY_MS), **passing}),
        Topic(settings.published_topic, settings.shard + 1, compacted, brisk, growing=True),
        Topic(settings.quarantine_topic, 1, {}, {**deleted, "retention.ms": str(7 * DAY_MS), **roomy}),
    ]


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that are missing and check the others.

    Returns:
        Warnings for the operator: topics that one broken disk can lose.

    Raises:
        ConfigError: a topic has other partitions, or settings that lose data; `problems` names each.
        Unavailable: Kafka cannot be reached (known after about eight seconds) or does not do it.
    """
    clients = Clients(settings)
    admin, topics = clients.admin(), topics_of(settings)
    there = _partitions(clients, admin)
    missing = [topic for topic in topics if topic.name not in there]
    if missing:
        _create(clients, admin, missing)
        there = _await_known(clients, admin, topics)
        _await_leaders(clients, admin, missing)
    problems = [*_miscounted(topics, there), *_missettled(clients, admin, topics)]
    if problems:
        hint = "Use another topic prefix, or put these topics right."
        raise ConfigError("Topics of this name exist but are not as Gaia needs them.", hint=hint, problems=problems)
    return [
        f"{topic.name} has {there[topic.name][1]} replica(s): what was acknowledged is lost with that disk."
        for topic in topics
        if there[topic.name][1] < SAFE_REPLICAS
    ]


def _partitions(clients: Clients, admin: AdminClient) -> dict[str, tuple[int, int]]:
    """Return partitions and replicas of every topic."""
    try:
        listed = admin.list_topics(timeout=ANSWER_S).topics
    except KafkaException as error:
        # Only a poll brings the deeper cause, such as a refused connection.
        admin.poll(0)
        raise clients.unavailable("answer", error) from error
    return {
        name: (len(topic.partitions), min(len(part.replicas) for part in topic.partitions.values()))
        for name, topic in listed.items()
        if topic.error is None and topic.partitions
    }


def _create(clients: Clients, admin: AdminClient, missing: Iterable[Topic]) -> None:
    requests = [topic.new(clients.settings.replication_factor) for topic in missing]
    for name, outcome in admin.create_topics(requests, request_timeout=ANSWER_S).items():
        try:
            outcome.result(2 * ANSWER_S)
        except KafkaException as error:
            # Somebody else was faster; the check that follows looks at what they made.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise clients.unavailable(f"create the topic {name}", error) from error


def _await_known(clients: Clients, admin: AdminClient, topics: list[Topic]) -> dict[str, tuple[int, int]]:
    """Wait until the broker that we ask knows every topic: creation is acknowledged by another one."""
    deadline = time.monotonic() + ANSWER_S
    while True:
        there = _partitions(clients, admin)
        missing = [topic.name for topic in topics if topic.name not in there]
        if not missing:
            return there
        if time.monotonic() > deadline:
            raise clients.unavailable(f"show the new topic {missing[0]}", "still unknown")
        time.sleep(LEADER_S)


def _await_leaders(clients: Clients, admin: AdminClient, made: list[Topic]) -> None:
    """Wait until new partitions answer, so that nobody meets one that is not ready."""
    deadline = time.monotonic() + ANSWER_S
    newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    waiting = [TopicPartition(topic.name, number) for topic in made for number in range(topic.partitions)]
    while True:
        asked = admin.list_offsets(dict.fromkeys(waiting, newest), request_timeout=ANSWER_S)
        failures = {place: answer.exception(2 * ANSWER_S) for place, answer in asked.items()}
        waiting = [place for place, failure in failures.items() if failure is not None]
        if not waiting:
            return
        if time.monotonic() > deadline:
            place = waiting[0]
            raise clients.unavailable(f"open partition {place.partition} of {place.topic}", str(failures[place]))
        time.sleep(LEADER_S)


def _miscounted(topics: list[Topic], there: Mapping[str, tuple[int, int]]) -> list[Problem]:
    return [
        Problem(topic.name, f"has {there[topic.name][0]} partitions; it needs {topic.partitions}")
        for topic in topics
        if topic.miscounted(there[topic.name][0])
    ]


def _missettled(clients: Clients, admin: AdminClient, topics: list[Topic]) -> list[Problem]:
    """Find settings that lose data; a broker that tells none (for want of a permission) is trusted."""
    asked = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics if topic.must}
    problems = []
    for resource, answer in admin.describe_configs(list(asked), request_timeout=ANSWER_S).items():
        topic = asked[resource]
        try:
            has = answer.result(2 * ANSWER_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise clients.unavailable(f"tell the settings of {topic.name}", error) from error
            continue
        wrong = [name for name, value in topic.must.items() if has[name].value != value]
        problems += [Problem(topic.name, f"{name} is {has[name].value}, not {topic.must[name]}") for name in wrong]
    return problems
