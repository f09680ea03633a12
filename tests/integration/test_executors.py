"""One suite over every executor that runs programs: a Docker engine and the bubblewrap sandbox, with real programs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gaia_core.errors import Unavailable
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report
from gaia_core.workflow.model import FailureClass, FileVersion, Input, Output, Publication, Resources
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors import choose, docker
from gaia_worker.executors.base import EngineFailed, Executor, Exited, ImageFailed, OutOfMemory, Task
from gaia_worker.settings import WorkerSettings
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import DictStore, execution

SECONDS_FOR_QUICK = 20


@dataclass
class Site:
    """An executor with an image for it, and attempts that run on it."""

    executor: Executor
    image: str
    attempts: Attempts
    store: DictStore
    deployment: str
    uid: int

    def shell(self, script: str, **fields: Any) -> Report:
        """Run a shell script as one attempt."""
        return self.run("sh", "-c", script, **fields)

    def run(self, *argv: str, control: Control | None = None, **fields: Any) -> Report:
        """Run a program as one attempt."""
        values = {"image": self.image, "argv": argv, **fields}
        return self.attempts.run(execution(**values), control or Control(), lambda report: None)

    def put(self, key: str, data: str) -> FileVersion:
        """Store a file of the workflow's data space."""
        stored = self.store.put_bytes(None, f"flow/{key}", data.encode())
        return FileVersion(key, stored.version, len(data), hashlib.sha256(data.encode()).digest())

    def text(self, key: str) -> str:
        """Return what lies under a Key now."""
        return self.store.content(f"flow/{key}").decode()


def _executor(name: str, hidden: Path) -> Executor:
    try:
        return choose.choose_executor(name, (hidden,)).executor
    except Unavailable as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


