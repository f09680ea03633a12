"""Follow a workflow by the public events of Gaia, and check that none is missing and none comes twice.

It needs nothing of Gaia but the code generated from its protos. What was dealt with is kept in a file, so it goes on
where it was, also after a crash.
"""

import argparse
import json
import sys
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from google.protobuf.message import DecodeError

from gaia.v1.events_pb2 import Event, StepCompleted

ANSWER_S = 10.0
AT_END = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka names its own errors so
STEP_COMPLETED = "io.gaiaworkflows.v1.step_completed"
AT_REST = ("complete", "error", "deleted")


class CloudEvent(NamedTuple):
    """What we use of a CloudEvent 1.0."""

    id: str
    source: str
    type: str
    time: str
    subject: str
    data: Event


def parse(message: Message) -> CloudEvent:
    """Read a record as the Kafka protocol binding of CloudEvents 1.0, binary mode, has it."""
    headers = {name: value.decode() for name, value in message.headers() or []}
    if headers.get("ce_specversion") != "1.0" or headers.get("content-type") != "application/protobuf":
        raise ValueError(f"no CloudEvent 1.0 with protobuf in it: {headers}")
    attributes = [headers[f"ce_{name}"] for name in ("id", "source", "type", "time")]
    return CloudEvent(*attributes, headers.get("ce_subject", ""), Event.FromString(message.value() or b""))


@dataclass
class Progress:
    """What was dealt with. JSON knows only text as keys, so partitions and uids are text here."""

    offsets: dict[str, int] = field(default_factory=dict)  # partition → offset to read next
    sequences: dict[str, int] = field(default_factory=dict)  # workflow uid → last sequence number
    rests: dict[str, str] = field(default_factory=dict)  # workflow → how it came to rest
    events: int = 0
    completions: int = 0
    missing: int = 0
    doubled: int = 0

    def save(self, path: Path) -> None:
        """Exchange the file as a whole: a crash leaves the old one or the new one."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)

    def is_new(self, event: CloudEvent, cut: bool) -> bool:
        """Count an event by (uid, sequence); where retention has cut the topic, a workflow may begin at any number."""
        uid, sequence = str(event.data.workflow_uid), event.data.sequence
        last = self.sequences.get(uid, sequence - 1 if cut else 0)
        if sequence <= last:
            print(f"{event.source}: {event.id} came twice", file=sys.stderr)
            self.doubled += 1
            return False
        if missing := sequence - last - 1:
            print(f"{event.source}: {missing} missing before {event.id}", file=sys.stderr)
            self.missing += missing
        self.sequences[uid] = sequence
        self.events += 1
        return True


def react(event: CloudEvent, done: StepCompleted) -> None:
    """Do what there is to do when a Step is complete."""
    files = ", ".join(f"{file.key} ({file.size_bytes} B)" for output in done.outputs for file in output.files)
    wrote = f", wrote {files}" if files else ""
    print(f"{event.time} {event.id} {event.subject}: attempt {done.attempt} took {done.run_ms} ms{wrote}", flush=True)


def take(event: CloudEvent, progress: Progress, workflow: str, cut: bool) -> None:
    """Deal with one event, unless that was done before."""
    if not progress.is_new(event, cut):
        return
    name, change = event.data.workflow, event.data.workflow_changed.change
    if name == workflow and event.type == STEP_COMPLETED:
        progress.completions += 1
        react(event, event.data.step_completed)
    if change in AT_REST:
        progress.rests[name] = change
    elif change == "created":
        progress.rests.pop(name, None)


def begin(consumer: Consumer, topic: str, progress: Progress) -> tuple[int, set[int]]:
    """Go to where we were; return how many partitions there are, and which of them have lost their beginning."""
    partitions = consumer.list_topics(topic, ANSWER_S).topics[topic].partitions
    firsts = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), ANSWER_S)[0] for n in partitions}
    nexts = {n: progress.offsets.get(str(n), first) for n, first in firsts.items()}
    if any(nexts[n] < first for n, first in firsts.items()):
        raise ValueError("events were deleted before we read them: ask Gaia how things stand and begin a new file")
    consumer.assign([TopicPartition(topic, n, offset) for n, offset in nexts.items()])
    return len(partitions), {n for n, first in firsts.items() if first > 0}


def follow(consumer: Consumer, topic: str, workflow: str, state: Path) -> Progress:
    """Take what there is until the workflow has come to rest and nothing more of it is there."""
    progress = Progress(**json.loads(state.read_text())) if state.exists() else Progress()
    count, cut = begin(consumer, topic, progress)
    home = zlib.crc32(workflow.encode()) % count  # the partition with all events of the workflow
    at_end = False
    while not (at_end and workflow in progress.rests):
        for message in consumer.consume(1000, timeout=0.5):
            error, partition = message.error(), message.partition()
            if error is None:
                take(parse(message), progress, workflow, partition in cut)
                progress.offsets[str(partition)] = message.offset() + 1
            elif error.code() != AT_END:
                raise KafkaException(error)
            at_end = error is not None if partition == home else at_end
        progress.save(state)
    return progress


def main() -> int:
    """Return 0 when every event came once, 1 when not, 2 when Kafka or what lies in it is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workflow")
    parser.add_argument("--bootstrap", default="localhost:9092", help="Kafka servers, HOST:PORT,…")
    parser.add_argument("--prefix", default="gaia", help="GAIA_TOPIC_PREFIX of the server")
    parser.add_argument("--state", type=Path, default=Path("consumer.json"), help="file that remembers how far we are")
    asked = parser.parse_args()
    own = {"isolation.level": "read_committed", "auto.offset.reset": "error", "enable.partition.eof": True}
    # librdkafka wants a group, but our offsets lie in the file, beside what we did.
    consumer = Consumer({"bootstrap.servers": asked.bootstrap, "group.id": "none", "enable.auto.commit": False, **own})
    try:
        seen = follow(consumer, f"{asked.prefix}.events", asked.workflow, asked.state)
    except (KafkaException, KeyError, ValueError, DecodeError) as problem:
        print(f"error: {problem!r}", file=sys.stderr)
        return 2
    finally:
        consumer.close()
    numbers = f"{seen.completions} completions, {seen.events} events, {seen.missing} missing, {seen.doubled} doubled"
    print(f"{asked.workflow} {seen.rests[asked.workflow]}: {numbers}")
    return 1 if seen.missing or seen.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
