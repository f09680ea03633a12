"""One attempt from inputs to report, with programs that are Python functions and a store in memory."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from gaia_core.errors import StoreError
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report, Started
from gaia_core.wire.manifests import decode_manifest
from gaia_core.wire.pieces import read_stored
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Input, Output, Publication
from gaia_worker import keeping, retrying
from gaia_worker import publishing as module
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors.base import (
    STDERR,
    STDOUT,
    EngineFailed,
    Exit,
    Exited,
    ImageFailed,
    OutOfMemory,
    Sink,
    Stopped,
    Task,
    TimedOut,
)
from gaia_worker.publishing import INLINE_FILES_MAX
from gaia_worker.settings import WorkerSettings
from tests.unit.worker.fakes import WORKER, DictStore, execution

LOG = ".gaia/logs/flow/5/0-1"
"""Where the attempt's own log lies."""


class Inside:
    """What a program sees: paths through the mounts, and its two streams."""

    def __init__(self, task: Task, sink: Sink) -> None:
        self._mounts = task.mounts
        self._sink = sink

    def path(self, path: str) -> Path:
        """Return the host's path of an internal one."""
        clean = PurePosixPath(path)
        over = [mount for mount in self._mounts if clean.is_relative_to(mount.target)]
        return over[-1].source / clean.relative_to(over[-1].target)

    def say(self, words: str, stream: int = STDOUT) -> None:
        """Write to stdout or stderr."""
        self._sink(stream, words.encode())


class FunctionExecutor:
    """Runs a Python function instead of a program."""

    name = "function"
    instant = False

    def __init__(self) -> None:
        self.program: Callable[[Inside], Exit | None] = lambda inside: None
        self.tasks: list[Task] = []
        self.cleaned: list[Mapping[str, str]] = []

    def describe(self) -> str:
        return "function: a test's"

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        self.tasks.append(task)
        return self.program(Inside(task, sink)) or Exited(0)

    def cleanup(self, labels: Mapping[str, str]) -> int:
        self.cleaned.append(labels)
        return 1

    def close(self) -> None:
        pass


