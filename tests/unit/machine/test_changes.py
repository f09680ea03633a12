"""Changes that move Keys: a Command's defaults, several inputs, arrivals that race with merges."""

from dataclasses import replace

import pytest

from gaia_core.errors import InvalidWorkflow, NotAllowedNow
from gaia_core.machine import arrivals
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import LookUp
from gaia_core.workflow.events import QueueTimedOut
from gaia_core.workflow.model import Command, FileVersion, Options, Publication, StepSpec
from gaia_core.workflow.validate import Rules
from tests.unit.machine.deployment import COMMANDS, COPY, Driver, copy, make, published

MOVING = Command("moving", "image", ("x",), {}, {"out": "/out"}, {"dir": "old"})
MOVED = Command("moving", "image", ("x",), {}, {"out": "/out"}, {"dir": "new"})
JOIN = Command("join", "image", ("x",), {"a": "/a", "b": "/b", "c": "/c"}, {"out": "/out"})


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join()
    return driver


def looked_up(driver: Driver) -> set[str]:
    return {key for effect in driver.effects if isinstance(effect, LookUp) for key in effect.keys}


def test_a_changed_default_moves_the_keys_that_splice_it(driver: Driver) -> None:
    """Readers of the Key that was written, and of the one that is written now, run again."""
    driver.upload(
        StepSpec("w", "moving", {}, {"out": "{{dir}}/k"}), copy("was", "old/k", "a"), copy("will", "new/k", "b"),
        commands=[*COMMANDS, MOVING],
    )  # fmt: skip
    driver.arrive("new/k")
    driver.run_all()
    driver.ask(rq.SetCommands("flow", (MOVED,)))
    assert driver.states() == {"w": "running", "was": "waiting", "will": "waiting"}
    assert driver.run_all() == ["w", "will"]
    assert driver.flow().flow_state == ("running", True)


def test_a_changed_default_that_makes_writers_overlap_is_refused(driver: Driver) -> None:
    """A Command is judged by the Keys that its Steps would write."""
    driver.upload(
        StepSpec("w", "moving", {}, {"out": "{{dir}}/k"}), make("other", "new/k"), commands=[*COMMANDS, MOVING]
    )
    with pytest.raises(InvalidWorkflow, match="new/k"):
        driver.ask(rq.SetCommands("flow", (MOVED,)))
    assert driver.flow().commands["moving"] == MOVING


def test_a_step_waits_for_all_that_it_reads(driver: Driver) -> None:
    """With several inputs the last one makes it ready, whichever that is."""
    inputs = {"a": "ka", "b": "kb", "c": "outside"}
    driver.upload(make("a", "ka"), make("b", "kb"), StepSpec("j", "join", inputs, {}), commands=[*COMMANDS, JOIN])
    driver.complete("b")
    driver.arrive("outside")
    assert (driver.states()["j"], driver.step("j").missing) == ("waiting", 1)
    driver.complete("a")
    assert driver.states()["j"] == "running"


def test_the_same_version_that_arrives_again_changes_nothing(driver: Driver) -> None:
    """Only a changed outside object expires its readers."""
    driver.upload(copy("r", "k", "o"))
    one = published("k", "v1")
    driver.ask(rq.Arrive("flow", (one,)))
    driver.ask(rq.Arrive("flow", (one,)))
    assert (driver.events, driver.step("r").attempt) == ([], 1)


def test_what_was_looked_up_gives_way_to_everything_else(driver: Driver) -> None:
    """An answer of the store counts where nothing is known; a Key that is written, put or left behind is no news."""
    driver.upload(make("w", "written"), make("m", "left"), copy("r", "put", "o"), copy("q", "free", "p"))
    driver.merge(make("m", "moved"))
    driver.ask(rq.Arrive("flow", (published("put", "newer"),)))
    found = tuple(published(key, "older") for key in ("written", "left", "put", "free"))
    driver.ask(rq.Arrive("flow", found, instead_of=(None,) * len(found)))
    arrived = {name: key.arrived for name, key in driver.flow().graph.keys.items() if key.arrived is not None}
    assert arrived == {"put": published("put", "newer"), "free": published("free", "older")}
    assert driver.step("r").attempt == 1


def test_a_put_of_a_written_key_refuses_the_whole_request(driver: Driver) -> None:
    """What a person puts is refused, naming the Step, and nothing of it counts."""
    driver.upload(make("w", "t/k"), copy("r", "free", "o"))
    with pytest.raises(NotAllowedNow, match="written by Step 'w'"):
        driver.arrive("free", "t/")
    assert driver.states()["r"] == "waiting"


def test_new_readers_ask_the_store_for_what_they_lack(driver: Driver) -> None:
    """Each outside Key that a merged Step lacks is looked up; written, known and left-behind ones are not."""
    driver.upload(make("w", "written"), make("m", "left"), copy("r", "known", "o"))
    assert looked_up(driver) == {"known"}
    driver.arrive("known")
    driver.merge(make("m", "moved"))
    inputs = {"a": "written", "b": "known", "c": "left"}
    driver.ask(rq.SetCommands("flow", (JOIN,)))
    driver.merge(StepSpec("j", "join", inputs, {}), copy("s", "unknown", "p"), copy("t", "in/", "q", command="list"))
    assert looked_up(driver) == {"unknown", "in/"}


