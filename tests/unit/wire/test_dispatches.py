"""Dispatches that are put together from parts: what they say, and that nothing of what is remembered is out of date."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia.v1 import worker_pb2
from gaia_core.machine import requests as rq
from gaia_core.machine.orders import Dispatch
from gaia_core.wire import dispatches
from gaia_core.wire.dispatches import DispatchEncoder
from gaia_core.wire.fields import embedded
from gaia_core.wire.inbox import decode_inbox, encode_entries
from gaia_core.workflow.model import Command, Execution, Options, StepSpec
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make

GREET = Command("greet", "image", ("echo", "{{who}}", "{{n}}"), {}, {"out": "/out/{{n}}"}, {"who": "all", "n": 0})


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join()
    return driver


def read(encoder: DispatchEncoder, driver: Driver, step: str) -> Execution:
    """Return what a worker reads of a Step's order."""
    encoder.begin()
    entry = encoder.entry(driver.flow(), driver.step(step))
    (order,) = decode_inbox(encode_entries("w", "i", 1, [entry])).orders
    assert isinstance(order, Dispatch)
    return order.execution


@given(st.binary(max_size=20_000), st.integers(1, 15))
def test_embedded_is_what_protobuf_writes(data: bytes, number: int) -> None:
    """A field of any length is framed as protobuf frames it; read back as a string of bytes it is the same."""
    field = worker_pb2.InboxRecord.ENTRIES_FIELD_NUMBER
    entry = worker_pb2.InboxEntry(cancel=worker_pb2.Cancel(reason="r" * len(data)))
    written = worker_pb2.InboxRecord(entries=[entry]).SerializeToString()
    assert embedded(field, entry.SerializeToString()) == written
    assert embedded(number, data)[0] == number * 8 + 2
    assert embedded(number, data).endswith(data)


def test_steps_of_one_command_share_what_does_not_differ(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Command is spliced once for all Steps whose values it does not splice, and once for each value that it does."""
    made: list[Any] = []
    frame_of = dispatches.frame_of
    monkeypatch.setattr(dispatches, "frame_of", lambda *given: made.append(given) or frame_of(*given))
    same = StepSpec("same", "greet", {}, {"out": "o/{{i}}"}, {"i": tuple(range(50))})
    each = StepSpec("each", "greet", {}, {"out": "p/{{n}}"}, {"n": (1, 2, 3)})
    driver.upload(same, each, commands=[GREET])
    made.clear()
    encoder = DispatchEncoder(1)
    said = {step.name: read(encoder, driver, step.name) for step in driver.flow().steps.values()}
    assert len(made) == 1 + 3
    assert said["same-7"].argv == ("echo", "all", "0")
    assert said["same-7"].outputs[0].key == "o/7"
    assert said["each-2"].argv == ("echo", "all", "2")
    assert said["each-2"].outputs[0].path == "/out/2"


def test_what_changes_is_said_anew(driver: Driver) -> None:
    """A changed Command, changed options, and inputs that were published anew are in the next order."""
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    driver.complete("a")
    encoder = DispatchEncoder(1)
    before = read(encoder, driver, "b")
    driver.merge(make("a", "a", options=Options(timeout_s=5)))
    driver.complete("a")
    driver.ask(rq.SetCommands("flow", (Command("copy", "other", ("y",), {"in": "/in2"}, {"out": "/out"}),)))
    after = read(encoder, driver, "b")
    assert read(encoder, driver, "a").timeout_s == 5
    assert (before.image, after.image) == (COMMANDS[1].image, "other")
    assert (before.inputs[0].path, after.inputs[0].path) == ("/in", "/in2")
    versions = [one.inputs[0].sources[0].files[0].version for one in (before, after)]
    assert versions == ["v1", "v2"]


def test_what_is_remembered_has_a_bound(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many Commands nor many values of one are all kept, and every order is right all the same."""
    monkeypatch.setattr(dispatches, "FRAMES_MAX", 3)
    commands = [Command(f"c{n}", f"image{n}", ("x",), {}, {"out": "/out"}) for n in range(10)]
    steps = [StepSpec(f"s{n}", f"c{n}", {}, {"out": f"o/{n}"}) for n in range(10)]
    sweep = StepSpec("each", "greet", {}, {"out": "p/{{n}}"}, {"n": tuple(range(10))})
    driver.upload(*steps, sweep, commands=[*commands, GREET])
    encoder = DispatchEncoder(1)
    for number in (*range(10), *range(10)):
        assert read(encoder, driver, f"s{number}").image == f"image{number}"
        assert read(encoder, driver, f"each-{number}").argv[-1] == str(number)
        assert len(encoder._frames) <= 3


def test_what_is_remembered_of_large_commands_has_a_bound_too(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted in bytes as well: a Command may be large."""
    monkeypatch.setattr(dispatches, "FRAMES_BYTES_MAX", 30_000)
    large = Command("large", "image", ("x" * 10_000, "{{n}}"), {}, {"out": "/out"})
    driver.upload(StepSpec("s", "large", {}, {"out": "o/{{n}}"}, {"n": tuple(range(10))}), commands=[large])
    encoder = DispatchEncoder(1)
    for number in (*range(10), *range(10)):
        assert read(encoder, driver, f"s-{number}").argv[-1] == str(number)
        assert 0 < sum(len(frame.data) for frame in encoder._frames.values()) <= 30_000