@pytest.fixture(params=["docker", "sandbox"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Attempts on one of the executors, in a deployment of their own."""
    image = request.getfixturevalue("busybox_image") if request.param == "docker" else "ignored"
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "secret").write_text("secret")
    executor = _executor(request.param, hidden)
    store, deployment = DictStore(), uuid.uuid4().hex
    settings = WorkerSettings("w1", slots=2, scratch=hidden / "scratch", deployment=deployment)
    made = Site(executor, image, Attempts(settings, store, executor), store, deployment, os.getuid())
    yield made
    made.attempts.cleanup()
    made.attempts.close()
    executor.close()


def ok(end: Report) -> Completed:
    assert isinstance(end, Completed), end
    return end


def failed(end: Report, kind: FailureClass) -> Failed:
    assert isinstance(end, Failed), end
    assert end.failure.kind is kind, end
    return end


def output(key: str, path: str) -> Output:
    return Output(key.strip("/"), key, path)


def given(key: str, path: str, *files: FileVersion) -> Input:
    return Input(key.strip("/"), key, path, (Publication(key, files),))


@pytest.mark.parametrize("code", [1, 3, 255])
def test_exit_code_is_the_programs(site: Site, code: int) -> None:
    """A program that ends with a code other than 0 is a COMMAND failure with that code and the log's tail."""
    end = failed(site.shell(f"echo so long >&2; exit {code}"), FailureClass.COMMAND)
    assert end.failure.exit_code == code
    assert end.failure.log_tail == "so long\n"


def test_program_that_is_not_there_is_told(site: Site) -> None:
    """A missing program ends as a shell would say it, 127, with words that name it."""
    end = failed(site.run("no-such-program"), FailureClass.COMMAND)
    assert end.failure.exit_code == 127
    assert "no-such-program" in end.failure.log_tail


def test_words_are_not_interpreted(site: Site) -> None:
    """Arguments reach the program as they are, without a shell."""
    ok(
        site.run(
            "printf", "%s|", "a b", "$HOME", "`id`", "*", "", stdout="/work/out", outputs=(output("o", "/work/out"),)
        )
    )
    assert site.text("o") == "a b|$HOME|`id`|*||"


def test_streams_go_where_they_were_asked_to(site: Site) -> None:
    """stdout alone to its path, stdout and stderr to ">", framed to ">>"."""
    outputs = (output("out", "/work/out.txt"), output("both", ">"), output("always", ">>"))
    ok(site.shell("echo one; echo two >&2; echo three", stdout="/work/out.txt", outputs=outputs))
    assert site.text("out") == "one\nthree\n"
    assert sorted(site.text("both").split()) == ["one", "three", "two"]
    framed = site.text("always").splitlines()
    assert [line for line in framed if line.startswith("# image")] == [f"# image {site.image}"]
    assert framed[-1].startswith("# exit code 0")
    assert site.executor.describe() in site.text("always")


def test_large_output_comes_whole(site: Site) -> None:
    """Megabytes on stdout arrive complete and in order."""
    ok(
        site.shell(
            "i=0; while [ $i -lt 20 ]; do head -c 1000000 /dev/zero | tr '\\0' $((i % 10)); i=$((i + 1)); done",
            stdout="/work/out",
            outputs=(output("o", "/work/out"),),
        )
    )
    expected = "".join(str(number % 10) * 1_000_000 for number in range(20))
    assert site.text("o") == expected


def test_files_and_trees_in_one_folder(site: Site) -> None:
    """Inputs and outputs, files and trees, may lie side by side; an output may be renamed into place."""
    ok(
        site.shell(
            "cd /work; cat in.csv tree/a tree/deep/b > out.tmp && mv out.tmp out.csv; cp -r tree/. copy/",
            inputs=(
                given("in", "/work/in.csv", site.put("in", "1")),
                given("t/", "/work/tree/", site.put("t/a", "2"), site.put("t/deep/b", "3")),
            ),
            outputs=(output("out", "/work/out.csv"), output("copy/", "/work/copy/")),
        )
    )
    assert (site.text("out"), site.text("copy/a"), site.text("copy/deep/b")) == ("123", "2", "3")


def test_paths_inside_each_other(site: Site) -> None:
    """A tree may hold another output, and an input tree the folder that an output goes to."""
    end = ok(
        site.shell(
            "cat /work/given; mkdir -p /work/all/sub; echo x > /work/all/sub/one; echo y > /work/all/two",
            inputs=(given("t/", "/work/", site.put("t/given", "g"), site.put("t/all/old", "old")),),
            outputs=(output("all/", "/work/all/"), output("one", "/work/all/sub/one"), output("log", ">")),
        )
    )
    assert [file.key for file in end.outputs[0].files] == ["all/sub/one", "all/two"]
    assert (site.text("one"), site.text("log")) == ("x\n", "g")


@pytest.mark.parametrize(
    "path", ["/in.txt", "/etc/gaia-in.txt", "/new/deep/in.txt", "/usr/share/gaia/in.txt", "/tmp/in.txt"]
)
def test_input_is_seen_wherever_it_is_asked_for(site: Site, path: str) -> None:
    """Any absolute path will do, in folders of the system and in new ones; what lies there stays."""
    end = site.run(
        "sh",
        "-c",
        f"cat {path} && ls /etc/passwd",
        inputs=(given("in", path, site.put("in", "here")),),
        outputs=(output("o", ">"),),
    )
    ok(end)
    assert site.text("o").startswith("here")


def test_output_in_a_system_folder(site: Site) -> None:
    """An output in a folder of the system is written in place; the folder stays what it is."""
    ok(site.shell("test -e /etc/passwd && echo x > /etc/gaia-out.txt", outputs=(output("o", "/etc/gaia-out.txt"),)))
    assert site.text("o") == "x\n"
    assert not Path("/etc/gaia-out.txt").exists()


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > /work/in",
        "rm -f /work/in",
        "chmod 777 /work/in && echo x > /work/in",
        "mv /work/in /work/gone",
        "echo x > /tree/a",
        "touch /tree/new",
    ],
)
def test_inputs_are_read_only(site: Site, attack: str) -> None:
    """A program can neither change nor remove nor add to its inputs."""
    site.shell(
        attack,
        inputs=(given("in", "/work/in", site.put("in", "1")), given("t/", "/tree/", site.put("t/a", "2"))),
        outputs=(output("o", "/work/o"),),
    )
    end = site.shell(
        f"({attack}) 2>/dev/null; cat /work/in /tree/*",
        inputs=(given("in", "/work/in", site.put("in", "1")), given("t/", "/tree/", site.put("t/a", "2"))),
        outputs=(output("o", "/work/o"), output("seen", ">")),
    )
    failed(end, FailureClass.OUTPUT_MISSING)
    assert end.failure.log_tail == "12"  # type: ignore[union-attr]


