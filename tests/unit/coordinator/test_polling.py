"""Files that others write into the store are noticed: new ones, changed ones, whole trees, and never an attempt's own.

The poller, the loop and the machine are real; a round is taken when the test says so.
"""

import logging
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from gaia_core.coordinator import polling as module
from gaia_core.coordinator import sightings
from gaia_core.coordinator.polling import Poller
from gaia_core.coordinator.sightings import TROUBLE_S
from gaia_core.errors import GaiaError, Overloaded
from gaia_core.machine import requests as rq
from gaia_core.workflow.model import FileVersion, Publication, StepSpec
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand, Shard
from tests.unit.coordinator.stores import NotingStore
from tests.unit.machine.deployment import copy, make


class Polled:
    """A shard, its store, and a poller that takes a round when told to."""

    def __init__(self, *, expire_changed: bool = True) -> None:
        self.store = NotingStore()
        self.shard = Shard().open()
        self.hand = Hand(self.shard)
        self.hand.hello()
        self.shard.settle()
        self.arrivals: list[rq.Arrive] = []
        self.refusals = 0
        self.poller = Poller(self.store, self._submit, 0.0, expire_changed=expire_changed, clock=self.store.clock)

    def _submit(self, request: rq.Request) -> "Future[Any]":
        if isinstance(request, rq.Arrive):
            if self.refusals:
                self.refusals -= 1
                raise Overloaded("too many requests wait already")
            self.arrivals.append(request)
        answer = self.shard.loop.submit(request)
        self.shard.turn()
        return answer

    def look(self) -> list[str]:
        """Take a round and return the Keys that arrived."""
        self.arrivals.clear()
        self.store.asked.clear()
        self.poller.look()
        return [one.key for request in self.arrivals for one in request.keys]

    def run_all(self, *steps: str) -> None:
        """Let the worker complete Steps."""
        self.hand.read()
        self.hand.complete(*steps)
        self.shard.settle()
        self.hand.orders.clear()

    def put(self, key: str, data: bytes = b"x") -> None:
        """Put a file as a client does: store it, then let it arrive with its digest."""
        stored = self.store.drop(key, data)
        file = FileVersion(key, stored.version, len(data), b"\1" * 32)
        self.shard.ask(rq.Arrive("flow", (Publication(key, (file,)),)))

    def attempts(self, step: str = "r") -> int:
        """Return the number of a Step's latest attempt."""
        return self.shard.step(step).attempt


@pytest.fixture
def polled() -> Polled:
    return Polled()


def gather(name: str, tree: str, out: str) -> StepSpec:
    """A Step that reads a tree."""
    return StepSpec(name, "list", {"in": tree}, {"out": out})


def test_a_new_file_is_noticed(polled: Polled) -> None:
    """A file that a waiting Step reads starts it at the next round, for one look at it."""
    polled.shard.upload(copy("r", "in/a", "out"))
    assert polled.look() == []
    assert polled.store.asked == [("stat", "flow/in/a")]
    assert polled.shard.states() == {"r": "waiting"}
    polled.store.drop("in/a")
    assert polled.look() == ["in/a"]
    assert polled.shard.states() == {"r": "running"}
    assert polled.look() == []


def test_many_new_files_of_a_folder_are_noticed_by_one_list(polled: Polled) -> None:
    """However many Keys of one folder are awaited, a round costs one LIST of it."""
    polled.shard.upload(*[copy(f"r{number}", f"in/{number}", f"out/{number}") for number in range(50)])
    for number in range(0, 50, 2):
        polled.store.drop(f"in/{number}")
    assert polled.look() == [f"in/{number}" for number in range(0, 50, 2)]
    assert polled.store.asked == [("list", "flow/in/")]
    assert sorted(polled.shard.states().values()) == ["ready"] * 15 + ["running"] * 10 + ["waiting"] * 25


def test_files_nobody_reads_are_not_looked_for(polled: Polled) -> None:
    """Only Keys that Steps read and no Step writes cost anything."""
    polled.shard.upload(make("w", "made"), copy("r", "made", "out"))
    polled.store.drop("made")
    polled.store.drop("other")
    assert polled.look() == []
    assert polled.store.asked == []


