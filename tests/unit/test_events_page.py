"""What docs/events.md and docs/asyncapi.yaml say of the public events: the same as the proto and the code.

`python -m tests.unit.test_events_page` prints the schema of gaia.v1.Event for docs/asyncapi.yaml.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gaia.v1 import events_pb2
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_events import TYPE_PREFIX, headers_of
from gaia_core.backends.kafka_topics import DAY_MS, Topic, topics_of
from gaia_core.ports import EventRecord

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "protos" / "gaia" / "v1"
EVENTS = (PROTOS / "events.proto").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
DOCUMENT = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))

KINDS = events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields
LIVE = re.findall(r"^    \w+ (\w+) = \d+;$", EVENTS.partition("For watchers only")[2].partition("}")[0], re.MULTILINE)
KEPT = [kind.name for kind in KINDS if kind.name not in LIVE]

SHARED = ("FileVersion", "Publication", "FailureClass", "Failure")
"""What events use of model.proto. A manifest is an object of its own, not part of an event."""

EXAMPLE = EventRecord("ada_words_20240501.120000", 7, 12, "step_completed", 1_790_000_000_123, b"", subject="count-one")
HEADERS = {
    name: value.decode() if isinstance(value, bytes) else value for name, value in headers_of("gaia", EXAMPLE).items()
}


def table(title: str, number: int = 0) -> list[list[str]]:
    """Return the rows of a table below a heading of the page, without its head."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[number]
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in found.splitlines()[2:]]
    return [[row[0].strip("`"), *row[1:]] for row in rows]


def quoted(cell: str) -> list[str]:
    """Return what is in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def events_topic() -> Topic:
    """Return the topic as the server makes it."""
    settings = KafkaSettings("broker:9092")
    (topic,) = [one for one in topics_of(settings) if one.name == settings.events_topic]
    return topic


def event_schema() -> str:
    """Return gaia.v1.Event with everything it uses in one text: AsyncAPI's tools follow no imports of ours."""
    model = (PROTOS / "model.proto").read_text(encoding="utf-8")
    head = 'syntax = "proto3";\n\npackage gaia.v1;\n\nimport "google/protobuf/timestamp.proto";'
    own = EVENTS[EVENTS.index("// One fact") :].rstrip()
    used = [_definition(model, name) for name in SHARED]
    return "\n\n".join([head, own, *used]) + "\n"


def _definition(proto: str, name: str) -> str:
    """Return a message or enum with the comment above it."""
    found = re.search(rf"(?:^//.*\n)*^(?:message|enum) {name} \{{\n(?:.*\n)*?\}}", proto, re.MULTILINE)
    assert found, name
    return found.group(0)


def test_every_event_has_its_row() -> None:
    """The two tables name the fields of Event.event, those in the topic and those for watchers only, in their order."""
    assert [row[0] for row in table("In the topic")] == KEPT
    assert [row[0] for row in table("For watchers only")] == LIVE


@pytest.mark.parametrize("row", [*table("In the topic"), *table("For watchers only")], ids=lambda row: row[0])
def test_a_row_lists_the_event_s_fields(row: list[str]) -> None:
    """All fields of the message, in their order."""
    message = events_pb2.Event.DESCRIPTOR.fields_by_name[row[0]].message_type
    assert quoted(row[2]) == [field.name for field in message.fields]


def test_every_change_has_its_row() -> None:
    """The words of workflow_changed are those that the proto lists, and so are those of worker_changed."""
    words = {name: _words(name) for name in ("WorkflowChanged", "WorkerChanged")}
    assert sorted(row[0] for row in table("In the topic", 1)) == sorted(words["WorkflowChanged"])
    (worker_changed,) = [row for row in table("For watchers only") if row[0] == "worker_changed"]
    assert quoted(worker_changed[1]) == words["WorkerChanged"]


def _words(message: str) -> list[str]:
    """Return the words that the comment of a message's field `change` lists."""
    found = re.search(rf"^message {message} \{{\n(?:.*\n)*?  // (.+)\.\n  string change", EVENTS, re.MULTILINE)
    assert found, message
    return found.group(1).split(", ")


def test_the_page_tells_the_headers_as_they_are() -> None:
    """The table of headers lists all of them, with the very values of its example."""
    assert {row[0]: quoted(row[2])[0] for row in table("Headers")} == HEADERS


def test_the_page_tells_partitions_and_retention_as_they_are() -> None:
    """What the page says of the topic is what the server makes."""
    told = {row[0]: row[1] for row in table("Partitions and retention")}
    assert told["partitions"].startswith(f"{events_topic().partitions};")
    assert told["retention"].startswith(f"{int(events_topic().may['retention.ms']) // DAY_MS} days")


def test_the_document_describes_one_topic() -> None:
    """asyncapi.yaml knows the public events and nothing internal, and the topic as the server makes it."""
    (channel,) = DOCUMENT["channels"].values()
    assert channel["address"] == "{prefix}.events"
    binding = channel["bindings"]["kafka"]
    config = events_topic().new(None).config
    assert binding["partitions"] == events_topic().partitions
    assert binding["topicConfiguration"] == {
        "cleanup.policy": [config["cleanup.policy"]],
        "retention.ms": int(config["retention.ms"]),
        "max.message.bytes": int(config["max.message.bytes"]),
    }


def test_the_document_has_a_message_for_each_event_in_the_topic() -> None:
    """Same names in the same order, each with its own type."""
    (channel,) = DOCUMENT["channels"].values()
    messages: dict[str, Any] = DOCUMENT["components"]["messages"]
    assert list(channel["messages"]) == list(messages) == KEPT
    for kind, message in messages.items():
        own = message["headers"]["allOf"][1]
        assert own["properties"]["ce_type"]["const"] == f"{TYPE_PREFIX}{kind}"
        about_the_workflow = kind == "workflow_changed"
        assert own.get("required", []) == ([] if about_the_workflow else ["ce_subject"])


def test_the_document_s_headers_are_the_ones_published() -> None:
    """All headers are described, the ones that are always there are required, and real ones match their patterns."""
    schema = DOCUMENT["components"]["schemas"]["Headers"]
    assert schema["properties"].keys() == HEADERS.keys()
    assert set(schema["required"]) == headers_of("gaia", EXAMPLE._replace(subject="")).keys()
    for name, described in schema["properties"].items():
        for value in (HEADERS[name], *described.get("examples", ())):
            assert re.search(described.get("pattern", ""), value)
            assert described.get("const", value) == value


def test_the_document_s_schema_is_the_proto_s() -> None:
    """gaia.v1.Event stands in asyncapi.yaml word for word."""
    assert DOCUMENT["components"]["schemas"]["Event"]["schema"] == event_schema()


if __name__ == "__main__":
    print(event_schema(), end="")
