"""`gaia bench` where nothing runs: who takes part, what is made, how figures come about, how it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gaia.v1 import api_pb2
from gaia_client.bench import crew, figures, flows
from gaia_client.bench.course import Course, StepsFailed
from gaia_client.bench.made import Made
from gaia_client.cli import main as cli_main
from gaia_client.render import bench as render
from gaia_client.render.blocks import lines
from gaia_core.errors import GaiaError, NotAllowedNow, Unavailable, UnknownName
from gaia_core.workflow import parse, validate

Invoke = Callable[..., Result]


def worker(name: str, executor: str = "noop", pool: str = "default", **more: Any) -> dict[str, Any]:
    return {"name": name, "executor": executor, "pool": pool, "slots": 2, "prefetch": 4, "draining": False,
            "trouble": "", "host": "h", **more}  # fmt: skip


def event(step: str, time: str, came_s: float = 0.0) -> dict[str, Any]:
    return {"step": step, "time": f"2024-05-01T12:30:{time}Z", "came-s": came_s}


# ---- who takes part ----


def test_only_workers_that_take_steps_take_part() -> None:
    """Workers of another pool, those that leave and those in trouble are left out."""
    well = worker("a")
    others = [worker("b", pool="gpu"), worker("c", draining=True), worker("d", trouble="its disk is full")]
    assert crew.crew_of([well, *others], "default") == [well]


@pytest.mark.parametrize(
    ("workers", "words", "hint"),
    [
        ([], "There is no worker that could run Steps.", "gaia worker --pool default"),
        ([worker("a", pool="gpu")], "There is no worker of pool 'default'.", "--pool gpu"),
        ([worker("a", draining=True), worker("b", trouble="no disk")], "a is leaving, b says: no disk", "gaia workers"),
    ],
)
def test_why_nobody_takes_part(workers: list[dict[str, Any]], words: str, hint: str) -> None:
    """The refusal tells whether there is nobody at all, nobody in this pool, or nobody who takes something."""
    with pytest.raises(NotAllowedNow) as refusal:
        crew.crew_of(workers, "default")
    assert words in refusal.value.message
    assert hint in refusal.value.hint


def test_sizes_follow_the_slowest_executor() -> None:
    """Where nothing is run there are 10,000 Steps; where programs are, as many as their slots can do in a while."""
    assert crew.size_for([worker("a")]) == crew.Size(10_000, 100)
    assert crew.size_for([worker("a", "sandbox")]) == crew.Size(1_000, 50)
    assert crew.size_for([worker("a"), worker("b", "docker"), worker("c", "sandbox")]) == crew.Size(600, 10)
    assert crew.size_for([worker("a", "somebody's own", slots=1_000)]) == crew.Size(10_000, 10)


def test_credit_is_that_of_those_who_took_part() -> None:
    """Slots and prefetch are added up over the workers that ran something, as they were last known."""
    known = crew.by_name([worker("a"), worker("b"), worker("c")], [worker("b", slots=3)])
    took_part = crew.took_part(known, ["b", "a", "b", "gone"])
    assert [each["name"] for each in took_part] == ["a", "b"]
    assert crew.credit_of(took_part) == {"slots": 5, "prefetch": 8}
    assert crew.executors([worker("a"), worker("b", "docker"), worker("c")]) == {"docker": 1, "noop": 2}


# ---- what is made ----


def test_workflows_are_named_by_custom() -> None:
    """A name is owner_program_datetime; what a user's name has that a workflow's may not is left out."""
    moment = datetime(2024, 5, 1, 12, 30, 5, tzinfo=UTC)
    assert flows.name_of("ada", "wide", moment, "c0ffee") == "ada_bench-wide_20240501.123005-c0ffee"
    assert flows.owner_of("ÅSA\\ada_l") == "SA-ada-l"
    assert flows.owner_of("_") == "somebody"


@pytest.mark.parametrize("steps", [*flows.wide(7), flows.chain(7), flows.arrival(3, 7), flows.warm(7)])
def test_what_is_made_is_sound(steps: Sequence[flows.Plain]) -> None:
    """Every workflow of a measure is one that the client would take from anybody."""
    commands = parse.read_commands(flows.commands(flows.Program("image", ("echo", "x"), "fast")))
    these = parse.read_steps(steps)
    assert not commands.problems
    assert not these.problems
    assert not list(validate.check(commands, these))
    assert {command.options.pool for command in commands.items} == {"fast"}


def test_many_steps_are_made_in_parts() -> None:
    """No change has more Steps than a server takes in a few seconds, and together they are those that were wanted."""
    parts = [len(sweep["vars"]["N"]) for (sweep,) in flows.wide(120_000)]
    assert parts == [50_000, 50_000, 20_000]
    assert len({sweep["name"] for (sweep,) in flows.wide(120_000)}) == 3


# ---- figures ----


@pytest.mark.parametrize(
    ("rate", "most", "expected"),
    [
        (5_000.0, 10_000, figures.Schedule(100, 100, 0.02)),
        (4.0, 10_000, figures.Schedule(120, 1, 0.25)),
        (0.01, 10_000, figures.Schedule(1, 1, 100.0)),
        (5_000.0, 30, figures.Schedule(1, 30, 0.006)),
        (100_000.0, 1_000_000, figures.Schedule(10, 2_000, 0.02)),
    ],
)
def test_a_schedule_keeps_the_rate(rate: float, most: int, expected: figures.Schedule) -> None:
    """Steps come at the rate, singly or at most fifty times a second, for half a minute, and never too many."""
    schedule = figures.schedule_for(rate, most)
    assert schedule == expected
    assert schedule.steps <= min(most, figures.ARRIVALS_MOST)
    assert schedule.steps_per_merge / schedule.every_s == pytest.approx(rate)


def test_a_rate_is_taken_from_the_server_s_clock() -> None:
    """Steps per second count from the event of the Key to the last one, and no two events are nearer than a tick."""
    assert figures.rate(1_000, event("", "01.500"), event("", "02.000")) == (pytest.approx(0.5), pytest.approx(2_000))
    assert figures.rate(10, event("", "01.500"), event("", "01.500")) == (0.001, 10_000)


def test_gaps_of_a_chain_are_in_its_order() -> None:
    """Each Step of a chain takes from what was told of the one before it, in whichever order that was read."""
    told = [event("link-1", "0", 10.005), event("link-0", "0", 10.002), event("link-10", "0", 10.009)]
    assert figures.gaps_ms(10.0, told) == pytest.approx([2, 3, 4])


def test_latencies_count_from_when_steps_were_due() -> None:
    """What was sent late, or told late, counts from its place in the schedule to the server's date."""
    schedule = figures.Schedule(2, 1, 0.5)
    events = [event("arrival-0-0", "10.010", 100.012), event("arrival-1-0", "10.910", 107.0)]
    apart_s = figures.clocks_apart_s(events)
    assert figures.latencies_ms(schedule, 100.0, events, apart_s) == pytest.approx([12, 412], abs=0.01)