def test_missing_output_is_told(site: Site) -> None:
    """A program that ends well without its output has failed all the same."""
    end = failed(site.run("true", outputs=(output("o", "/work/o"),)), FailureClass.OUTPUT_MISSING)
    assert "/work/o" in end.failure.message


def test_link_to_the_host_is_not_published(site: Site, tmp_path: Path) -> None:
    """A program cannot have the worker read a file for it."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    failed(site.run("ln", "-s", str(secret), "/work/o", outputs=(output("o", "/work/o"),)), FailureClass.OUTPUT_MISSING)
    assert site.store.paths() == []


def test_time_is_up(site: Site) -> None:
    """A program that takes too long is asked to end; its framed log is kept."""
    end = failed(
        site.shell(
            "trap 'echo bye; exit 0' TERM; echo hi; sleep 100 & wait", timeout_s=0.5, outputs=(output("log", ">>"),)
        ),
        FailureClass.TIMEOUT,
    )
    assert end.failure.log_tail == "hi\nbye\n"
    assert "TIMEOUT" in site.text("log")


def test_program_that_does_not_listen_is_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace a program that ignores the request to end is killed with all it started."""
    monkeypatch.setattr(f"gaia_worker.executors.{site.executor.name}.TERMINATE_GRACE_S", 0.3)
    end = site.shell("trap '' TERM; (while :; do sleep 1; done) & while :; do sleep 1; done", timeout_s=0.3)
    failed(end, FailureClass.TIMEOUT)


def test_cancel_kills_at_once(site: Site) -> None:
    """A cancelled program is killed, however it feels about it, and publishes nothing."""
    control, ends = Control(), []
    store = site.store

    def work() -> None:
        script = "trap '' TERM; echo started; while :; do sleep 1; done"
        ends.append(site.shell(script, control=control, stdout="/work/o", outputs=(output("o", "/work/o"),)))

    thread = threading.Thread(target=work)
    thread.start()
    scratch = site.attempts.scratch
    try:
        wait_until(lambda: any(path.read_text() for path in scratch.glob("*/outputs/0/o")), "the program's first words")
    finally:
        control.cancel()
        thread.join(SECONDS_FOR_QUICK)
    assert ends == [Cancelled(execution().fence)]
    assert store.paths() == []


def test_children_die_with_their_program(site: Site) -> None:
    """What a program leaves in the background does not hold up the attempt, and is gone."""
    began_s = time.monotonic()
    ok(site.shell("(sleep 1000 >/dev/null 2>&1 &); echo done", outputs=(output("o", ">"),)))
    assert time.monotonic() - began_s < SECONDS_FOR_QUICK


def test_program_may_close_its_streams_and_go_on(site: Site) -> None:
    """The end of the streams is not the end of the program."""
    ok(site.shell("exec >&- 2>&-; sleep 0.3; : > /work/o", outputs=(output("o", "/work/o"),)))


def test_no_network_unless_asked_for(site: Site) -> None:
    """A program sees no interface but its own loopback."""
    listing = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"
    ok(site.shell(listing, outputs=(output("o", ">"),)))
    assert site.text("o").split() == ["lo"]
    ok(site.shell(listing, network=True, outputs=(output("o", ">"),)))
    assert len(site.text("o").split()) > 1


def test_capabilities_are_dropped(site: Site) -> None:
    """A program has no capability, also where it runs as root."""
    ok(site.shell("grep CapEff /proc/self/status", outputs=(output("o", ">"),)))
    assert int(site.text("o").split()[1], 16) == 0


def test_environment_workdir_and_entrypoint(site: Site) -> None:
    """The Command's variables, folder and entrypoint are used."""
    ok(
        site.run(
            'echo "$A"; pwd',
            entrypoint=("sh", "-c"),
            env={"A": "b c"},
            workdir="/some/where",
            outputs=(output("o", ">"),),
        )
    )
    assert site.text("o") == "b c\n/some/where\n"


