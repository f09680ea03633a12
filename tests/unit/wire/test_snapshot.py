"""Snapshots as bytes: what is damaged, cut short or unknown is noticed, and equal states give equal bytes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from gaia.v1 import snapshot_pb2 as pb
from gaia_core.errors import SnapshotDamaged
from gaia_core.machine import public
from gaia_core.machine.public import Announcer
from gaia_core.wire.chunks import PAYLOAD_BYTES_MAX, framed, unframed
from gaia_core.wire.snapshot import (
    Place,
    Snapshot,
    decode_snapshot,
    decode_workflow,
    digest,
    encode_snapshot,
    encode_workflow,
)
from gaia_core.wire.snapshot_workflow import ROWS_MAX, Kept
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import StepSpec
from tests.unit.machine.deployment import MAKE, Driver, copy, make, restored
from tests.unit.wire.test_public_events import FACTS

PLACE = Place(41, 7, 300, "here:1")


def driven() -> Driver:
    """A deployment with a bit of everything."""
    driver = Driver()
    driver.join()
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "k", "c"), note="x")
    driver.complete("a")
    driver.fail("b")
    return driver


def encoded(driver: Driver) -> bytes:
    announcer = Announcer()
    announcer.state = driver.state
    announcer.sequences, announcer.rests = {1: 12}, {1: "error"}
    return b"".join(encode_snapshot(Snapshot(PLACE, announcer)))


def test_a_snapshot_tells_where_it_stands_and_what_was_announced() -> None:
    """Offsets, leader, time and numbers of events come back."""
    driver = driven()
    snapshot = decode_snapshot([encoded(driver)])
    assert snapshot.place == PLACE
    assert (snapshot.announcer.sequences, snapshot.announcer.rests) == ({1: 12}, {1: "error"})
    assert snapshot.announcer.state.now_ms == driver.state.now_ms
    assert encoded(driver) == b"".join(encode_snapshot(snapshot))


def test_one_workflow_can_be_put_aside_by_itself() -> None:
    """It comes back with its Steps, Keys and the numbers of its events."""
    flow = driven().flow()
    kept = decode_workflow(encode_workflow(Kept(flow, 12, "error")))
    assert (kept.sequence, kept.rest, kept.workflow.name) == (12, "error", "flow")
    assert [step.state for step in kept.workflow.steps.values()] == [step.state for step in flow.steps.values()]
    assert b"".join(encode_workflow(kept)) == b"".join(encode_workflow(Kept(flow, 12, "error")))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunks_may_have_any_size(size: int) -> None:
    """A store gives back the bytes in pieces of its own."""
    data = encoded(driven())
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(encode_snapshot(decode_snapshot(pieces))) == data


def test_a_large_message_takes_several_chunks() -> None:
    """No chunk is larger than half a mebibyte, whatever users write."""
    messages = [b"", b"x" * (2 * PAYLOAD_BYTES_MAX + 1), b"y" * PAYLOAD_BYTES_MAX]
    chunks = list(framed(messages))
    assert len(chunks) == 5
    assert max(map(len, chunks)) < PAYLOAD_BYTES_MAX + 32
    assert list(unframed(chunks)) == messages


def test_many_steps_take_many_messages() -> None:
    """Columns are cut by rows, so that none holds the interpreter for long."""
    spec = StepSpec("s", "make", {}, {"out": "s/{{n}}"}, {"n": tuple(range(2 * ROWS_MAX + 1))})
    announcer = Announcer()
    announcer.follow(
        1, [ev.WorkflowCreated(1, "flow", "me", {}), ev.CommandsSet(1, (MAKE,)), ev.StepsMerged(1, (spec,))]
    )
    messages = map(pb.SnapshotPart.FromString, unframed(encode_snapshot(Snapshot(PLACE, announcer))))
    assert [one.steps.count for one in messages if one.HasField("steps")] == [ROWS_MAX, ROWS_MAX, 1]
    assert len(restored(announcer).state.by_uid[1].steps) == 2 * ROWS_MAX + 1


def cut(data: bytes) -> Iterator[bytes]:
    yield from (data[:-1], data[:-60], data[:30], data[:5], b"")


def test_what_is_cut_short_is_refused() -> None:
    """Wherever a snapshot ends too early."""
    data = encoded(driven())
    for part in cut(data):
        with pytest.raises(SnapshotDamaged):
            decode_snapshot([part])


def test_every_flipped_byte_is_noticed() -> None:
    """No damage goes unseen."""
    data = b"".join(framed([b"one", b"", b"another"]))
    for place in range(len(data)):
        with pytest.raises(SnapshotDamaged):
            list(unframed([data[:place], bytes([data[place] ^ 1]), data[place + 1 :]]))


def test_another_version_is_named() -> None:
    """A snapshot of a later Gaia is refused in words."""
    data = bytearray(encoded(driven()))
    data[4] = 9
    with pytest.raises(SnapshotDamaged, match="format version 9; this Gaia reads version 1"):
        decode_snapshot([bytes(data)])


def reseal(messages: list[bytes]) -> list[bytes]:
    tail = pb.SnapshotPart(tail=pb.SnapshotTail(sha256=sha256(b"".join(messages)).digest()))
    return list(framed([*messages, tail.SerializeToString()]))


def without(kind: str) -> Callable[[list[bytes]], list[bytes]]:
    return lambda messages: [one for one in messages if not pb.SnapshotPart.FromString(one).HasField(kind)]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (without("head"), "has no head"),
        (without("workflow"), "does not belong"),
        (without("workflow_end"), "ends within a workflow"),
        (without("steps"), "other Steps come of"),
        (without("runs"), "other Steps come of"),
        (lambda messages: [*messages, messages[0]], "does not belong"),
        (lambda messages: [*messages[:-1], messages[0], messages[-1]], "inside the workflow 'flow'"),
        (lambda messages: [*messages, b"\xff\xff"], "cannot be decoded"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: Callable[[list[bytes]], list[bytes]], cause: str) -> None:
    """A snapshot that is sound as a stream and says what cannot be is no snapshot either."""
    messages = list(unframed([encoded(driven())]))[:-1]
    with pytest.raises(SnapshotDamaged, match=cause):
        decode_snapshot(reseal(change(messages)))


def test_a_spec_that_makes_other_steps_now_is_noticed() -> None:
    """A reader whose rules of expansion are not the writer's must not put states onto the wrong Steps."""
    messages = list(unframed([encoded(driven())]))[:-1]
    renamed = [message.replace(b"\n\x01b", b"\n\x01z") if b"copy" in message else message for message in messages]
    with pytest.raises(SnapshotDamaged, match="'flow' does not come out of the snapshot as it was"):
        decode_snapshot(reseal(renamed))
    longer = []
    for message in messages:
        part = pb.SnapshotPart.FromString(message)
        if part.HasField("runs"):
            part.runs.runs[1] += 5
        longer.append(part.SerializeToString())
    with pytest.raises(SnapshotDamaged, match="stands for 1 Steps now"):
        decode_snapshot(reseal(longer))