def test_shares_are_values_that_occurred() -> None:
    """A percentile is the smallest value that so many do not exceed."""
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [figures.share(values, percent) for percent in (0, 50, 90, 99, 100)] == [1, 3, 5, 5, 5]


# ---- a course ----

COUNTS = dict.fromkeys(("waiting", "ready", "running", "retrying", "complete", "failed"), 0)


def update(state: str = "running", *, deleted: bool = False, **counts: int) -> dict[str, Any]:
    return {"workflow": "w", "sequence": 7, "state": state, "stalled": False, "steps": {**COUNTS, **counts},
            "deleted": deleted}  # fmt: skip


class FakeFlow:
    """A client whose one workflow is told of as a test says; then nothing more comes."""

    def __init__(self, *updates: dict[str, Any], ends: bool = False, **status: Any) -> None:
        self.updates = updates
        self.ends = ends
        self.asked: list[str] = []
        self._status = {"state": "running", "steps": {**COUNTS, "ready": 2}, "failed": [], **status}

    def watch(self, workflow: str, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        yield from self.updates
        if not self.ends:
            threading.Event().wait()

    def status(self, workflow: str) -> dict[str, Any]:
        self.asked.append(workflow)
        return self._status


def course(flow: FakeFlow, timeout_s: float = 60.0) -> Course:
    """Follow with a clock that goes on by twenty seconds whenever it is looked at."""
    moments = iter(range(0, 10_000, 20))
    return Course(flow, "w", timeout_s, now_s=lambda: float(next(moments)))  # type: ignore[arg-type]


def test_a_course_shows_how_it_goes_until_enough_is_complete() -> None:
    """Updates are shown as they come, and the last one that is waited for ends the wait."""
    seen: list[int] = []
    following = course(FakeFlow(update(ready=2), update(complete=1), update("complete", complete=2)))
    following.show = lambda each: seen.append(each["steps"]["complete"])
    following.await_complete(2)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("flow", "error", "words"),
    [
        (FakeFlow(update(), update("halted")), NotAllowedNow, "Somebody halted w"),
        (FakeFlow(update(), update(deleted=True)), NotAllowedNow, "Somebody deleted w"),
        (FakeFlow(update(), ends=True), NotAllowedNow, "Somebody deleted w"),
        (FakeFlow(update(ready=2), remarks=["wide-0 is ready, and nobody is there"]), NotAllowedNow, "nobody is there"),
        (FakeFlow(update(ready=2)), TimeoutError, "Nothing became complete for 60 s: 0 of 2 Steps complete, 2 ready"),
    ],
)
def test_no_course_waits_for_ever(flow: FakeFlow, error: type[Exception], words: str) -> None:
    """What is halted, deleted, without workers, or does not get on, ends with words."""
    with pytest.raises(error, match=words):
        course(flow).await_complete(2)


