"""Whatever a client sends is answered or refused in words: never another exception, never a change by a refusal.

Requests of every shape go through the parse layer, or as protobuf through the service, into the real loop and machine.
After each the state must be sound, and the same as what a replay of the journal makes of it.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from gaia.v1 import api_pb2 as pb
from gaia.v1 import worker_pb2
from gaia_client.files import parse_text
from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator.desk import Desk
from gaia_core.errors import Bug, GaiaError, InvalidWorkflow, NotAllowedNow, Problem
from gaia_core.machine.public import Announcer
from gaia_core.machine.state import Deployment
from gaia_core.service import refusals
from gaia_core.service.grpc_api import GaiaService
from gaia_core.service.reception import Reception
from gaia_core.wire.model import command_to_proto, properties_to_struct, step_to_proto
from gaia_core.workflow import invariants, parse, validate
from gaia_core.workflow.model import StepSpec
from tests.support.launcher import FakeLauncher
from tests.unit.coordinator.shard import Hand, Shard, accepted
from tests.unit.machine.deployment import copy, make, snapshot

METHODS = {method.name: method for method in pb.DESCRIPTOR.services_by_name["Gaia"].methods}
ENDLESS = {"Watch", "Logs"}
PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
METADATA_BYTES_MAX = 8 * 1024
"""What clients of gRPC take unless they were told otherwise."""

TURNS = 20
"""A stream that gives nothing in so many turns of its event loop waits for something to happen."""

# -- what is sent -----------------------------------------------------------------------------------------------------

NAMES = ("flow", "other", "a", "b", "s", "s-1", "q", "make", "copy", "in", "out", "n", "x")
KEYS = ("k", "t/x", "t/", "o/1", "o/", "free", "w/{{n}}", "in/", "k/below")
KNOWN = {
    "workflow": ("flow",),
    "names": ("a", "b", "s", *KEYS),
    "command": ("make", "copy", "tree"),
    "key": KEYS,
    "worker": ("w",),
    "incarnation": ("i1",),
}
KNOWN_NUMBERS = {"workflow_uid": (1,), "step": (0, 1, 2, 3, 4), "attempt": (1,)}
"""What is likely to mean something, by the field that holds it."""

odd_texts = st.sampled_from(
    [
        *("", " ", ".", "..", "/", "//", "a/../b", "/a", "a/", "a//b", "-", "_", ":", "a b", "~", "\\", "%00", "*"),
        *(
            "\0",
            "\x7f",
            "\x85",
            "\n",
            "\u2028",
            "\ufeff",
            "\u202e",
            "\ud7ff",
            "é",
            "\U0001d54f",
            "\U0010ffff",
            "e\u0301",
        ),
        *("{{", "{{x}}", "{{in}}", "{{{{", "{{n}}", "{{}}", "}}", ">", ">>", "STDOUT", "composite/x", ".gaia/x"),
        *("bucket:k", "bucket:", "gaia:k", "step:a", "key:k", "step:", "1e999", "512M", "NaN", "null", "a" * 300),
        *("k" * 2_000, "/".join("a" * 200), "{{n}}" * 500),
    ]
)
texts = st.sampled_from(NAMES) | odd_texts | st.text(max_size=6)
broken_texts = texts | st.sampled_from(["\ud800", "a\udfff", "\ud83d"])
usually = st.sampled_from([True] * 5 + [False])
integers = st.integers(-2, 3) | st.sampled_from([2**31 - 1, -(2**31), 2**53, 2**63, -(2**63), 2**64, 10**400])
numbers = integers | st.floats() | st.sampled_from([0.0, -0.0, 1e308, 5e-324])
plain = st.recursive(
    st.none() | st.booleans() | numbers | broken_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(broken_texts | st.integers(0, 1), inner, max_size=4),
    max_leaves=8,
)

_IN_RANGE = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, depth: int = 6) -> Message:
    """Make a message of a kind, each of its fields given or not."""
    message = GetMessageClass(kind)()
    alone = [[field] for field in kind.fields if field.containing_oneof is None]
    for choices in [*alone, *(list(oneof.fields) for oneof in kind.oneofs)]:
        if depth and draw(usually):
            _fill(draw, message, draw(st.sampled_from(choices)), depth)
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    """Give a field a value, or several."""
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        ports = st.sampled_from(["in", "out"]) if field.name in ("inputs", "outputs") else texts
        values = _value(inner.fields_by_name["value"], depth)
        if field.name in ("inputs", "outputs"):
            values = usually.flatmap(lambda is_key: st.sampled_from(KEYS) if is_key else texts)
        entries = draw(st.dictionaries(ports, values, max_size=2))
        for name, value in entries.items():
            if isinstance(value, Message):
                getattr(message, field.name)[name].CopyFrom(value)
            else:
                getattr(message, field.name)[name] = value
    elif field.is_repeated:
        getattr(message, field.name).extend(draw(st.lists(_value(field, depth), max_size=3)))
    elif inner is not None:
        getattr(message, field.name).CopyFrom(draw(_value(field, depth)))
    else:
        setattr(message, field.name, draw(_value(field, depth)))


def _value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return what makes one value of a field."""
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=40)
        case FieldDescriptor.CPPTYPE_STRING:
            known = st.sampled_from(KNOWN.get(field.name, NAMES))
            return usually.flatmap(lambda is_known: known if is_known else texts)
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return st.floats() | st.sampled_from([0.0, 1.0, 60.0])
        case FieldDescriptor.CPPTYPE_ENUM:
            return st.sampled_from([value.number for value in field.enum_type.values])
    numbers = st.sampled_from(KNOWN_NUMBERS.get(field.name, (0, 1, 2)))
    return usually.flatmap(lambda is_known: numbers if is_known else st.integers(*_IN_RANGE[field.cpp_type]))


