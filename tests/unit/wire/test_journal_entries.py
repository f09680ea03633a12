"""Journal entries: every kind of event comes back as it was."""

from typing import get_args

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.machine import events as own
from gaia_core.machine.archived import Restored
from gaia_core.wire.journal import Entry, Opening, decode_entry, encode_entry, from_ranges, to_ranges
from gaia_core.wire.snapshot import decode_archived
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Publication, Resources
from gaia_core.workflow.parse import parse_commands, parse_steps

text = st.text(st.characters(codec="utf-8"), max_size=8)
number = st.integers(0, 2**32 - 1)
uid = st.integers(1, 2**64 - 1)
time_ms = st.integers(0, 2**53)
columns = st.lists(st.tuples(number, number, number), max_size=4).map(
    lambda rows: tuple(zip(*rows, strict=True)) or ((),) * 3
)
indexes = st.lists(number, unique=True, max_size=6).map(lambda some: tuple(sorted(some)))
files = st.builds(FileVersion, text, text, st.integers(0, 2**63), st.binary(max_size=32))
publications = st.builds(Publication, text, st.lists(files, max_size=2).map(tuple), st.none() | files)
published = st.lists(publications, max_size=2).map(tuple)
failures = st.builds(Failure, st.sampled_from(FailureClass), text, st.none() | st.integers(-(2**31), 2**31 - 1), text)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
maps = st.dictionaries(text, json_values, max_size=3)

name = st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True)
scalar = text.filter(lambda one: "\0" not in one) | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9)
options = {
    "timeout": st.floats(0.1, 1e6),
    "retries": st.integers(0, 9),
    "pool": name,
    "priority": st.integers(-9, 9),
    "keep": st.just("on_failure"),
    "resources": st.fixed_dictionaries(
        {}, optional={"cpus": st.floats(0.1, 8), "memory": st.integers(1, 2**40), "gpus": st.integers(0, 4)}
    ),
}  # fmt: skip
paths = st.dictionaries(name, name.map("/in/{}".format), max_size=2)
commands = st.fixed_dictionaries(
    {"name": name, "image": name, "command": st.lists(name, min_size=1, max_size=3)},
    optional={
        "inputs": paths, "outputs": paths, "vars": st.dictionaries(name, scalar, max_size=2), "stdout": st.just("/o"),
        "network": st.booleans(), "env": st.dictionaries(name, name, max_size=2), "workdir": st.just("/w"),
        "entrypoint": st.lists(name, min_size=1, max_size=2) | st.just("keep"),
        "secrets": st.dictionaries(name, name, max_size=2), "reuse": st.booleans(), **options,
    },
).map(lambda plain: parse_commands([plain])[0][0])  # fmt: skip
keys = st.dictionaries(name, name, max_size=2)
steps = st.fixed_dictionaries(
    {"name": name, "command": name},
    optional={
        "inputs": keys, "outputs": keys,
        "vars": st.dictionaries(name, scalar | st.lists(scalar, min_size=1, max_size=3), max_size=2), **options,
    },
).map(lambda plain: parse_steps([plain])[0][0])  # fmt: skip


@st.composite
def resets(draw: st.DrawFn) -> ev.StepsReset:
    """A reset in which Steps make others run again."""
    steps = draw(indexes.filter(bool))
    upstream = [draw(st.none() | st.sampled_from(steps)) for _ in steps]
    others = tuple(other if other != own else None for own, other in zip(steps, upstream, strict=True))
    return ev.StepsReset(draw(uid), steps, draw(text), others)


def ran(data: st.DataObject, count: int) -> tuple[str, ...]:
    """Return the image that each of so many Steps ran, or () if none did."""
    found = tuple(data.draw(st.sampled_from(["", "sha256:1", "sha256:2"])) for _ in range(count))
    return found if any(found) else ()


