"""Finished workflows leave memory when their time is over, stay readable, and come back when they are changed."""

from dataclasses import replace

import pytest

from gaia_core.errors import AlreadyExists, NotAllowedNow, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import IsArchived, Restored
from gaia_core.machine.effects import Archive, DeleteData
from gaia_core.machine.handle import answer_query
from gaia_core.machine.public import Announcer, WorkflowChanged
from gaia_core.wire.snapshot import decode_archived
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import FailureClass
from gaia_core.workflow.validate import ANY
from tests.unit.machine.archiving import Attic
from tests.unit.machine.deployment import COMMANDS, copy, make, published, restored

RETENTION_S = 100


@pytest.fixture
def attic() -> Attic:
    """A deployment with a worker, whose workflows stay for 100 s."""
    made = Attic()
    made.rules = replace(ANY, retention_s=RETENTION_S)
    made.join()
    return made


def wait(attic: Attic, seconds: float = RETENTION_S) -> list[str]:
    """Let time pass, and return what is put aside."""
    attic.now_ms += int(seconds * 1000)
    return attic.retire()


def finished(attic: Attic, name: str = "flow", **properties: float) -> None:
    """Run a workflow to its end."""
    attic.upload(make("a", "x"), copy("b", "x", "y"), name=name, **properties)
    attic.run_all(name)


def test_a_finished_workflow_leaves_memory_when_its_time_is_over(attic: Attic) -> None:
    """Nothing but a line is kept of it, and what nobody finished stays."""
    finished(attic)
    attic.upload(copy("c", "outside", "z"), name="stalled")
    attic.upload(name="empty")
    assert wait(attic, RETENTION_S - 1) == []
    assert wait(attic, 1) == ["flow"]
    assert set(attic.state.workflows) == {"stalled", "empty"} == {one.name for one in attic.state.by_uid.values()}
    assert wait(attic, 100 * RETENTION_S) == []


def test_each_change_gives_a_workflow_its_whole_time_anew(attic: Attic) -> None:
    """What counts is when it last changed."""
    finished(attic)
    attic.now_ms += (RETENTION_S - 1) * 1000
    attic.arrive("other")
    assert wait(attic, RETENTION_S - 1) == []
    assert wait(attic, 1) == ["flow"]


def test_a_workflow_has_its_own_time_where_it_says_so(attic: Attic) -> None:
    """The property `retention_s` wins over the setting, also where that keeps workflows for ever."""
    finished(attic, "brief", retention_s=0.0001)
    finished(attic, "long", retention_s=1000)
    finished(attic, "usual")
    assert wait(attic, 1) == ["brief"]
    assert wait(attic) == ["usual"]
    assert wait(attic, 1000) == ["long"]
    attic.rules = ANY
    finished(attic, "kept")
    finished(attic, "own", retention_s=10)
    assert wait(attic, 10**6) == ["own"]


def test_a_workflow_that_ended_in_an_error_leaves_too(attic: Attic) -> None:
    """A failed Step is an end, unless another attempt follows or others wait for something from outside."""
    for name in ("failed", "waits"):
        attic.upload(make("a", "x"), name=name)
        attic.fail("a", name=name)
    attic.ask(rq.Merge("waits", (copy("b", "outside", "y"),)))
    attic.upload(make("a", "x"), name="retries")
    attic.fail("a", FailureClass.STORE, name="retries")
    assert attic.states("retries") == {"a": "retrying"}
    assert wait(attic) == ["failed"]


def test_a_halted_workflow_stays(attic: Attic) -> None:
    """It is not at its end."""
    finished(attic)
    attic.ask(rq.Halt("flow"))
    assert wait(attic) == []
    attic.ask(rq.Run("flow"))
    assert wait(attic) == ["flow"]


def test_a_workflow_that_changes_while_it_is_stored_stays(attic: Attic) -> None:
    """What was stored of it is worth nothing then; its time begins anew."""
    finished(attic)
    attic.now_ms += RETENTION_S * 1000
    attic.ask(rq.Tick())
    (effect,) = [one for one in attic.effects if isinstance(one, Archive)]
    said = attic.encode(effect.uid)
    attic.arrive("other")
    assert attic.ask(said) is False
    attic.ask(rq.Delete("flow"))
    assert attic.ask(said) is False
    assert wait(attic, 0) == []