class Bench:
    """A worker's attempts with a store and an executor of the test's."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.store = DictStore()
        self.executor = FunctionExecutor()
        settings = WorkerSettings(WORKER, slots=1, scratch=scratch, deployment="d")
        self.attempts = Attempts(settings, self.store, self.executor, wall_clock=lambda: 1_700_000_000.0)
        self.control = Control()
        self.said: list[Report] = []

    def put(self, key: str, data: bytes, *, known_hash: bool = True) -> FileVersion:
        """Store a file of the workflow's data space."""
        stored = self.store.put_bytes(None, f"flow/{key}", data)
        return FileVersion(key, stored.version, len(data), hashlib.sha256(data).digest() if known_hash else b"")

    def run(self, program: Callable[[Inside], Exit | None] | None = None, **fields: Any) -> Report:
        """Run one attempt; the scratch folder must be clear afterwards."""
        if program is not None:
            self.executor.program = program
        end = self.attempts.run(execution(**fields), self.control, self.said.append)
        if not fields.get("keep"):
            assert list((self.scratch / WORKER).glob("*")) == []
        return end


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Attempts that do not pause between tries."""
    monkeypatch.setattr(retrying, "PAUSE_S", 0)
    made = Bench(tmp_path)
    yield made
    made.attempts.close()


def failure(end: Report) -> tuple[FailureClass, str]:
    assert isinstance(end, Failed)
    return end.failure.kind, end.failure.message


def write(path: str, data: str = "x") -> Callable[[Inside], None]:
    return lambda inside: (inside.path(path).write_text(data), None)[1]


OUT = Output("out", "results/out.txt", "/work/out.txt")


def test_output_file_becomes_a_version_that_the_completion_names(bench: Bench) -> None:
    """The completion says Key, version, size and sha256 of what was uploaded."""
    end = bench.run(write("/work/out.txt", "hello"), outputs=(OUT,))
    assert isinstance(end, Completed)
    digest = hashlib.sha256(b"hello").digest()
    assert end.outputs == (Publication("results/out.txt", (FileVersion("results/out.txt", "1", 5, digest),)),)
    assert bench.store.content("flow/results/out.txt") == b"hello"
    assert bench.said == [Started(execution().fence)]
    assert bench.store.marks["flow/results/out.txt"] == attempt_mark("d", execution().fence)


def test_inputs_are_what_was_pinned(bench: Bench) -> None:
    """An input is the pinned version, not the newest, and cannot be written."""
    old = bench.put("in.txt", b"old")
    bench.put("in.txt", b"new")
    seen: list[tuple[str, int]] = []

    def program(inside: Inside) -> None:
        path = inside.path("/data/in.txt")
        seen.append((path.read_text(), path.stat().st_mode & 0o777))

    bench.run(program, inputs=(Input("in", "in.txt", "/data/in.txt", (Publication("in.txt", (old,)),)),))
    assert seen == [("old", 0o555)]
    assert bench.executor.tasks[0].mounts[0].read_only


def test_input_tree_is_gathered_from_its_writers(bench: Bench) -> None:
    """A tree that several Steps write is laid out as one folder, nothing but what lies under its Key."""
    sources = (
        Publication("r/a/", (bench.put("r/a/1", b"1"), bench.put("r/a/deep/2", b"2"))),
        Publication("r/b", (bench.put("r/b", b"3"),)),
        Publication("", (bench.put("elsewhere", b"4"),)),
    )
    seen: dict[str, str] = {}

    def program(inside: Inside) -> None:
        root = inside.path("/in")
        seen.update({path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()})

    assert isinstance(bench.run(program, inputs=(Input("t", "r/", "/in/", sources),)), Completed)
    assert seen == {"a/1": "1", "a/deep/2": "2", "b": "3"}


def test_file_under_another_steps_tree_is_found_in_it(bench: Bench) -> None:
    """A Key under a tree is taken out of the tree's files."""
    tree = Publication("out/", (bench.put("out/a", b"A"), bench.put("out/b", b"B")))
    seen: list[str] = []
    bench.run(
        lambda inside: seen.append(inside.path("/b").read_text()),
        inputs=(Input("b", "out/b", "/b", (tree,)),),
    )
    assert seen == ["B"]


@pytest.mark.parametrize("key", ["out/missing", "out/missing/"])
def test_key_that_is_not_in_the_tree_is_named_with_the_tree(bench: Bench, key: str) -> None:
    """INPUT_MISSING says which Key is not in which tree, and nothing runs."""
    tree = Publication("out/", (bench.put("out/a", b"A"),))
    kind, message = failure(bench.run(inputs=(Input("b", key, "/b", (tree,)),)))
    assert kind is FailureClass.INPUT_MISSING
    assert repr(key) in message
    assert "'out/'" in message
    assert bench.executor.tasks == []


def test_empty_tree_is_an_input_too(bench: Bench) -> None:
    """A Step may write no file into its tree, and another may read that."""
    seen: list[bool] = []
    end = bench.run(
        lambda inside: seen.append(inside.path("/in").is_dir()),
        inputs=(Input("t", "out/", "/in/", (Publication("out/"),)),),
    )
    assert isinstance(end, Completed)
    assert seen == [True]


@pytest.mark.parametrize("key", ["t/../x", "t//x", "t/./x", "t/a/../../x"])
def test_outside_key_that_would_leave_the_folder_is_refused(bench: Bench, key: str) -> None:
    """Objects may have any name in a store; none becomes a path outside its folder."""
    source = Publication("t/", (bench.put(key, b"x"),))
    kind, message = failure(bench.run(inputs=(Input("t", "t/", "/in/", (source,)),)))
    assert kind is FailureClass.INPUT_MISSING
    assert repr(key) in message