def test_a_changed_file_runs_its_readers_again(polled: Polled) -> None:
    """A complete reader runs again with the new version, and what depends on it; nothing else does."""
    polled.shard.upload(copy("r", "a", "b"), copy("s", "b", "c"), copy("other", "z", "y"))
    polled.store.drop("a")
    polled.store.drop("z")
    polled.look()
    polled.run_all("r", "other")
    polled.run_all("s")
    changed = polled.store.drop("a", b"other")
    assert polled.look() == ["a"]
    assert polled.shard.states() == {"r": "running", "s": "waiting", "other": "complete"}
    key = polled.shard.state.workflows["flow"].graph.keys["a"]
    assert key.arrived is not None
    assert key.arrived.files[0].version == changed.version
    assert polled.look() == []


def test_changes_can_be_ignored() -> None:
    """Where the deployment says so, only new files are noticed, and known ones are not even looked for."""
    polled = Polled(expire_changed=False)
    polled.shard.upload(copy("r", "a", "b"), copy("s", "z", "y"))
    polled.store.drop("a")
    assert polled.look() == ["a"]
    polled.run_all("r")
    polled.store.drop("a", b"other")
    polled.store.drop("z")
    assert polled.look() == ["z"]
    assert polled.store.asked == [("stat", "flow/z")]
    assert polled.attempts() == 1


def test_a_file_that_is_deleted_changes_nothing(polled: Polled) -> None:
    """What was there and is gone may come back; readers keep what they have read."""
    polled.shard.upload(copy("r", "a", "b"))
    stored = polled.store.drop("a")
    polled.look()
    polled.run_all("r")
    polled.store.delete_version(None, "flow/a", stored.version)
    assert polled.look() == []
    assert polled.shard.states() == {"r": "complete"}


def test_a_tree_counts_once_it_was_the_same_twice(polled: Polled) -> None:
    """While somebody still writes into it, it is not there; nor do changes of it count."""
    polled.shard.upload(gather("r", "t/", "out"))
    assert polled.look() == []
    for number in range(3):
        polled.store.drop(f"t/{number}")
        assert polled.look() == []
    assert polled.look() == ["t/"]
    polled.run_all("r")
    assert polled.look() == []
    polled.store.drop("t/1", b"other")
    assert polled.look() == []
    polled.store.drop("t/3")
    assert polled.look() == []
    assert polled.attempts() == 1
    assert polled.look() == ["t/"]
    assert polled.attempts() == 2


def test_what_a_step_wrote_does_not_count_when_it_is_gone(polled: Polled) -> None:
    """An object that a removed Step left in the store is nobody's until it is put or announced, alone or in a tree."""
    polled.shard.upload(make("w", "t/made"), copy("r", "t/made", "out"), gather("g", "t/", "all"))
    polled.store.drop("t/made", b"by the attempt")
    polled.run_all("w")
    polled.shard.ask(rq.Remove("flow", ("w",)))
    polled.look(), polled.look(), polled.look()
    assert polled.shard.states() == {"r": "waiting", "g": "waiting"}
    polled.put("t/made")
    assert polled.shard.states() == {"r": "running", "g": "waiting"}


def test_what_an_attempt_uploads_late_does_not_count(polled: Polled) -> None:
    """Where a Step once wrote, later versions are not believed, though what was put there is, alone or in a tree."""
    polled.shard.upload(make("w", "t/made"), copy("r", "t/made", "out"), gather("g", "t/", "all"))
    polled.shard.ask(rq.Remove("flow", ("w",)))
    polled.put("t/made")
    polled.look(), polled.look()
    assert polled.shard.states() == {"r": "running", "g": "running"}
    polled.store.drop("t/made", b"by a zombie")
    polled.look(), polled.look()
    assert (polled.attempts("r"), polled.attempts("g")) == (1, 1)


def test_a_step_that_is_merged_meanwhile_wins(polled: Polled) -> None:
    """A Key that a Step has begun to write since it was looked for does not arrive."""
    polled.shard.upload(copy("r", "a", "b"))
    polled.store.drop("a")
    late = rq.Arrive("flow", (Publication("a", (FileVersion("a", "x", 1, b""),)),), (None,))
    polled.shard.ask(rq.Merge("flow", (make("w", "a"),)))
    polled.shard.ask(late)
    assert polled.shard.states() == {"r": "waiting", "w": "running"}