@st.composite
def near_misses(draw: st.DrawFn) -> dict[str, Any]:
    """Make an upload that is sound but for a few values, which may be anything."""
    upload: dict[str, Any] = {
        "properties": {"owner": "ada", "max_parallel": 2, "note": {"deep": [1, None]}},
        "commands": [
            {"name": "make", "image": "i", "command": ["make", "{{n}}"], "outputs": {"out": "/out/"}, "vars": {"n": 1}},
            {"name": "copy", "image": "i", "command": ["cp"], "inputs": {"in": "/in"}, "outputs": {"out": "/out"}},
            {
                "name": "both",
                "inputs": ["source"],
                "outputs": ["result"],
                "vars": {"m": "x"},
                "steps": [
                    {
                        "name": "p",
                        "command": "copy",
                        "inputs": {"in": "source"},
                        "outputs": {"out": "w/{{m}}/{{k}}"},
                        "vars": {"k": [1, 2]},
                    },
                    {"name": "q", "command": "copy", "inputs": {"in": "w/"}, "outputs": {"out": "result"}},
                ],
            },
        ],
        "steps": [
            {"name": "s", "command": "make", "outputs": {"out": "o/{{n}}/"}, "vars": {"n": [1, 2]}, "retries": 1},
            {"name": "a", "command": "copy", "inputs": {"in": "o/1/x"}, "outputs": {"out": "a"}, "timeout": 60},
            {"name": "b", "command": "both", "inputs": {"source": "a"}, "outputs": {"result": "b"}},
        ],
    }
    for _ in range(draw(st.integers(0, 3))):
        _spoil(draw, upload)
    return upload


def _spoil(draw: st.DrawFn, value: Any) -> None:
    """Replace, add or drop one thing somewhere inside a value."""
    inner = value
    while isinstance(inner, dict | list) and inner:
        holder = inner
        place = draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        inner = holder[place]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 4)) == 0:
            break
    change = draw(st.sampled_from(["replace", "replace", "add", "drop"]))
    if change == "drop":
        del holder[place]
    elif change == "add" and isinstance(holder, dict):
        holder[draw(broken_texts)] = draw(plain)
    else:
        holder[place] = draw(plain)


# -- where it goes ----------------------------------------------------------------------------------------------------


