"""A standby tells what the journal says, and sends whoever wants a change to the leader."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gaia_core.backends.memory import MemoryJournal
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator.archives import Archives
from gaia_core.coordinator.standby import Standby
from gaia_core.errors import JournalCorrupt, NotLeading, Unavailable, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.wire.frame import wrap
from gaia_core.workflow.validate import ANY
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Shard
from tests.unit.machine.deployment import copy, make


@pytest.fixture
def shard() -> Shard:
    """A leader with a workflow."""
    shard = Shard().open()
    shard.upload(make("a", "a"), copy("b", "a", "b"))
    return shard


@pytest.fixture
def standby(shard: Shard) -> Standby:
    """A standby that has read all there is."""
    standby = Standby(MemoryJournal(shard.log))
    standby.follow()
    return standby


def ask(standby: Standby, request: rq.Request) -> Any:
    """Ask and wait for the answer."""
    return standby.submit(request).result(0)


def test_what_only_reads_is_answered(standby: Standby, shard: Shard) -> None:
    """As the leader would, as soon as it is journaled."""
    assert ask(standby, rq.GetStatus("flow")).steps["ready"] == 1
    assert [step.name for step in ask(standby, rq.ListSteps("flow"))[0]] == ["a", "b"]
    assert ask(standby, rq.PlanExpire("flow", ("step:b",))).steps == ["b"]
    with pytest.raises(UnknownName):
        ask(standby, rq.GetStatus("nothing"))
    shard.upload(make("a", "a"), name="other")
    standby.follow()
    assert [line.name for line in ask(standby, rq.ListWorkflows())] == ["flow", "other"]


@pytest.mark.parametrize(
    "request_", [rq.Halt("flow"), rq.Merge("flow", ()), rq.GetInputs(1, 0, 1), rq.CheckPut("flow", ("k",), ("key",))]
)
def test_changes_are_for_the_leader(standby: Standby, request_: rq.Request) -> None:
    """The refusal names its address, so that clients can follow."""
    with pytest.raises(NotLeading) as refusal:
        standby.submit(request_)
    assert refusal.value.leader == "here:1"


def test_what_was_not_read_yet_is_not_unknown(shard: Shard) -> None:
    """Before it has read the whole journal a standby answers nothing, rather than that there is no such workflow."""
    standby = Standby(MemoryJournal(shard.log))
    for request in (rq.GetStatus("flow"), rq.GetUid("flow"), rq.GetUid(""), rq.ListWorkflows()):
        with pytest.raises(Unavailable):
            standby.submit(request)
    standby.follow()
    assert ask(standby, rq.GetUid("flow")) == 1
    assert ask(standby, rq.GetUid("")) == 0
    assert standby.settled().done()


def test_a_standby_that_breaks_leaves_no_thread_behind() -> None:
    """What its journal cannot tell ends all of it; a thread that stayed would keep the process from ending."""
    log = Shard().log
    MemoryJournal(log).append([bytearray(wrap(b"no entry", b"12345678")[0][:-1]) + b"?"])
    before = set(threading.enumerate())
    standby = Standby(MemoryJournal(log), archives=Archives(MemoryStore(), "", ANY))
    with pytest.raises(JournalCorrupt):
        standby.run()
    assert not set(threading.enumerate()) - before


def test_a_standby_that_knows_no_leader_says_so() -> None:
    """Nobody has led yet."""
    standby = Standby(MemoryJournal(Shard().log))
    with pytest.raises(NotLeading) as refusal:
        standby.submit(rq.Halt("flow"))
    assert refusal.value.leader == ""


def test_watchers_see_what_is_journaled_until_the_standby_ends(standby: Standby, shard: Shard) -> None:
    """Then they are told to go on elsewhere."""
    woken: list[bool] = []
    watcher = standby.watchers.watch(ask(standby, rq.GetUid("flow")), 1, lambda: woken.append(True))
    assert [event.sequence for event in standby.watchers.read(watcher, 10)] == [1, 2, 3]
    standby.stop()
    assert woken
    with pytest.raises(Unavailable, match="changes its role"):
        standby.watchers.read(watcher, 10)


@pytest.fixture
def following(standby: Standby) -> Iterator[Standby]:
    """A standby that follows by itself."""
    thread = threading.Thread(target=standby.run)
    thread.start()
    yield standby
    standby.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_it_follows_by_itself(following: Standby, shard: Shard) -> None:
    """What the leader does is seen without asking for it."""
    shard.upload(make("a", "a"), name="later")
    wait_until(lambda: len(ask(following, rq.ListWorkflows())) == 2, "the other workflow")