def test_inputs_may_be_asked_for(bench: Bench) -> None:
    """Sources that were too many for the dispatch come from the coordinator."""
    publication = Publication("in", (bench.put("in", b"I"),))
    asked: list[int] = []
    bench.attempts.fetch_inputs = lambda fence: (asked.append(fence.step), {"a": (publication,)})[1]
    seen: list[str] = []
    bench.run(
        lambda inside: seen.append(inside.path("/in").read_text()),
        step=3,
        inputs=(Input("a", "in", "/in"),),
        inputs_by_rpc=True,
    )
    assert (asked, seen) == ([3], ["I"])


def test_output_tree_is_published_in_path_order(bench: Bench) -> None:
    """Every file of a tree gets a version; folders inside are paths."""

    def program(inside: Inside) -> None:
        root = inside.path("/work/tree")
        (root / "b").mkdir()
        (root / "b/2").write_text("2")
        (root / "a").write_text("1")

    end = bench.run(program, outputs=(Output("t", "tree/", "/work/tree/"),))
    assert isinstance(end, Completed)
    (publication,) = end.outputs
    assert [file.key for file in publication.files] == ["tree/a", "tree/b/2"]
    assert publication.manifest is None


def test_large_tree_is_published_by_a_manifest_that_readers_expand(bench: Bench) -> None:
    """A tree of many files is one manifest in the report, and all its files again for a reader."""
    count = INLINE_FILES_MAX + 1

    def program(inside: Inside) -> None:
        for number in range(count):
            (inside.path("/work/tree") / f"{number:04}").write_text(str(number))

    end = bench.run(program, outputs=(Output("t", "tree/", "/work/tree/"),))
    assert isinstance(end, Completed)
    (publication,) = end.outputs
    assert publication.files == ()
    assert publication.manifest is not None
    assert publication.manifest.key == ".gaia/manifests/flow/5/0-1-0"
    assert len(decode_manifest(bench.store.content(publication.manifest.key))) == count
    seen: list[int] = []
    bench.run(
        lambda inside: seen.append(len(list(inside.path("/in").iterdir()))),
        inputs=(Input("t", "tree/", "/in/", (publication,)), Input("one", "tree/0007", "/one", (publication,))),
    )
    assert seen == [count]