class Target:
    """A service over a real loop with a little of everything in its state."""

    def __init__(self) -> None:
        self.shard = Shard().open()
        self.watchers = self.shard.watchers
        desk = Desk()
        desk.seat(self)
        self.service = GaiaService(desk, MemoryStore(), Reception(), FakeLauncher(), InProcessLogs())
        self.hand = hand = Hand(self.shard)
        hand.hello()
        self.shard.upload(
            make("a", "k"), copy("b", "k", "t/x"), make("s", "o/{{n}}", vars={"n": (1, 2)}), StepSpec("q", "make")
        )
        self.shard.settle()
        hand.read()
        hand.complete("a", "s-1")
        self.shard.settle()
        announcer = Announcer()
        for _, entry in accepted(self.shard.log):
            self.watchers.tell(announcer.follow(entry.now_ms, entry.events), announcer.updates)

    def call(self, method: str, sent: Iterable[Message]) -> GaiaError | None:
        """Call a method and return its refusal, if it refuses, which must be said well and must change nothing."""
        before = snapshot(self.shard.state)
        refused = None
        try:
            asyncio.run(_called(getattr(self.service, method), METHODS[method], list(sent)))
        except GaiaError as refusal:
            check_refusal(refusal)
            assert snapshot(self.shard.state) == before
            refused = refusal
        self.check()
        return refused

    def hear(self, record: bytes) -> None:
        """Let a report record come in."""
        self.hand.bus.report(record)
        self.shard.settle()
        self.check()

    def check(self) -> None:
        """Recount everything, and compare with a replay."""
        replica = Deployment()
        for _, entry in accepted(self.shard.log):
            replica.now_ms = entry.now_ms
            for event in entry.events:
                replica.apply(event)
        replica.now_ms = self.shard.state.now_ms
        assert snapshot(replica) == snapshot(self.shard.state)
        for workflow in self.shard.state.workflows.values():
            invariants.check(workflow)

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.shard.bus.close()

    def submit(self, request: Any) -> Any:
        answer = self.shard.loop.submit(request)
        self.shard.turn()
        return answer

    def settled(self) -> "Future[None]":
        settled: Future[None] = Future()
        settled.set_result(None)
        return settled


async def _called(behaviour: Any, method: Any, sent: list[Message]) -> None:
    """Call a method as gRPC does, and encode all that it answers."""
    answer = behaviour(_stream(sent) if method.client_streaming else sent[0], Call())
    if method.name in ENDLESS:
        await _read(answer)
    elif method.server_streaming:
        async for message in answer:
            message.SerializeToString()
    else:
        (await answer).SerializeToString()


async def _read(stream: AsyncIterator[Message]) -> None:
    """Encode what an endless stream gives until it waits for something to happen."""
    while True:
        message = asyncio.ensure_future(anext(stream, None))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if not message.done() or message.result() is None:
            message.cancel()
            return
        message.result().SerializeToString()


async def _stream(sent: list[Message]) -> AsyncIterator[Message]:
    for message in sent:
        yield message