def test_steps_that_fail_end_a_course() -> None:
    """The error names the Steps, why they failed and what they said, and is one of exit code 1."""
    failed = {"step": "warm-0", "attempt": 1, "worker": "a", "class": "COMMAND", "message": "exit code 3",
              "log-tail": "oh\n\ndear\n"}  # fmt: skip
    with pytest.raises(StepsFailed) as problem:
        course(FakeFlow(update(), update("error", failed=1), failed=[failed])).await_complete(2)
    assert (problem.value.exit_code, problem.value.hint) == (1, "")
    assert [str(each) for each in problem.value.problems] == [
        "warm-0: COMMAND, attempt 1 on a: exit code 3 | oh | dear"
    ]


def test_an_image_that_nobody_has_is_told_with_what_to_do() -> None:
    """Where the image is missing, the error says how to name another one."""
    failed = {"step": "warm-0", "attempt": 6, "worker": "a", "class": "IMAGE", "message": "no such host",
              "log-tail": ""}  # fmt: skip
    with pytest.raises(StepsFailed) as problem:
        course(FakeFlow(update("error", failed=1), failed=[failed])).await_complete(2)
    assert "--image" in problem.value.hint


# ---- what was made is taken away ----


class Maker:
    """A client that notes what it is asked, and refuses what it is told to."""

    def __init__(self, **refusals: GaiaError) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refusals = refusals
        self.merges, self.may_merge = threading.Event(), threading.Event()

    def upload(self, workflow: str, *_: Any) -> None:
        self._note("upload", workflow)

    def merge(self, workflow: str, _: Any) -> None:
        self.merges.set()
        assert self.may_merge.wait(30)
        self._note("merge", workflow)

    def delete(self, workflow: str, data: bool) -> None:
        assert data
        self._note("delete", workflow)

    def _note(self, method: str, workflow: str) -> None:
        self.asked.append((method, workflow))
        if method in self.refusals:
            raise self.refusals[method]


def made_by(maker: Maker, *, keep: bool = False) -> Made:
    return Made(maker, "ada", lambda what: f"w-{what}", keep=keep)  # type: ignore[arg-type]