def test_it_is_listed_as_before(attic: Attic) -> None:
    """The line in the list stays the same, but for saying so."""
    finished(attic)
    finished(attic, "another")
    before = attic.ask(rq.ListWorkflows())
    wait(attic)
    after = attic.ask(rq.ListWorkflows())
    assert after == tuple(replace(line, archived=True) for line in before)
    assert [line.name for line in attic.ask(rq.ListWorkflows(prefix="f", state="complete"))] == ["flow"]
    assert attic.ask(rq.ListWorkflows(state="running")) == ()


READS: list[rq.Request] = [
    rq.GetStatus("flow"), rq.ListSteps("flow"), rq.Explain("flow", "b"), rq.GetFiles("flow", "y"), rq.GetUid("flow"),
    rq.PlanExpire("flow", ("a",)), rq.CheckSteps("flow", Reading((make("c", "z"),))),
    rq.CheckCommands("flow", Reading(COMMANDS)),
    rq.SetCommands("flow", ()), rq.GetReferences("flow", ("x", "y")), rq.GetStepReferences(1, (0, 1)),
]  # fmt: skip


@pytest.mark.parametrize("request_", READS, ids=lambda one: type(one).__name__)
def test_it_is_read_as_before(attic: Attic, request_: rq.Request) -> None:
    """What only reads has the same answer, and brings nothing back."""
    finished(attic)
    before = attic.ask(request_)
    wait(attic)
    assert attic.ask(request_) == before
    assert "flow" in attic.state.archived