def test_many_trees_fit_into_one_report(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an attempt lists itself is limited over all its outputs; the others are listed by manifests."""
    monkeypatch.setattr(module, "INLINE_BYTES_MAX", 200)

    def program(inside: Inside) -> None:
        for tree in range(3):
            (inside.path(f"/work/{tree}") / "file").write_text("x")

    end = bench.run(program, outputs=tuple(Output(f"t{n}", f"tree{n}/", f"/work/{n}/") for n in range(3)))
    assert isinstance(end, Completed)
    assert [publication.manifest is not None for publication in end.outputs] == [False, False, True]


def test_missing_output_is_named_with_its_path(bench: Bench) -> None:
    """OUTPUT_MISSING says which output was expected where, and carries the log's tail."""
    end = bench.run(lambda inside: inside.say("nothing to do\n"), outputs=(OUT,))
    kind, message = failure(end)
    assert kind is FailureClass.OUTPUT_MISSING
    assert "'out'" in message
    assert "/work/out.txt" in message
    assert end.failure.log_tail == "nothing to do\n"  # type: ignore[union-attr]
    assert bench.store.paths() == [LOG]


def test_file_mounted_by_itself_counts_only_if_written(bench: Bench) -> None:
    """An output in a system folder exists before the program runs; untouched, it is missing all the same."""
    output = Output("out", "out.txt", "/etc/out.txt")
    assert failure(bench.run(outputs=(output,)))[0] is FailureClass.OUTPUT_MISSING
    assert isinstance(bench.run(write("/etc/out.txt", ""), outputs=(output,)), Completed)


def test_inputs_in_an_output_tree_are_no_outputs(bench: Bench) -> None:
    """What was staged in is not published again, be it mounted or laid in."""
    one, tree = bench.put("one", b"1"), bench.put("t/all/two", b"2")
    end = bench.run(
        write("/work/all/new", "n"),
        inputs=(
            Input("one", "one", "/work/all/one", (Publication("one", (one,)),)),
            Input("t", "t/", "/work/", (Publication("t/", (tree,)),)),
        ),
        outputs=(Output("all", "all/", "/work/all/"),),
    )
    assert isinstance(end, Completed)
    assert [file.key for file in end.outputs[0].files] == ["all/new"]


def test_tree_that_is_input_and_output_is_changed_in_place(bench: Bench) -> None:
    """Where an output tree has the very path of an input tree, the whole of it is the output."""
    source = Publication("t/", (bench.put("t/old", b"old"),))

    def program(inside: Inside) -> None:
        (inside.path("/work") / "old").write_text("changed")
        (inside.path("/work") / "new").write_text("new")

    end = bench.run(program, inputs=(Input("t", "t/", "/work/", (source,)),), outputs=(Output("o", "o/", "/work/"),))
    assert isinstance(end, Completed)
    assert [file.key for file in end.outputs[0].files] == ["o/new", "o/old"]
    assert bench.store.content("flow/o/old") == b"changed"


def _links(inside: Inside) -> Path:
    return inside.path("/work/out.txt").parent


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: (folder / "out.txt").symlink_to("/etc/hostname"),
        lambda folder: (folder / "out.txt").symlink_to("nowhere"),
        lambda folder: (folder / "out.txt").symlink_to("out.txt"),
        lambda folder: (folder / "out.txt").mkdir(),
        lambda folder: __import__("os").mkfifo(folder / "out.txt"),
    ],
    ids=["host-file", "dangling", "circle", "folder", "fifo"],
)
def test_nothing_but_files_of_the_folder_is_published(bench: Bench, make: Callable[[Path], None]) -> None:
    """A link out of the scratch folder, a folder, or a pipe in an output's place is refused, and nothing is read."""
    kind, message = failure(bench.run(lambda inside: make(_links(inside)), outputs=(OUT,)))
    assert kind is FailureClass.OUTPUT_MISSING
    assert "/work/out.txt" in message
    assert bench.store.paths() == []


def test_link_to_a_folder_of_the_host_is_not_walked(bench: Bench) -> None:
    """A tree with a link to a folder is refused, wherever it leads."""

    def program(inside: Inside) -> None:
        (inside.path("/work/tree") / "etc").symlink_to("/etc")

    kind, message = failure(bench.run(program, outputs=(Output("t", "tree/", "/work/tree/"),)))
    assert kind is FailureClass.OUTPUT_MISSING
    assert "'etc'" in message


def test_link_inside_the_folder_is_followed(bench: Bench) -> None:
    """A link to another file that the program wrote is that file's content."""

    def program(inside: Inside) -> None:
        folder = _links(inside)
        (folder / "v1").write_text("one")
        (folder / "out.txt").symlink_to("v1")

    assert isinstance(bench.run(program, outputs=(OUT,)), Completed)
    assert bench.store.content("flow/results/out.txt") == b"one"


@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        (Exited(3), FailureClass.COMMAND, "exit code 3"),
        (Exited(137), FailureClass.COMMAND, "SIGKILL"),
        (TimedOut(), FailureClass.TIMEOUT, "not done after 7 s"),
        (OutOfMemory(), FailureClass.OUT_OF_MEMORY, "memory"),
        (ImageFailed("no such image"), FailureClass.IMAGE, "no such image"),
        (EngineFailed("it broke"), FailureClass.ENGINE, "it broke"),
    ],
)
def test_every_way_to_fail_has_its_class(bench: Bench, end: Exit, kind: FailureClass, words: str) -> None:
    """The class of a failure says who must act, its message what happened; the log's tail goes with it."""

    def program(inside: Inside) -> Exit:
        inside.say("last words\n", STDERR)
        return end

    failed = bench.run(program, outputs=(OUT,), timeout_s=7)
    assert failure(failed)[0] is kind
    assert words in failure(failed)[1]
    assert isinstance(failed, Failed)
    assert failed.failure.log_tail == "last words\n"
    assert failed.failure.exit_code == (end.code if isinstance(end, Exited) else None)


