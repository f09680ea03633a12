"""Answers are shown so that a person finds what to act on; lines for pipes are stable."""

from typing import Any

import pytest
from rich.console import Console

from gaia.v1 import api_pb2, model_pb2
from gaia_client.progress import Lines, Pace, duration
from gaia_client.render import blocks, changes, files, workers, workflows
from gaia_core.wire import plain

COUNTS = {"waiting": 0, "ready": 0, "running": 0, "retrying": 0, "complete": 0, "failed": 0}


def status(state: str = "running", **fields: Any) -> dict[str, Any]:
    """Return a status with these fields changed; counts are given by their names."""
    counts = {name: count for name, count in fields.items() if name in COUNTS and isinstance(count, int)}
    fields = {name: value for name, value in fields.items() if name not in counts}
    steps = {**COUNTS, **counts}
    plain = {"state": state, "stalled": False, "revision": 7, "commands": [], "steps": steps, "waiting-inputs": [],
             "waiting-inputs-count": 0, "missing-inputs": [], "failed": []}  # fmt: skip
    return {**plain, **{name.replace("_", "-"): value for name, value in fields.items()}}


def test_status_lines() -> None:
    """State first, then Steps by state, then what is missing."""
    reply = status(complete=3, waiting=2, stalled=True, missing_inputs=["a", "b/"], waiting_inputs_count=4)
    assert blocks.lines(workflows.status(reply)) == [
        "running, stalled",
        "3 of 5 Steps complete, 2 waiting",
        "waits for keys that no Step writes: a b/",
    ]


def test_failures_show_cause_and_log() -> None:
    """A failed Step is shown with where, why, and the end of its log; the rest is counted."""
    failed = {"step": "s", "attempt": 2, "worker": "w1", "class": "COMMAND", "message": "exit code 2", "exit-code": 2,
              "log-tail": "\n".join(f"line {number}" for number in range(20))}  # fmt: skip
    lines = blocks.lines(workflows.failures(status("error", failed=[failed], steps={**COUNTS, "failed": 3})))
    assert lines[0] == "failed s (COMMAND, attempt 2 on w1): exit code 2"
    assert lines[1:] == [*(f"  | line {number}" for number in range(10, 20)), "… and 2 more failed"]


def test_grid_lines_are_aligned() -> None:
    """Columns are aligned, numbers to the right, without trailing spaces."""
    grid = blocks.Grid(("NAME", "SIZE"), (("a", "1"), ("long", "100")), frozenset({"SIZE"}))
    assert blocks.lines([grid]) == ["NAME  SIZE", "a        1", "long   100"]


def test_workflows_lines() -> None:
    """A workflow is one line with its share of complete Steps."""
    reply = [{"name": "w", "owner": "me", "state": "running", "properties": {}, "steps": {**COUNTS, "complete": 1,
              "waiting": 3}, "created": None, "updated": "2024-05-01T12:30:00.123Z"}]  # fmt: skip
    assert blocks.lines(workflows.workflows(reply))[1].split() == [
        "w",
        "me",
        "running",
        "1/4",
        "2024-05-01",
        "12:30:00Z",
    ]
    assert blocks.lines(workflows.workflows([])) == ["No workflows."]


def test_diff_lines() -> None:
    """A diff counts and names what changed, and cuts long lists."""
    nothing: dict[str, Any] = {kind: [] for kind in ("added", "updated", "unchanged", "recomputed", "removed")}
    diff = {**nothing, "added": [f"s{number}" for number in range(20)], "removed": ["r"], "recomputed": ["t"]}
    added, removed, recomputed = blocks.lines(changes.diff(diff))
    assert added.startswith("added 20: s0 s1 ")
    assert added.endswith("… and 8 more")
    assert (removed, recomputed) == ("removed 1: r", "recomputed 1: t")
    assert blocks.lines(changes.diff(nothing)) == ["no Step changed"]


def test_other_answers_have_lines() -> None:
    """Commands, files, expiries, debug pages: each has its lines."""
    assert blocks.lines(workflows.commands([{"name": "ls", "image": "i", "inputs": {"a": "/a"}}]))[1].split() == [
        "ls",
        "i",
        "a",
    ]
    assert blocks.lines(files.files([{"key": "k", "size": 1536, "sha256": "ab" * 32}], True))[1:] == [
        "k    1.5 KiB  abababababab",
        "… and more than these 1; name a prefix",
    ]
    assert blocks.lines(changes.expired({"steps": ["a"], "keys": ["k"]})) == ["run again 1: a", "keys 1: k"]
    step = {"name": "s", "state": "waiting", "command": "c", "attempt": 0, "worker": "", "missing-inputs": 2}
    told = api_pb2.WorkerDebug(name="w", slots=2, attempts=1, executor="noop", host="h")
    worker = plain.worker(told)
    lines = blocks.lines(workflows.status(status(debug={"steps": [step], "workers": [worker], "next-page-start": 9})))
    assert "… more with --page-start 9" in lines
    assert "revision 7" in lines
    assert "revision 7" not in blocks.lines(workflows.status(status()))
    assert lines[-1].split() == ["w", "well", "1/2", "0/any", "0", "B/any", "0/any", "-", "noop", "h"]