CHANGES: list[rq.Request] = [
    rq.Merge("flow", (make("c", "z"),)), rq.SetCommands("flow", (replace(COMMANDS[1], image="new"),)),
    rq.Expire("flow", ("a",)), rq.Run("flow"), rq.Halt("flow"), rq.Remove("flow", ("b",)),
    rq.Arrive("flow", (published("put", "v1"),)),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_a_change_brings_it_back(attic: Attic, change: rq.Request) -> None:
    """It goes on as if it had never been away, and its object is dropped; the numbers of its events go on."""
    never = Attic()
    never.join()
    for one in (attic, never):
        finished(one)
    assert wait(attic) == ["flow"]
    assert attic.announcer.sequences == {}
    never.now_ms = attic.now_ms
    assert attic.ask(change) == never.ask(change)
    assert attic.digest == never.digest
    assert attic.told == never.told
    assert attic.objects == {".gaia/gaia/archive/1": {}}


def test_a_workflow_that_came_back_stays_for_a_moment(attic: Attic) -> None:
    """A refused change does not send it to and fro; but it does not get all of its time again."""
    finished(attic)
    wait(attic)
    with pytest.raises(UnknownName):
        attic.ask(rq.Remove("flow", ("nothing",)))
    assert wait(attic, 59) == []
    assert wait(attic, 1) == ["flow"]


def test_a_workflow_comes_back_once(attic: Attic) -> None:
    """Somebody else's change may have brought it back, or it is deleted, or lies elsewhere by now."""
    finished(attic)
    wait(attic)
    archived = attic.state.archived["flow"]
    other = replace(archived.file, version="other")
    data = attic.objects[archived.file.key][archived.file.version]
    assert attic.ask(rq.Revive(1, other, Restored(data, decode_archived))) is False
    assert attic.ask(rq.Revive(1, archived.file, Restored(data, decode_archived))) is True
    assert attic.ask(rq.Revive(1, archived.file, Restored(data, decode_archived))) is False


def test_its_name_stays_taken(attic: Attic) -> None:
    """A new workflow cannot have the name of an archived one."""
    finished(attic)
    wait(attic)
    with pytest.raises(AlreadyExists):
        attic.upload(make("a", "x"))


def test_a_retried_change_is_done_once(attic: Attic) -> None:
    """Request ids are remembered while the workflow is away."""
    request = rq.SetCommands("flow", COMMANDS[:1], rq.RequestId("id", b"digest"))
    finished(attic)
    first = attic.ask(request)
    wait(attic)
    assert attic.ask(request) == first
    attic.run_all()
    wait(attic)
    assert attic.ask(request) == first


@pytest.mark.parametrize("data", [False, True])
def test_it_is_deleted_where_it_lies(attic: Attic, data: bool) -> None:
    """Deleting brings nothing back; what is told of it has the next number, and the object goes."""
    finished(attic)
    wait(attic)
    sequence = attic.state.archived["flow"].sequence
    with pytest.raises(NotAllowedNow):
        attic.ask(rq.Delete("flow", expected_revision=7))
    attic.ask(rq.Delete("flow", data, expected_revision=3))
    assert [one for one in attic.effects if isinstance(one, DeleteData)] == [DeleteData(1, "flow")] * data
    last = attic.told[-1]
    assert (last.fact, last.sequence, last.workflow) == (WorkflowChanged("deleted"), sequence + 1, "flow")
    assert attic.announcer.updates[-1].deleted
    assert attic.objects == {".gaia/gaia/archive/1": {}}
    assert attic.ask(rq.GetGone()).doomed == ({1: "flow"} if data else {})
    with pytest.raises(UnknownName):
        attic.ask(rq.GetStatus("flow"))


def test_watchers_hear_how_it_stands(attic: Attic) -> None:
    """An archived workflow stands as it did, now and when somebody begins from a snapshot."""
    finished(attic)
    before = attic.announcer.updates[-1]
    wait(attic)
    after = attic.announcer.updates[-1]
    assert after == replace(before, archived=True)
    assert attic.announcer.standing() == [after]


def test_a_snapshot_keeps_what_is_archived(attic: Attic) -> None:
    """Who begins from a snapshot knows the same archived workflows, and takes them back."""
    finished(attic)
    attic.upload(make("a", "x"), name="other", owner="ada", note={"deep": [1]})
    attic.run_all("other")
    wait(attic)
    attic.announcer = restored(attic.announcer)
    attic.restart()
    assert set(attic.state.archived) == {"flow", "other"}
    assert attic.ask(rq.GetArchives((1, 2, 3))).keys() == {1, 2}
    attic.ask(rq.Expire("flow", ("a",)))
    assert attic.run_all() == ["a", "b"]


def test_who_cannot_read_archives_is_told(attic: Attic) -> None:
    """The machine itself answers nothing about a workflow that has left memory."""
    finished(attic)
    wait(attic)
    with pytest.raises(IsArchived) as raised:
        answer_query(attic.state, rq.GetStatus("flow"))
    assert raised.value.archived.name == "flow"
    assert "flow" in str(raised.value)


def test_who_only_follows_notes_nothing(attic: Attic) -> None:
    """A follower never asks which workflows are due, so nothing piles up there."""
    announcer = Announcer()
    finished(attic)
    announcer.follow(1, [])
    assert attic.announcer.state.resting.take(attic.announcer.state.by_uid, 10**9, 1) == []


def test_memory_is_flat() -> None:
    """However many workflows come and go, only a line is left of each, and of deleted ones nothing."""
    attic = Attic()
    attic.rules = replace(ANY, retention_s=1)
    attic.join()
    for number in range(200):
        name = f"flow{number}"
        attic.upload(make("a", "x"), name=name, commands=COMMANDS[:2])
        attic.run_all(name)
        attic.now_ms += 500
        attic.retire()
        for state in (attic.state, attic.replica, attic.announcer.state):
            assert len(state.workflows) == len(state.by_uid) <= 3
            assert all(len(lanes) <= 3 for lanes in state.ready.pools.values())
        assert len(attic.announcer.sequences) == len(attic.announcer.rests) <= 3
        if number >= 100:
            attic.ask(rq.Delete(f"flow{number - 50}"))
    assert len(attic.state.archived) < 110