def test_store_that_stays_away_is_tried_again_then_told(bench: Bench) -> None:
    """One refusal is bridged; a store that stays away is a STORE failure in its own words."""
    bench.store.failures.append(StoreError("slow down"))
    assert isinstance(bench.run(write("/work/out.txt"), outputs=(OUT,)), Completed)
    bench.store.failures.extend([StoreError("gone")] * 3)
    assert failure(bench.run(write("/work/out.txt"), outputs=(OUT,))) == (FailureClass.STORE, "gone")


def test_input_that_comes_garbled_is_fetched_again(bench: Bench) -> None:
    """A download of the wrong content is repeated, never given to a program, and in the end INPUT_CHANGED."""
    item = Input("in", "in", "/in", (Publication("in", (bench.put("in", b"good"),)),))
    spoiled = [b"baad", b"goo"]
    bench.store.garble = lambda data: spoiled.pop() if spoiled else data
    seen: list[str] = []
    bench.run(lambda inside: seen.append(inside.path("/in").read_text()), inputs=(item,))
    assert seen == ["good"]
    for bad, word in ((b"baad", "sha256"), (b"goo", "3 bytes instead of 4"), (b"", "0 bytes")):
        bench.store.garble = lambda data, bad=bad: bad
        kind, message = failure(bench.run(lambda inside: seen.append("ran"), inputs=(item,)))
        assert kind is FailureClass.INPUT_CHANGED
        assert word in message
    assert seen == ["good"]


def test_manifest_that_comes_garbled_is_not_believed(bench: Bench) -> None:
    """The list of a tree's files is checked like any file."""
    end = bench.run(
        lambda inside: [inside.path(f"/work/tree/{n}").write_text(str(n)) for n in range(101)] and None,
        outputs=(Output("out", "t/", "/work/tree/"),),
    )
    assert isinstance(end, Completed)
    assert end.outputs[0].manifest is not None
    item = Input("in", "t/", "/in/", end.outputs)
    bench.store.garble = lambda data: data[:-1]
    assert failure(bench.run(lambda inside: 1 / 0, inputs=(item,)))[0] is FailureClass.INPUT_CHANGED


def test_input_whose_version_is_gone_has_changed(bench: Bench) -> None:
    """A pinned version that the store no longer has is INPUT_CHANGED."""
    gone = FileVersion("in", "9", 1, b"")
    bench.put("in", b"x")
    item = Input("in", "in", "/in", (Publication("in", (gone,)),))
    assert failure(bench.run(inputs=(item,)))[0] is FailureClass.INPUT_CHANGED


def test_words_go_where_they_were_asked_to(bench: Bench) -> None:
    """stdout alone to its path, both together to ">", both with header and footer to ">>"."""

    def program(inside: Inside) -> None:
        inside.say("one\n")
        inside.say("two\n", STDERR)
        inside.say("three")

    end = bench.run(
        program,
        stdout="/work/out.txt",
        image="busybox",
        outputs=(OUT, Output("log", "log", ">"), Output("always", "always", ">>")),
    )
    assert isinstance(end, Completed)
    assert [publication.key for publication in end.outputs] == ["results/out.txt", "log", "always"]
    assert bench.store.content("flow/results/out.txt") == b"one\nthree"
    assert bench.store.content("flow/log") == b"one\ntwo\nthree"
    lines = bench.store.content("flow/always").decode().splitlines()
    assert lines[:5] == [
        "# workflow flow, step step-0, attempt 1",
        "# command true",
        "# image busybox",
        "# worker w1, executor function: a test's",
        "# began 2023-11-14T22:13:20+00:00",
    ]
    assert lines[5:8] == ["one", "two", "three"]
    assert lines[8].startswith("# exit code 0; ")