def test_a_tail_that_tells_of_other_parts_is_refused() -> None:
    """Parts that were left out or exchanged do not go unseen."""
    messages = list(unframed([encoded(driven())]))
    with pytest.raises(SnapshotDamaged, match="is not what was written"):
        decode_snapshot(framed([*messages[:-2], messages[-1]]))
    with pytest.raises(SnapshotDamaged, match="is not what was written"):
        decode_snapshot(framed([*messages, messages[-1]]))


def test_what_holds_no_workflow_is_refused() -> None:
    """A snapshot is no workflow put aside, and one without its end neither."""
    with pytest.raises(SnapshotDamaged, match="holds no workflow"):
        decode_workflow([encoded(driven())])
    messages = list(unframed(encode_workflow(Kept(driven().flow()))))[:-2]
    with pytest.raises(SnapshotDamaged, match="has no end"):
        decode_workflow(reseal(messages))
    with pytest.raises(SnapshotDamaged, match="has no end"):
        decode_workflow(reseal(messages[:1]))


SCRIPT = """
from tests.unit.machine import test_at_rest as t
from gaia_core.machine import requests as rq
driver = t.Driver()
driver.join()
driver.upload(commands=(t.COPY, t.MAKE, t.pair(t.ONE, t.TWO)))
driver.merge(*[t.StepSpec(f"t{n}", "pair", {"in": "k"}, {"out": f"o{n}"}) for n in range(9)])
driver.ask(rq.SetCommands("flow", (t.pair(t.StepSpec("new", "copy", {"in": "in"}, {"out": "out"})),)))
print(t.digest(driver.state).hex())
"""


def test_processes_agree_on_digests() -> None:
    """The digest depends on no order that differs from process to process."""
    said = set()
    for seed in ("1", "2", "3"):
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        said.add(subprocess.run([sys.executable, "-c", SCRIPT], env=environ, check=True, capture_output=True).stdout)
    assert len(said) == 1


def test_the_digest_leaves_out_the_time() -> None:
    """Time passes for a leader by itself; only what happened counts."""
    driver = driven()
    before = digest(driver.state)
    driver.state.now_ms += 1
    assert digest(driver.state) == before


def test_the_latest_announcements_come_back() -> None:
    """Every kind of them, with the names that stand for their Steps."""
    recent = tuple(
        public.Announcement("flow", 1, n, 1_000 + n, fact, ("a", "s")) for n, fact in enumerate(FACTS.values())
    )
    snapshot = decode_snapshot(encode_snapshot(Snapshot(PLACE, Announcer(), recent)))
    assert snapshot.recent == recent