def test_a_put_wins_over_a_look_that_is_older(polled: Polled) -> None:
    """What was seen before a put does not replace it, and makes nothing run again."""
    polled.shard.upload(copy("r", "a", "b"))
    polled.store.drop("a", b"first")
    polled.look()
    polled.run_all("r")
    polled.store.drop("a", b"second")
    submitted: list[rq.Arrive] = []

    def put_first(request: rq.Request) -> "Future[Any]":
        if isinstance(request, rq.Arrive):
            polled.put("a", b"third")
            submitted.append(request)
        return polled._submit(request)

    polled.poller._submit = put_first
    polled.poller.look()
    assert [one.key for one in submitted[0].keys] == ["a"]
    key = polled.shard.state.workflows["flow"].graph.keys["a"]
    assert key.arrived is not None
    assert key.arrived.files[0].sha256 == b"\1" * 32
    assert polled.shard.step("r").attempt == 2


def test_a_look_between_the_two_halves_of_a_put_counts_once(polled: Polled) -> None:
    """What is put may be seen before it is said; its readers run once, and its digest is known in the end."""
    polled.shard.upload(copy("r", "a", "b"))
    polled.put("a", b"first")
    polled.run_all("r")
    stored = polled.store.drop("a", b"second")
    assert polled.look() == ["a"]
    assert polled.attempts() == 2
    file = FileVersion("a", stored.version, 6, b"\2" * 32)
    polled.shard.ask(rq.Arrive("flow", (Publication("a", (file,)),)))
    assert polled.attempts() == 2
    key = polled.shard.state.workflows["flow"].graph.keys["a"]
    assert key.arrived == Publication("a", (file,))


def test_what_is_announced_as_it_is_known_changes_nothing(polled: Polled) -> None:
    """Telling once more of a file that was put runs nothing again and loses no digest."""
    polled.shard.upload(copy("r", "a", "b"))
    polled.put("a")
    polled.run_all("r")
    seen = sightings.find(polled.store, "flow", "a")
    assert seen is not None
    polled.shard.ask(rq.Arrive("flow", (seen,)))
    key = polled.shard.state.workflows["flow"].graph.keys["a"]
    assert key.arrived is not None
    assert key.arrived.files[0].sha256
    assert polled.attempts() == 1