def test_changes_that_were_begun_end_before_the_workflow_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge on its way would make a deleted workflow anew, so an interrupted measure waits for it."""
    maker = Maker()
    made = made_by(maker)
    made.merge(made.upload("wide", [], []), [])
    assert maker.merges.wait(30)
    end = made._senders.shutdown

    def let_it_end(**how: bool) -> None:
        maker.may_merge.set()
        end(**how)

    monkeypatch.setattr(made._senders, "shutdown", let_it_end)
    with pytest.raises(KeyboardInterrupt), made:
        raise KeyboardInterrupt
    assert maker.asked == [("upload", "w-wide"), ("merge", "w-wide"), ("delete", "w-wide")]
    assert made.left == {}


def test_what_could_not_be_made_is_deleted_too() -> None:
    """An upload whose answer never came may have been done; that there is nothing to delete is fine."""
    maker = Maker(upload=Unavailable("gone"), delete=UnknownName("There is no such workflow."))
    made = made_by(maker)
    with pytest.raises(Unavailable), made:
        made.upload("wide", [], [])
    assert maker.asked[-1] == ("delete", "w-wide")
    assert made.left == {}


def test_what_is_left_behind_is_named() -> None:
    """What could not be deleted, and what was to be kept, is told, each with why."""
    failing, keeping = made_by(Maker(delete=Unavailable("The server is gone."))), made_by(Maker(), keep=True)
    for made in (failing, keeping):
        with made:
            made.upload("wide", [], [])
            made.upload("chain", [], [])
    assert failing.left == dict.fromkeys(("w-wide", "w-chain"), "The server is gone.")
    assert keeping.left == dict.fromkeys(("w-wide", "w-chain"), "")


# ---- the command ----


@pytest.fixture
def invoke(server: Any, pauses: list[float]) -> Invoke:
    """Run the command line against the fake server."""
    return lambda *args: CliRunner(env={"GAIA_HOST": server.address}).invoke(cli_main.cli, ["bench", *args])


def test_nothing_is_made_without_workers(invoke: Invoke, fake: Any) -> None:
    """Without a worker, or without one of the pool, it says so and what to do, and asks for no change."""
    result = invoke()
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines()[0] == "error: There is no worker that could run Steps."
    fake.script["Workers"] = [api_pb2.WorkersResponse(workers=[api_pb2.WorkerDebug(name="a", pool="gpu", slots=1)])]
    result = invoke("--pool", "large", "--json")
    assert result.exit_code == 4
    told = json.loads(result.stderr)
    assert (told["error"], told["message"]) == ("NotAllowedNow", "There is no worker of pool 'large'.")
    assert {method for method, _ in fake.asked} == {"Workers"}


@pytest.mark.parametrize("words", ["", "echo 'x"])
def test_a_command_that_is_none_is_refused(invoke: Invoke, fake: Any, words: str) -> None:
    """Nothing to run, and a quote that is not closed, are mistakes of the command line; no server is asked."""
    result = invoke("--command", words)
    assert result.exit_code == 2
    assert "--command" in result.stderr
    assert not fake.asked


def test_an_upload_that_is_refused_ends_it(invoke: Invoke, fake: Any) -> None:
    """The server's words are the error, and what may have been made is deleted with its data."""
    fake.script["Workers"] = [
        api_pb2.WorkersResponse(workers=[api_pb2.WorkerDebug(name="a", pool="default", slots=1, executor="docker")])
    ]
    fake.script["Upload"] = [NotAllowedNow("Not today.")]
    result = invoke("--steps", "5", "--image", "alpine", "--command", "echo 'a b'")
    assert result.exit_code == 4
    assert result.stderr.splitlines() == [
        "On 1 worker (docker): 5 Steps of 'echo 'a b'' in alpine side by side, 10 one after the other",
        "error: Not today.",
    ]
    (upload,), (delete,) = fake.requests("Upload"), fake.requests("Delete")
    assert (delete.workflow, delete.data) == (upload.workflow, True)
    assert upload.workflow.split("_")[1] == "bench-wide"
    assert [list(each.command) for each in upload.commands] == [["echo", "a b"]] * 2


def test_what_a_person_reads() -> None:
    """Three lines of figures, then the credit; attempts that were made again have a line of their own."""
    reply = {
        "executors": {"docker": 2, "noop": 1},
        "credit": {"slots": 6, "prefetch": 4_100},
        "wide": {"steps": 10_000, "steps-per-s": 12_345.6, "seconds": 0.81, "attempts": 10_002},
        "chain": {"steps": 100, "ms-per-step": {"median": 1.234, "p90": 2.0, "mean": 1.5}},
        "arrivals": {"steps": 9_990, "steps-per-s": 3_000.0, "ms": {"p50": 12.0, "p99": 340.0, "max": 400.0}},
    }
    assert lines(render.bench(reply)) == [
        "HOW                   STEPS            RESULT",
        "side by side         10,000    12,346 Steps/s  in 0.81 s",
        "one after the other     100  1.23 ms per Step  median; 90 % within 2 ms",
        "arriving              9,990        12 ms each  median; 99 % within 340 ms, at 3,000 Steps/s",
        "at most 4,106 in flight: 6 slots and 4,100 more on their way, with 3 workers (2 docker, 1 noop, which runs no "
        "programs)",
        "2 attempts of the Steps side by side had to be made again",
    ]