def test_framed_log_is_kept_even_on_failure(bench: Bench) -> None:
    """A failed attempt publishes its ">>" and nothing else."""

    def program(inside: Inside) -> Exit:
        inside.say("so far\n")
        inside.path("/work/out.txt").write_text("half")
        return Exited(1)

    outputs = (OUT, Output("log", "log", ">"), Output("always", "always", ">>"))
    end = bench.run(program, outputs=outputs)
    assert isinstance(end, Failed)
    assert [publication.key for publication in end.outputs] == ["always"]
    assert bench.store.paths() == [LOG, "flow/always"]
    assert b"so far\n# failed, COMMAND: exit code 1" in bench.store.content("flow/always")


def test_framed_log_of_an_attempt_that_never_ran_tells_why(bench: Bench) -> None:
    """Also what fails before the program starts is told in ">>"."""
    tree = Publication("out/", ())
    end = bench.run(inputs=(Input("b", "out/b", "/b", (tree,)),), outputs=(Output("always", "always", ">>"),))
    assert failure(end)[0] is FailureClass.INPUT_MISSING
    assert b"INPUT_MISSING" in bench.store.content("flow/always")


@pytest.mark.parametrize("exit_code", [0, 1])
def test_cancel_while_it_runs_publishes_nothing(bench: Bench, exit_code: int) -> None:
    """Whatever a cancelled program managed to do, its attempt ends as cancelled, without outputs."""

    def program(inside: Inside) -> Exit:
        inside.path("/work/out.txt").write_text("x")
        bench.control.cancel()
        return Exited(exit_code)

    end = bench.run(program, outputs=(OUT, Output("always", "always", ">>")))
    assert end == Cancelled(execution().fence)
    assert bench.store.paths() == []


def test_a_worker_that_leaves_says_whether_the_program_was_started(bench: Bench) -> None:
    """What is given back while it runs was started; what is given back before was not."""

    def program(inside: Inside) -> Exit:
        bench.control.abandon("the worker leaves")
        return Exited(0)

    lost = Failure(FailureClass.LOST, "the worker leaves")
    assert bench.run(program) == Failed(execution().fence, lost)
    bench.control = Control()
    bench.control.abandon("the worker leaves")
    assert bench.run(program) == Failed(execution().fence, lost, unstarted=True)


def test_cancel_while_staging_in_runs_nothing(bench: Bench) -> None:
    """A cancel during the download ends the attempt before its program."""
    item = Input("in", "in", "/in", (Publication("in", (bench.put("in", b"x"),)),))
    bench.store.garble = lambda data: (bench.control.cancel(), data)[1]
    assert bench.run(inputs=(item,)) == Cancelled(execution().fence)
    assert bench.executor.tasks == []


def test_scratch_of_a_failure_is_kept_when_asked_for(bench: Bench, tmp_path: Path) -> None:
    """With keep = on_failure the files of a failed attempt are put aside."""
    bench.run(lambda inside: (write("/work/half")(inside), Exited(1))[1], outputs=(OUT,), keep="on_failure")
    assert [path.name for path in (tmp_path / "kept/5-0-a1").rglob("half")] == ["half"]


def test_cleanup_ends_leftovers_and_clears_scratch(bench: Bench, tmp_path: Path) -> None:
    """A new incarnation removes what the old one left, in the engine and on the disk, by deployment and worker."""
    left = tmp_path / WORKER / "5-0-a1"
    left.mkdir(parents=True)
    (left / "file").touch()
    bench.attempts.cleanup()
    assert bench.executor.cleaned == [{"gaia.deployment": "d", "gaia.worker": WORKER}]
    assert not left.exists()