def test_a_worker_is_shown_with_its_health_and_what_it_holds() -> None:
    """What is used of what there is; words of trouble in a line of their own; what runs before what waits."""
    used, there = model_pb2.Resources(cpus=1.5, memory_bytes=2**30), model_pb2.Resources(cpus=4, memory_bytes=2**33)
    held = [api_pb2.HeldAttempt(workflow="f", step=f"s{n}", attempt=1, stopping=n == 1) for n in range(3)]
    sick = api_pb2.WorkerDebug(
        name="a", pool="p", slots=2, attempts=30, resources=there, used=used, trouble="the disk is full", held=held,
        cache=model_pb2.InputCache(files=3, size_bytes=2**31, size_bytes_max=2**33, hits=19, misses=1, hit_bytes=2**34),
    )  # fmt: skip
    leaving = api_pb2.WorkerDebug(name="b", pool="p", draining=True, version="0.1.0")
    shown = [line.split() for line in blocks.lines(workers.workers([plain.worker(sick), plain.worker(leaving)]))]
    assert shown[1][:9] == ["a", "p", "trouble", "30/2", "1.5/4", "1.0", "GiB/8.0", "GiB", "0/any"]
    assert shown[1][9:13] == ["2.0", "GiB/8.0", "GiB,", "95%"]
    assert shown[2][:4] == ["b", "p", "leaving", "0/0"]
    assert shown[2][-1] == "0.1.0"
    assert " ".join(shown[3]) == "a takes nothing new: the disk is full"
    assert [line[2] for line in shown[6:9]] == ["s0", "s1", "s2"]
    assert [" ".join(line[6:]) for line in shown[6:9]] == ["", "is being stopped", "waits for a slot"]
    assert " ".join(shown[9]) == "… and 27 more"


def test_remarks_are_shown_with_the_status() -> None:
    """What keeps ready Steps from running is told before the Steps that failed."""
    assert "no worker" in blocks.lines(workflows.status(status(remarks=["no worker"])))


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB"), (2**62, "4096.0 PiB")],
)
def test_sizes(count: int, words: str) -> None:
    """Sizes are words of at most a few digits."""
    assert files.size(count) == words


def test_rich_shows_text_as_it_is() -> None:
    """Brackets are no markup, and control characters do not reach the terminal."""
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        for block in (blocks.Text("[red]x\x1b[0m"), blocks.Grid(("A",), (("[b]",),))):
            console.print(blocks.rich_of(block))
    assert "[red]x" in captured.get()
    assert "[b]" in captured.get()
    assert "\x1b" not in captured.get()


def test_pace_is_that_of_the_last_half_minute() -> None:
    """Rate and time left come from the recent past; a recompute starts anew."""
    pace = Pace()
    assert pace.words(status(waiting=1)) == "0 of 1 Step complete, 1 waiting"
    for now in range(100):
        pace.add(float(now), status(complete=now if now < 50 else 50 + (now - 50) * 4, waiting=300))
    assert pace.rate() == pytest.approx(4)
    assert pace.words(status(complete=250, waiting=40)).endswith("4 Steps/s, about 10 s left")
    pace.add(100.0, status(complete=3))
    assert pace.rate() == 0


def test_lines_come_on_change_only() -> None:
    """Equal statuses give no line, quick changes few, and the last one always its own."""
    lines = Lines()
    assert lines.worth(0.0, status(complete=1), final=False)
    assert not lines.worth(5.0, status(complete=1), final=False)
    assert lines.worth(5.0, status(complete=2), final=False)
    assert not lines.worth(5.5, status(complete=3), final=False)
    assert lines.worth(5.6, status("complete", complete=4), final=True)
    assert not lines.worth(5.7, status("complete", complete=4), final=True)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7500, "2 h 5 min")])
def test_durations(seconds: float, words: str) -> None:
    """Durations are words of at most two units."""
    assert duration(seconds) == words