def test_outputs_belong_to_the_worker(site: Site) -> None:
    """Programs run as the worker's own user."""
    ok(site.shell("id -u", outputs=(output("o", ">"),)))
    assert site.text("o") == f"{site.uid}\n"


def test_attempts_run_side_by_side(site: Site) -> None:
    """Several attempts at a time do not get in each other's way."""
    ends: list[Report] = []

    def work(step: int) -> None:
        ends.append(site.shell(f"echo {step} > /work/o", step=step, outputs=(output(f"o{step}", "/work/o"),)))

    threads = [threading.Thread(target=work, args=(step,)) for step in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(end) for end in ends] == [Completed] * 6
    assert [site.text(f"o{step}") for step in range(6)] == [f"{step}\n" for step in range(6)]


def test_scratch_is_left_empty(site: Site) -> None:
    """Nothing of an attempt stays on the disk, also what its program forbade to be removed."""
    ok(site.shell("mkdir /work/t/a; echo x > /work/t/a/b; chmod 500 /work/t/a", outputs=(output("t/", "/work/t/"),)))
    assert list(site.attempts.scratch.iterdir()) == []


@pytest.fixture
def docker_executor(docker_engine: object) -> Iterator[docker.DockerExecutor]:
    """The executor for the engine that answers."""
    executor = docker.connect()
    yield executor
    executor.close()


@pytest.fixture
def ran(docker_executor: docker.DockerExecutor) -> Callable[..., Any]:
    """Runs a task with nobody listening and nobody cancelling."""

    def run(**fields: Any) -> Any:
        name = f"gaia-test-{uuid.uuid4().hex[:12]}"
        values: dict[str, Any] = {"name": name, "labels": {"gaia.deployment": name}, "argv": ("true",), **fields}
        return docker_executor.run(Task(**values), threading.Event(), lambda stream, data: None)

    return run


def test_unknown_image_is_told_quickly(ran: Callable[..., Any]) -> None:
    """An image that cannot be had is told in the engine's words, within seconds."""
    began_s = time.monotonic()
    end = ran(image="registry.invalid/gaia/no-such-image:1")
    assert isinstance(end, ImageFailed)
    assert "registry.invalid" in end.message
    assert time.monotonic() - began_s < SECONDS_FOR_QUICK


def test_memory_beyond_the_limit(ran: Callable[..., Any], busybox_image: str) -> None:
    """A program that takes more memory than it was given is told apart from one that was killed."""
    limited = Resources(memory_bytes=16 << 20)
    assert ran(image=busybox_image, argv=("tail", "/dev/zero"), resources=limited) == OutOfMemory()
    assert ran(image=busybox_image, argv=("sh", "-c", "kill -9 $$"), resources=limited) == Exited(137)


def test_leftovers_of_a_killed_worker_are_removed(docker_executor: docker.DockerExecutor, busybox_image: str) -> None:
    """Containers are found by deployment and worker; those of others are left alone."""
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    api = docker_executor._engine.api
    for deployment in (mine, other):
        labels = {"gaia.deployment": deployment, "gaia.worker": "w1"}
        api.start(api.create_container(busybox_image, ["sleep", "1000"], labels=labels)["Id"])
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w2"}) == 0
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w1"}) == 1
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w1"}) == 0
    assert docker_executor.cleanup({"gaia.deployment": other, "gaia.worker": "w1"}) == 1


def test_stale_container_of_the_same_name_is_replaced(
    docker_executor: docker.DockerExecutor, busybox_image: str
) -> None:
    """A container that a killed worker left under the attempt's name gives way; somebody else's does not."""
    api, name = docker_executor._engine.api, f"gaia-test-{uuid.uuid4().hex[:12]}"
    task = Task(name=name, image=busybox_image, argv=("true",), labels={"gaia.deployment": name})

    def run() -> Any:
        return docker_executor.run(task, threading.Event(), lambda stream, data: None)

    api.create_container(busybox_image, ["sleep", "1000"], name=name, labels={"gaia.deployment": name})
    assert run() == Exited(0)
    wait_until(lambda: not api.containers(all=True, filters={"name": name}), "the name to be free")
    foreign = api.create_container(busybox_image, ["true"], name=name)["Id"]
    assert isinstance(run(), EngineFailed)
    api.remove_container(foreign)