def test_a_round_is_bounded_and_the_next_goes_on(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each workflow so many Keys are looked for; rounds pass through all of them and begin again."""
    monkeypatch.setattr(module, "KEYS_PER_ROUND_MAX", 4)
    monkeypatch.setattr(module, "PAGE_KEYS", 3)
    polled.shard.upload(*[copy(f"r{number}", f"{number}/k", f"out/{number}") for number in range(10)])
    polled.shard.upload(copy("r", "other", "out"), name="small")

    def looked_for() -> list[str]:
        polled.look()
        return [path.split("/")[1] for _, path in polled.store.asked if path.startswith("flow/")]

    assert [looked_for() for _ in range(4)] == [list("0123"), list("4567"), list("89"), list("0123")]
    assert polled.store.asked[-1] == ("stat", "small/other")
    polled.store.drop("5/k")
    assert polled.look() == ["5/k"]


def test_a_passage_that_ends_with_a_full_round_wastes_none(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the Keys are just so many, the next round begins again."""
    monkeypatch.setattr(module, "KEYS_PER_ROUND_MAX", 2)
    polled.shard.upload(*[copy(f"r{number}", f"{number}/k", f"out/{number}") for number in range(4)])
    for _ in range(4):
        polled.look()
        assert len(polled.store.asked) == 2


def test_trees_are_confirmed_however_many_rounds_a_passage_takes(
    polled: Polled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree is compared with what the last look at it found, not with what the last round saw."""
    monkeypatch.setattr(module, "KEYS_PER_ROUND_MAX", 2)
    polled.shard.upload(gather("r", "t/", "out"), *[copy(f"r{n}", f"{n}/k", f"out/{n}") for n in range(5)])
    polled.store.drop("t/x")
    assert [polled.look() for _ in range(4)] == [[], [], [], ["t/"]]


def test_keys_of_one_folder_are_listed_once_a_round(polled: Polled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of the coordinator do not multiply LISTs, and a folder full of known files is not too full."""
    monkeypatch.setattr(module, "PAGE_KEYS", 10)
    monkeypatch.setattr(sightings, "LISTED_EXTRA", 5)
    polled.shard.upload(*[copy(f"r{number:02}", f"in/{number:02}", f"out/{number:02}") for number in range(30)])
    for number in range(30):
        polled.store.drop(f"in/{number:02}")
    assert len(polled.look()) == 30
    assert polled.store.asked == [("list", "flow/in/")]
    assert [len(request.keys) for request in polled.arrivals] == [10, 10, 10]
    assert polled.look() == []
    assert polled.store.asked == [("list", "flow/in/")]


def test_a_store_that_fails_is_logged_once_and_asked_again(polled: Polled, caplog: pytest.LogCaptureFixture) -> None:
    """What it cannot tell now it may tell at the next round; the log says so when that begins, not each time."""
    caplog.set_level(logging.WARNING)
    polled.shard.upload(copy("r", "a", "b"), copy("s", "z/1", "c"))
    polled.store.drop("a")
    polled.store.drop("z/1")
    polled.store.moods = {"flow/a": 3}
    assert [polled.look() for _ in range(4)] == [["z/1"], [], [], ["a"]]
    (record,) = caplog.records
    assert vars(record)["workflow"] == "flow"
    assert (vars(record)["keys"], vars(record)["cause"]) == (1, "not today: flow/a")
    polled.store.moods = {"flow/a": 1}
    polled.look()
    assert len(caplog.records) == 2


def test_a_store_that_is_away_does_not_starve_what_comes_later(polled: Polled) -> None:
    """A round that was broken off because of failures is followed by one that begins behind them."""
    polled.shard.upload(*[copy(f"r{number}", f"{number}/k", f"out/{number}") for number in range(10)])
    polled.store.drop("9/k")
    polled.store.moods = {f"flow/{number}/k": 10**6 for number in range(9)}
    polled.store.slow_s = TROUBLE_S / 3
    assert [polled.look() for _ in range(3)] == [[], [], ["9/k"]]


def test_a_coordinator_that_is_full_is_told_again(polled: Polled) -> None:
    """What it had no room for is news at the next round, a tree too."""
    polled.shard.upload(copy("r", "a", "b"), gather("g", "t/", "out"))
    polled.store.drop("a")
    polled.store.drop("t/x")
    polled.refusals = 1
    with pytest.raises(GaiaError):
        polled.poller.look()
    assert sorted(polled.look()) == ["a", "t/"]


def test_a_workflow_that_goes_meanwhile_is_passed_over(polled: Polled) -> None:
    """Deleted between two questions, it costs nothing and hinders no other."""
    polled.shard.upload(copy("r", "a", "b"), name="gone")
    polled.shard.upload(copy("r", "a", "b"))
    polled.store.drop("a")
    uids = polled.shard.ask(rq.ListOutside())

    def forget_first(request: rq.Request) -> "Future[Any]":
        if request == rq.GetOutside(uids[0], 0, module.PAGE_KEYS) and "gone" in polled.shard.state.workflows:
            polled.shard.ask(rq.Delete("gone"))
        return polled._submit(request)

    polled.poller._submit = forget_first
    polled.poller.look()
    assert [request.workflow for request in polled.arrivals] == ["flow"]
    assert polled.shard.states() == {"r": "running"}


class Silent:
    """A coordinator that answers nothing, and then that it is going down."""

    def __init__(self) -> None:
        self.asked = 0

    def submit(self, _: rq.Request) -> "Future[Any]":
        self.asked += 1
        answer: Future[Any] = Future()
        answer.set_exception(TimeoutError() if self.asked % 2 else Overloaded("full"))
        return answer


def test_a_coordinator_that_does_not_answer_ends_no_poller(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it does, the next round asks again, until the poller is stopped."""
    silent = Silent()
    poller = Poller(NotingStore(), silent.submit, 0.001, expire_changed=True)
    thread = threading.Thread(target=poller.run)
    thread.start()
    wait_until(lambda: silent.asked >= 4, "four rounds")
    poller.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert {vars(record)["cause"] for record in caplog.records} == {"no answer", "full"}