class Call:
    """What a method sees of the call it answers; remembers how that was ended."""

    def __init__(self) -> None:
        self.code = self.details = ""
        self.trailers: dict[str, bytes] = {}

    def wire_bytes(self) -> int:
        """Return what the end of the call takes at most: binary values in base64, the details percent-encoded.

        Source: gRPC over HTTP2 (Custom-Metadata, Percent-Encoded); HTTP/2 counts 32 bytes more for each entry.
        """
        entries = [("grpc-message", len(quote(self.details, PRINTABLE))), ("grpc-status", 2), ("content-type", 16)]
        entries += [(name, len(b64encode(value))) for name, value in self.trailers.items()]
        return sum(len(name) + size + 32 for name, size in entries)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what a client of gRPC sends that knows nothing of us."""
        return ()

    async def send_initial_metadata(self, metadata: Iterable[tuple[str, str]]) -> None:
        """Take what is said before the first message."""
        assert all(isinstance(value, str) for _, value in metadata)

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, bytes]]) -> None:
        """Keep what is sent along."""
        self.trailers = dict(metadata)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        """Keep how the call ended."""
        self.code, self.details = code.name, details


def check_refusal(refusal: GaiaError) -> None:
    """Make sure that a refusal blames nobody but the request, has words, and reaches any client of gRPC."""
    assert not isinstance(refusal, Bug)
    assert refusal.message
    check_problems(refusal.problems)
    call = Call()
    asyncio.run(refusals.abort(call, "method", refusal))
    told = pb.Refusal.FromString(call.trailers[refusals.REFUSAL_KEY])
    assert (told.error, call.code) == (type(refusal).__name__, refusal.grpc_code)
    assert call.wire_bytes() < METADATA_BYTES_MAX
    if isinstance(refusal, InvalidWorkflow):
        assert told.problems


def check_problems(problems: Iterable[Problem]) -> None:
    """Make sure that each problem has a place and words, and can travel."""
    for problem in problems:
        assert problem.place
        assert problem.message
        pb.Problem(place=problem.place, message=problem.message)


# -- properties -------------------------------------------------------------------------------------------------------


@given(st.data())
def test_any_message_is_answered_or_refused(data: st.DataObject) -> None:
    """Messages with any fields, to any methods, one after the other."""
    with Target() as target:
        for name in data.draw(st.lists(st.sampled_from(sorted(METHODS)), min_size=1, max_size=3)):
            kind = METHODS[name].input_type
            count = data.draw(st.integers(0, 3)) if METHODS[name].client_streaming else 1
            target.call(name, [data.draw(messages(kind)) for _ in range(count)])


@given(st.data())
def test_any_bytes_are_answered_or_refused(data: st.DataObject) -> None:
    """Bytes that are almost a message: what protobuf takes is a request like any other."""
    name = data.draw(st.sampled_from(sorted(set(METHODS) - {"Put"})))
    kind = METHODS[name].input_type
    sent = bytearray(data.draw(messages(kind)).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sent)))
        sent[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        message = GetMessageClass(kind).FromString(bytes(sent))
    except DecodeError:
        return
    with Target() as target:
        target.call(name, [message])


@given(st.lists(messages(worker_pb2.ReportRecord.DESCRIPTOR) | st.binary(max_size=20), min_size=1, max_size=3))
def test_any_report_is_taken_or_passed_over(records: list[Message | bytes]) -> None:
    """A worker in whatever language may say whatever it likes: it can neither end the loop nor confuse the state."""
    with Target() as target:
        for record in records:
            target.hear(record if isinstance(record, bytes) else record.SerializeToString())
        target.call("Merge", [pb.MergeRequest(workflow="flow", steps=[step_to_proto(make("c", "c"))])])


@given(plain, plain, plain)
def test_the_parse_layer_takes_anything(commands: object, steps: object, properties: object) -> None:
    """Whatever is read from JSON or YAML gives Commands, Steps, properties and problems that can be told."""
    check_problems(parse.parse_properties(properties)[1])
    check_problems(parse.parse_commands(commands)[1])
    check_problems(parse.parse_steps(steps)[1])
    check_problems(parse.name_problems(commands))
    check_problems(parse.parse_workflow(commands, steps, validate.check).problems)


@given(near_misses())
def test_what_the_client_finds_sound_the_server_takes(upload: dict[str, Any]) -> None:
    """The client's checks and the server's are the same, and what they let pass is kept as it was given."""
    properties, problems = parse.parse_properties(upload.get("properties", {}))
    parsed = parse.parse_workflow(upload.get("commands", []), upload.get("steps", []), validate.check)
    problems += parsed.problems
    check_problems(problems)
    if problems:
        return
    request = pb.UploadRequest(
        workflow="new",
        properties=properties_to_struct(properties),
        commands=[command_to_proto(command) for command in parsed.commands],
        steps=[step_to_proto(step) for step in parsed.steps],
    )
    with Target() as target:
        target.call("Upload", [request])
    made = target.shard.state.workflows["new"]
    assert list(made.commands.values()) == parsed.commands
    assert made.properties == properties


@given(near_misses(), st.sampled_from([".json", ".yaml"]))
def test_any_file_is_read_or_refused(upload: dict[str, Any], suffix: str) -> None:
    """A file is a value or one line of words, also when it was cut, or is nested too deeply."""
    text = json.dumps(upload, default=repr)
    for cut in (text, text[: len(text) // 2], text.replace('"', ""), text[::-1]):
        try:
            parse_text(cut, Path(f"workflow{suffix}"))
        except GaiaError as refusal:
            check_refusal(refusal)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "- " * 10_000, "1" * 5_000, "&a [*a]", "\0", "\ud800"]
)
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_file_beyond_all_measure_is_refused_in_words(text: str, suffix: str) -> None:
    """Nesting without end, numbers without end and what is no text are told in a line."""
    try:
        value = parse_text(text, Path(f"workflow{suffix}"))
    except GaiaError as refusal:
        check_refusal(refusal)
    else:
        check_problems(parse.parse_workflow(value, value, validate.check).problems)
        check_problems(parse.parse_properties(value)[1])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("Run", pb.RunRequest(request_id="x", workflow="flow")), ("Halt", pb.HaltRequest)),
        (("Halt", pb.HaltRequest(request_id="x", workflow="flow")), ("Run", pb.RunRequest)),
        (("Expire", pb.ExpireRequest(request_id="x", workflow="flow")), ("Delete", pb.DeleteRequest)),
        (("Merge", pb.MergeRequest(request_id="x", workflow="flow")), ("Remove", pb.RemoveRequest)),
    ],
)
def test_a_request_id_belongs_to_one_method(first: tuple[str, Message], second: tuple[str, type[Message]]) -> None:
    """The same id for another method is refused, also where the bytes are the same."""
    with Target() as target:
        target.call(first[0], [first[1]])
        again = second[1].FromString(first[1].SerializeToString())
        assert isinstance(target.call(second[0], [again]), NotAllowedNow)


LONG = "x" * 1_000_000
HUGE: dict[str, tuple[str, Message]] = {
    "workflow": ("Merge", pb.MergeRequest(workflow=LONG)),
    "wide": ("Status", pb.StatusRequest(workflow="\U0001f600" * 1_000_000)),
    "steps": ("Merge", pb.MergeRequest(workflow="flow", steps=[{"name": "\u20ac" * 300, "command": LONG}] * 500)),
    "names": ("Expire", pb.ExpireRequest(workflow="flow", names=[f"nothing{n}" for n in range(100_000)])),
    "name": ("Expire", pb.ExpireRequest(workflow="flow", names=[LONG, "t/" * 500_000, ":" * 1_000_000])),
    "status": ("Status", pb.StatusRequest(workflow="flow", debug=True, page_start=2**32 - 1, page_size=2**32 - 1)),
    "list": ("List", pb.ListRequest(workflow="flow", prefix="/" * 1_000_000)),
    "get": ("Get", pb.GetRequest(workflow="flow", key="a/" * 500_000)),
    "owner": ("Workflows", pb.WorkflowsRequest(prefix=LONG, owner=LONG, state=LONG)),
    "launch": ("Launch", pb.LaunchRequest(names=["w"] * 100_000)),
}


@pytest.mark.parametrize(("method", "request_message"), HUGE.values(), ids=HUGE)
def test_a_request_beyond_all_measure_is_answered_or_refused(method: str, request_message: Message) -> None:
    """What fits the transport may be of any size."""
    with Target() as target:
        target.call(method, [request_message])


@settings(max_examples=50)
@given(st.integers(1, 3), st.integers(1, 12), odd_texts)
def test_vars_that_multiply_are_bounded(arrays: int, elements: int, text: str) -> None:
    """Values that splice each other and arrays that multiply cost no more than they may."""
    sweep = {f"v{n}": list(range(elements)) for n in range(arrays)}
    chain = {f"c{n}": f"{{{{c{n + 1}}}}}" * 9 for n in range(8)}
    step = {"name": "s", "command": "make", "vars": {**sweep, **chain, "c8": text}, "outputs": {"out": "{{c0}}/{{v0}}"}}
    command = {"name": "make", "image": "i", "command": ["{{c0}}"] * 9, "outputs": {"out": "/out"}}
    check_problems(parse.parse_workflow([command], [step], validate.check).problems)