def test_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing can run Steps the error names what was tried, and the command that helps."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Unavailable, match=r"none\.sock"):
        docker.connect()
    monkeypatch.setattr(choose, "find_program", lambda: None)
    with pytest.raises(Unavailable, match=r"none\.sock.*bubblewrap is missing") as caught:
        choose.choose_executor("auto")
    assert caught.value.hint


def test_sandbox_is_taken_where_no_engine_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`auto` falls back to the sandbox where it works, and says why."""
    _executor("sandbox", tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    choice = choose.choose_executor("auto")
    assert choice.executor.name == "sandbox"
    assert "none.sock" in choice.reason


def test_sandbox_hides_what_is_private(tmp_path: Path) -> None:
    """Home folders, /run and Gaia's own folders are empty for a sandboxed program, and its /tmp is its own."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "secret").touch()
    executor = _executor("sandbox", hidden)
    seen: list[bytes] = []
    script = f"ls -A /root /home /run /tmp {hidden}; touch /usr/x; touch /tmp/x && echo private"
    task = Task(name="t", image="", argv=("sh", "-c", script))
    assert executor.run(task, threading.Event(), lambda stream, data: seen.append(data)) == Exited(0)
    words = b"".join(seen).decode()
    assert "secret" not in words
    assert "Read-only file system" in words or "Permission denied" in words
    assert words.endswith("private\n")
    assert not Path("/tmp/x").exists()
    executor.close()


KILLED = """
import sys, threading
from gaia_worker.executors.base import Task
from gaia_worker.executors.choose import choose_executor
executor = choose_executor("sandbox").executor
labels = {"gaia.deployment": sys.argv[1], "gaia.worker": "w1"}
task = Task(name="t", image="", argv=("sleep", sys.argv[2]), labels=labels, timeout_s=600)
print("ready", flush=True)
for _ in range(3):
    threading.Thread(target=executor.run, args=(task, threading.Event(), lambda *_: None)).start()
"""


def _running(argument: str) -> list[str]:
    """Return programs of this machine with an argument, sandboxes among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if argument in words and words[0].rpartition("/")[2] in ("sleep", "bwrap"):
            found.append(str(path))
    return found


def test_nothing_outlives_a_worker_that_is_killed_while_it_starts_programs(tmp_path: Path) -> None:
    """kill -9 at any moment of a sandbox's start: whatever was being made is gone soon after."""
    _executor("sandbox", tmp_path).close()
    for number in range(8):
        seconds = str(600_000_000 + uuid.uuid4().int % 10**8)
        worker = subprocess.Popen([sys.executable, "-c", KILLED, "d", seconds], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        if number:  # at once, or when the first is seen, or when all run
            wait_until(lambda n=number, s=seconds: len(_running(s)) >= n, "some of it runs", every_s=0.001)
        worker.kill()
        worker.wait()
        worker.stdout.close()
        wait_until(lambda s=seconds: not _running(s), "all of it is gone")


def test_a_sandbox_that_an_earlier_life_left_is_found_by_its_mark(tmp_path: Path) -> None:
    """By deployment and worker; those of others, and one's own, are left alone."""
    first, second = _executor("sandbox", tmp_path), _executor("sandbox", tmp_path)
    labels = {"gaia.deployment": uuid.uuid4().hex, "gaia.worker": "w1"}
    argv = ("sh", "-c", "echo up; exec sleep 600")
    task = Task(name="t", image="", argv=argv, labels=labels, timeout_s=600)
    said = threading.Event()
    with ThreadPoolExecutor() as pool:
        end = pool.submit(first.run, task, threading.Event(), lambda *_: said.set())
        assert said.wait(10)
        assert first.cleanup(labels) == 0
        assert second.cleanup({**labels, "gaia.worker": "w2"}) == 0
        assert second.cleanup(labels) > 0
        assert end.result(10) != Exited(0)
    first.close()
    second.close()