EVENTS: dict[type, st.SearchStrategy[own.Event]] = {
    ev.WorkflowCreated: st.builds(ev.WorkflowCreated, uid, text, text, maps),
    ev.CommandsSet: st.builds(ev.CommandsSet, uid, st.lists(commands, max_size=2).map(tuple)),
    ev.StepsMerged: st.builds(ev.StepsMerged, uid, st.lists(steps, max_size=2).map(tuple), indexes),
    ev.StepsReset: st.builds(ev.StepsReset, uid, indexes, text) | resets(),
    ev.StepsRemoved: st.builds(ev.StepsRemoved, uid, indexes),
    ev.WorkflowDeleted: st.builds(ev.WorkflowDeleted, uid, st.booleans()),
    ev.QueueTimedOut: st.builds(ev.QueueTimedOut, uid, indexes),
    own.DataDeleted: st.builds(own.DataDeleted, uid),
    own.EntriesLost: st.builds(own.EntriesLost, st.integers(0, 2**40)),
    ev.WorkflowHalted: st.builds(ev.WorkflowHalted, uid),
    ev.WorkflowResumed: st.builds(ev.WorkflowResumed, uid),
    ev.KeysArrived: st.builds(ev.KeysArrived, uid, published),
    ev.KeysForgotten: st.builds(ev.KeysForgotten, uid, st.lists(text, max_size=2).map(tuple)),
    ev.StepsDispatched: st.builds(lambda one, who, c: ev.StepsDispatched(one, who, c[0], c[1]), uid, text, columns),
    ev.StepsCompleted: st.builds(
        lambda one, who, c, each, data: ev.StepsCompleted(one, who, *c, (each,) * len(c[0]), ran(data, len(c[0]))),
        uid,
        text,
        columns,
        published,
        st.data(),
    ),
    ev.AttemptFailed: st.builds(ev.AttemptFailed, uid, text, number, number, failures, st.none() | time_ms, published),
    ev.BackoffsEnded: st.builds(ev.BackoffsEnded, uid, indexes),
    ev.AttemptsEnded: st.builds(lambda one, who, c: ev.AttemptsEnded(one, who, c[0], c[1]), uid, text, columns),
    own.WorkflowArchived: st.builds(own.WorkflowArchived, uid, files, st.integers(0, 2**53), text),
    own.WorkflowRevived: st.builds(
        own.WorkflowRevived, uid, st.binary(max_size=9).map(lambda data: Restored(data, decode_archived))
    ),
    ev.AttemptsGivenBack: st.builds(lambda one, who, c: ev.AttemptsGivenBack(one, who, c[0], c[1]), uid, text, columns),
    own.WorkerJoined: st.builds(
        own.WorkerJoined,
        text,
        text,
        text,
        number,
        number,
        st.integers(-1, 2**31 - 1),
        text,
        text,
        st.booleans(),
        st.dictionaries(text, text, max_size=2),
        st.builds(Resources, st.none() | st.floats(0, 99), st.none() | number, st.none() | number),
        text,
        text,
    ),
    own.WorkerDismissed: st.builds(own.WorkerDismissed, text, text),
    own.WorkerLeft: st.builds(own.WorkerLeft, text, text, text),
    own.RequestAnswered: st.builds(own.RequestAnswered, text, st.binary(max_size=9), text),
}


def test_every_kind_of_event_is_tried() -> None:
    """A new kind of event has to be added here."""
    assert set(EVENTS) == set(get_args(own.Event))


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    """Whatever an event holds survives the journal."""
    event = data.draw(EVENTS[kind])
    entry = Entry(3, 5, 7, (event,), 11)
    assert decode_entry(encode_entry(entry)) == entry


@given(st.lists(st.one_of(*EVENTS.values()), max_size=4).map(tuple), st.integers(-1, 2**62), time_ms)
def test_entries_keep_the_order_of_their_events(events: tuple[own.Event, ...], offset: int, now_ms: int) -> None:
    """An entry's events come back in order, with its offsets and time."""
    entry = Entry(offset, offset, now_ms, events, max(offset, 0))
    assert decode_entry(encode_entry(entry)) == entry


@given(st.binary(max_size=16), text, text)
def test_an_opening_comes_back_as_it_was(term_id: bytes, address: str, version: str) -> None:
    """An opening is told from an entry even when it is empty."""
    entry = Entry(-1, -1, 0, opening=Opening(term_id, address, version))
    assert decode_entry(encode_entry(entry)) == entry
    assert decode_entry(encode_entry(Entry(-1, -1, 0))).opening is None


@given(st.lists(st.integers(0, 300), unique=True).map(sorted))
def test_ranges_stand_for_the_same_indexes(some: list[int]) -> None:
    """Ascending indexes survive as ranges, each of which is as long as it can be."""
    ranges = to_ranges(some)
    assert list(from_ranges(ranges)) == some
    starts, counts = ranges[::2], ranges[1::2]
    ends = [start + count for start, count in zip(starts, counts, strict=True)]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


def test_a_million_indexes_take_two_numbers() -> None:
    """A whole workflow that is reset costs the journal nothing."""
    assert to_ranges(range(10**6)) == [0, 10**6]
    assert to_ranges([]) == []
    assert to_ranges([4]) == [4, 1]


def test_half_a_range_is_refused() -> None:
    """Ranges come in pairs."""
    with pytest.raises(ValueError, match="shorter"):
        from_ranges([1, 2, 3])


@pytest.mark.parametrize("data", [b"\xff", b"\x2a\x05\x01"])
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    """Damaged bytes raise and are never taken for an entry."""
    with pytest.raises(DecodeError):
        decode_entry(data)


def test_an_unknown_kind_of_event_is_refused() -> None:
    """An event of a later version must not be passed over."""
    with pytest.raises(ValueError, match="does not know"):
        decode_entry(b"\x2a\x00")


def test_a_failure_of_an_unknown_class_counts_as_the_engines() -> None:
    """A class that only a later version knows stays a failure."""
    entry = Entry(0, 0, 0, (ev.AttemptFailed(1, "w", 0, 1, Failure(FailureClass.COMMAND, "x")),))
    data = encode_entry(entry).replace(b"\x08\x01\x12\x01x", b"\x08\x63\x12\x01x")
    (event,) = decode_entry(data).events
    assert isinstance(event, ev.AttemptFailed)
    assert event.failure.kind is FailureClass.ENGINE