def test_an_attempt_that_is_current_is_held_and_one_that_is_not_is_stopping(driver: Driver) -> None:
    """What a worker holds and what the Steps say agree after every kind of reset."""
    driver.upload(make("a", "a"), make("b", "b"), make("c", "c"))
    driver.merge(make("a", "a"))
    driver.ask(rq.Expire("flow", ("step:b",)))
    held = {
        (attempt.step, attempt.attempt): stopping for attempt, stopping in driver.state.fleet.workers["w"].held.items()
    }
    assert held == {(0, 1): True, (0, 2): False, (1, 1): True, (1, 2): False, (2, 1): False}


def test_a_changed_default_cannot_rename_the_elements_of_a_sweep(driver: Driver) -> None:
    """They would be other Steps; this is for `remove` and `merge`, and until then everything stays as it is."""
    command = Command("named", "image", ("x", "{{base}}"), {}, {"out": "/out"}, vars={"base": "x"})
    sweep = StepSpec("s", "named", {}, {"out": "{{each}}"}, vars={"each": ("{{base}}1", "{{base}}2")})
    driver.upload(sweep, commands=(command,))
    other = replace(command, command=("x", "{{base}}", "{{more}}"), vars={"base": "y", "more": "m"})
    with pytest.raises(InvalidWorkflow, match="'s-x1' would get another name"):
        driver.ask(rq.SetCommands("flow", (other,)))
    assert driver.states() == {"s-x1": "running", "s-x2": "running"}
    driver.ask(rq.Remove("flow", ("s",)))
    driver.ask(rq.SetCommands("flow", (other,)))
    driver.merge(sweep)
    assert driver.states() == {"s-y1": "running", "s-y2": "running"}


def test_a_changed_default_keeps_to_the_rules(driver: Driver) -> None:
    """No bucket that Keys may not name, and no more Steps than a sweep may make, by way of a Command."""
    driver.rules = Rules(3, "own", frozenset({"allowed"}))
    inner = StepSpec("i", "make", {}, {"out": "n"})
    pair = Command("pair", inputs={}, outputs={}, steps=(inner,))
    moving = replace(MOVING, vars={"dir": "allowed"})
    driver.upload(
        StepSpec("w", "moving", {}, {"out": "{{dir}}:flow/k"}),
        StepSpec("s", "pair"),
        commands=(*COMMANDS, moving, pair),
    )
    with pytest.raises(InvalidWorkflow, match="Gaia's own bucket"):
        driver.ask(rq.SetCommands("flow", (replace(moving, vars={"dir": "own"}),)))
    many = replace(inner, outputs={"out": "n{{x}}"}, vars={"x": (1, 2, 3, 4)})
    with pytest.raises(InvalidWorkflow, match="makes 4 Steps; a sweep may make 3"):
        driver.ask(rq.SetCommands("flow", (replace(pair, steps=(many,)),)))


def test_a_changed_command_asks_the_store_for_what_its_steps_lack_now(driver: Driver) -> None:
    """As a merge does."""
    command = replace(COPY, vars={"reference": "a"})
    driver.upload(StepSpec("s", "copy", {"in": "{{reference}}.fa"}, {"out": "o"}), commands=(command,))
    assert looked_up(driver) == {"a.fa"}
    driver.ask(rq.SetCommands("flow", (replace(command, vars={"reference": "b"}),)))
    assert looked_up(driver) == {"b.fa"}


def test_a_step_that_is_ready_anew_has_all_its_time_in_the_queue_again(driver: Driver) -> None:
    """A limit that was taken away or replaced no longer strikes, also where it all happens in one millisecond."""
    driver.ask(rq.LoseWorker("w", "i1", "away"))
    limited = make("s", "o", options=Options(queue_timeout_s=60))
    driver.upload(limited, make("t", "p", options=Options(queue_timeout_s=60)))
    driver.ask(rq.Expire("flow", ("t",)))
    driver.merge(make("s", "o"))
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    assert driver.states() == {"s": "ready", "t": "failed"}
    assert [event for event in driver.events if isinstance(event, QueueTimedOut)] == [QueueTimedOut(1, (1,))]
    driver.merge(limited)
    driver.now_ms += 59_999
    driver.ask(rq.Tick())
    assert driver.states()["s"] == "ready"
    driver.now_ms += 1
    driver.ask(rq.Tick())
    assert driver.states()["s"] == "failed"


def test_what_is_put_into_an_outside_tree_is_read_with_it(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: whoever waits for the workflow after a put gets what it led to."""

    def put(key: str, version: str) -> None:
        driver.ask(rq.Arrive("flow", (published(key, version),)))

    driver.upload(StepSpec("r", "list", {"in": "t/"}, {}))
    put("t/a", "1")
    assert driver.states() == {"r": "waiting"}
    tree = Publication("t/", (FileVersion("t/a", "1", 1, b""),))
    driver.ask(rq.Arrive("flow", (tree,)))
    driver.complete("r")
    put("t/b", "1")
    assert driver.sent() == (["r"], [])
    (source,) = driver.flow().graph.keys["t/"].arrived.files[1:]  # type: ignore[union-attr]
    assert (source.key, source.version) == ("t/b", "1")
    driver.complete("r")
    put("t/b", "1")
    assert driver.states() == {"r": "complete"}
    put("t/a", "2")
    assert driver.sent() == (["r"], [])
    driver.complete("r")
    monkeypatch.setattr(arrivals, "TREE_GROWN_MAX", 1)
    put("t/c", "1")
    assert driver.states() == {"r": "complete"}