def test_task_is_named_and_labelled_for_its_attempt(bench: Bench) -> None:
    """The name is the attempt's, in every deployment another; labels say what it belongs to."""
    bench.run(step=4, attempt=2)
    (task,) = bench.executor.tasks
    assert task.name == f"gaia-5-4-a2-{hashlib.sha256(b'd').hexdigest()[:8]}"
    assert task.labels == {
        "gaia.deployment": "d",
        "gaia.worker": WORKER,
        "gaia.workflow": "flow",
        "gaia.step": "step-4",
        "gaia.attempt": "2",
    }


def test_scratch_that_cannot_be_cleared_does_not_cost_the_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What cannot be removed is left for the next life of the worker; the attempt's end is told all the same."""

    def refuse(folder: Path) -> None:
        raise OSError("device or resource busy")

    monkeypatch.setattr(bench.attempts.remover, "remove", refuse)
    bench.executor.program = write("/work/out.txt")
    end = bench.attempts.run(execution(outputs=(OUT,)), bench.control, bench.said.append)
    assert isinstance(end, Completed)
    monkeypatch.undo()
    bench.attempts.cleanup()
    assert list(tmp_path.glob(WORKER)) == []


def logged(bench: Bench) -> str:
    """Return what is kept of the attempt's log."""
    return b"".join(piece.data for piece in read_stored([bench.store.content(LOG)])).decode()


def talk(inside: Inside) -> Exit | None:
    inside.say("one\n")
    inside.say("two\n", STDERR)
    return None


@pytest.mark.parametrize("end", [Exited(0), Exited(1), TimedOut(), OutOfMemory(), EngineFailed("gone")])
def test_the_log_is_kept_whatever_the_end(bench: Bench, end: Exit) -> None:
    """Of a success, a failure, a program whose time was up or that wanted too much memory, a broken engine."""

    def program(inside: Inside) -> Exit:
        talk(inside)
        return end

    bench.run(program)
    assert logged(bench) == "one\ntwo\n"
    assert bench.store.marks[LOG] == attempt_mark("d", execution().fence)


def test_the_log_of_a_cancelled_attempt_is_kept(bench: Bench) -> None:
    """What it had written by then."""

    def program(inside: Inside) -> Exit:
        talk(inside)
        bench.control.cancel()
        return Stopped()

    assert isinstance(bench.run(program), Cancelled)
    assert logged(bench) == "one\ntwo\n"


def test_a_silent_attempt_stores_no_log(bench: Bench) -> None:
    """Nobody pays for what is not there."""
    bench.run()
    assert bench.store.paths() == []


def test_an_attempt_whose_log_cannot_be_stored_counts_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may be away for a moment, or for long."""
    monkeypatch.setattr(keeping, "PAUSE_S", 0)
    bench.store.failures.append(StoreError("busy"))
    assert isinstance(bench.run(talk), Completed)
    assert logged(bench) == "one\ntwo\n"
    bench.store.objects.clear()
    bench.store.failures.extend(StoreError("away") for _ in range(keeping.TRIES))
    assert isinstance(bench.run(talk), Completed)
    assert bench.store.paths() == []


def test_a_program_knows_where_to_say_how_far_it_is(bench: Bench) -> None:
    """In a folder of the attempt's own, by a variable that a Command may set otherwise."""
    bench.run(lambda inside: inside.path("/run/gaia/progress").write_text("1/2") and None)
    bench.run(env={"GAIA_PROGRESS": "mine", "A": "b"})
    first, second = bench.executor.tasks
    assert first.env == {"GAIA_PROGRESS": "/run/gaia/progress"}
    assert second.env == {"GAIA_PROGRESS": "mine", "A": "b"}
    assert [mount.target for mount in first.mounts if not mount.read_only] == ["/run/gaia"]
