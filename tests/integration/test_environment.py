"""What a program gets beside its files, on every executor: variables, a folder to start in, an entrypoint, secrets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from gaia_client.client import Gaia
from gaia_core.errors import Unavailable
from gaia_core.machine.reports import Completed, Failed, Report
from gaia_core.workflow.model import FailureClass, Output
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors.base import Executor, Exited, Task
from gaia_worker.executors.choose import choose_executor
from gaia_worker.secrets import Secrets
from gaia_worker.settings import WorkerSettings
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess, Up
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import WORKER, DictStore, execution

if TYPE_CHECKING:
    from tests.support.services import KafkaService

SHELL = "$(touch x); `id` | id & id > x 'x \" \\ * ? ~ ! # $HOME ${HOME} \n\t% é"
SAID = {"stdout": "/job/said", "outputs": (Output("said", "said", "/job/said"),)}
"""Standard output as data: in what people read, secrets may be masked."""


@dataclass
class Site:
    """Attempts on one executor, of a worker that holds secrets."""

    executor: Executor
    image: str
    attempts: Attempts
    store: DictStore
    folder: Path

    def run(self, script: str, **fields: Any) -> Report:
        """Run a shell script as one attempt."""
        values = {"image": self.image, "argv": ("sh", "-c", script), **SAID, **fields}
        return self.attempts.run(execution(**values), Control(), lambda report: None)

    def said(self, script: str, **fields: Any) -> str:
        """Return what a shell script prints as one attempt that completes."""
        end = self.run(script, **fields)
        assert isinstance(end, Completed), end
        return self.store.content("flow/said").decode()


def _executor(name: str, hidden: Path) -> Executor:
    try:
        return choose_executor(name, (hidden,)).executor
    except Unavailable as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


@pytest.fixture(params=["docker", "sandbox"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Attempts on one of the executors that run programs."""
    image = request.getfixturevalue("busybox_image") if request.param == "docker" else "ignored"
    hidden = tmp_path / "hidden"
    (hidden / "secrets").mkdir(parents=True)
    (hidden / "secrets" / "token").write_text("hunter2\n")
    executor, store = _executor(request.param, hidden), DictStore()
    settings = WorkerSettings(WORKER, 2, hidden / "scratch", uuid.uuid4().hex, secrets=Secrets({}, hidden / "secrets"))
    made = Site(executor, image, Attempts(settings, store, executor), store, hidden)
    yield made
    made.attempts.cleanup()
    made.attempts.close()
    executor.close()


def test_no_shell_reads_variables_and_tokens(site: Site) -> None:
    """What a shell would act on reaches the program as it is, in a token and in a variable."""
    assert site.said("", argv=("printf", "%s", SHELL)) == SHELL
    assert site.said('printf %s "$A"', env={"A": SHELL}) == SHELL


def test_variables_and_the_folder_to_start_in_are_what_the_command_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`env` adds to what is there, `workdir` need not be there; nothing of the worker's own environment is seen."""
    monkeypatch.setenv("GAIA_SECRET_OTHER", "the worker's own")
    seen = site.said("pwd; env", env={"A": "1", "B_2": ""}, workdir="/some/where").splitlines()
    assert seen[0] == "/some/where"
    assert {"A=1", "B_2="} <= set(seen)
    assert any(line.startswith("PATH=") for line in seen)
    assert not [line for line in seen if "the worker's own" in line]


def test_a_secret_is_a_variable_or_a_file(site: Site) -> None:
    """The program has the value; the file can only be read, and by nobody else."""
    assert site.said('printf %s "$TOKEN"', secrets={"TOKEN": "token"}) == "hunter2"
    wanted = {"/run/secrets/a": "token", "/run/secrets/b": "token"}
    said = site.said("cat /run/secrets/a; ls /run/secrets; stat -c %a /run/secrets/a", secrets=wanted)
    assert said == "hunter2\na\nb\n400\n"
    spoil = "exec 2>&1; echo x > /run/secrets/a || rm -f /run/secrets/a || echo cannot"
    assert site.said(spoil, secrets=wanted).endswith("\ncannot\n")


def test_only_secrets_that_the_command_names_are_seen(site: Site) -> None:
    """Without being asked for there is neither a variable nor a file, and the worker's folder cannot be looked into."""
    (site.folder / "secrets" / "other").write_text("not for you")
    script = f"env; cat /run/secrets/* {site.folder}/secrets/*; true"
    said = site.said(script) + site.said(script, secrets={"/run/secrets/a": "token"})
    assert "not for you" not in said
    assert said.count("hunter2") == 1


def test_a_secret_leaves_nothing_behind(site: Site) -> None:
    """Neither a kept scratch folder nor anything else on the worker's disk has it, but for where it comes from."""
    value = f"hunter-{uuid.uuid4()}"
    (site.folder / "secrets" / "new").write_text(value)
    wanted = {"TOKEN": "new", "/run/secrets/a": "new"}
    end = site.run("test -n $TOKEN && test -s /run/secrets/a && exit 3", secrets=wanted, keep="on_failure")
    assert isinstance(end, Failed)
    assert end.failure.exit_code == 3
    found = [path for path in site.folder.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]
    assert found == [site.folder / "secrets" / "new"]


def test_a_missing_secret_is_told(site: Site) -> None:
    """The attempt fails by its surroundings, names secret and worker, and starts no program."""
    end = site.run("true", secrets={"TOKEN": "unheard-of"})
    assert isinstance(end, Failed)
    assert end.failure.kind is FailureClass.ENGINE
    assert f"worker {WORKER!r} has no secret 'unheard-of'" in end.failure.message


@pytest.fixture
def talking_image(busybox_image: str) -> Iterator[str]:
    """An image with an entrypoint, arguments, a folder and a variable of its own."""
    engine = docker.APIClient()
    name = f"gaia-test-{uuid.uuid4().hex[:12]}"
    container = engine.create_container(busybox_image, ["true"])["Id"]
    own = ['ENTRYPOINT ["echo", "own"]', 'CMD ["words"]', "WORKDIR /srv/own", "ENV A=image B=image"]
    engine.commit(container, name, "1", changes=own)
    engine.remove_container(container)
    yield f"{name}:1"
    engine.remove_image(f"{name}:1", force=True)
    engine.close()


def test_what_an_image_has_is_kept_or_replaced_as_the_command_says(talking_image: str, tmp_path: Path) -> None:
    """Its variables and folder count unless the Command has others; its entrypoint only if it is to be kept."""
    executor = _executor("docker", tmp_path)

    def said(*argv: str, **fields: Any) -> str:
        seen: list[bytes] = []
        task = Task(f"gaia-test-{uuid.uuid4().hex[:12]}", talking_image, argv, **fields)
        end = executor.run(task, threading.Event(), lambda stream, data: seen.append(data))
        assert isinstance(end, Exited)
        assert end.code == 0
        assert end.image_digest == image
        return b"".join(seen).decode()

    engine = docker.APIClient()
    image = engine.inspect_image(talking_image)["Id"]
    engine.close()
    show = ("sh", "-c", "pwd; echo $A $B")
    assert said(*show) == "/srv/own\nimage image\n"
    assert said(*show, env={"A": "mine"}, workdir="/tmp") == "/tmp\nmine image\n"
    assert said("b", entrypoint=("echo", "a")) == "a b\n"
    assert said("b", keeps_entrypoint=True) == "own b\n"
    assert said(keeps_entrypoint=True) == "own words\n"
    executor.close()


def test_the_image_that_ran_is_told_and_outlives_a_restart(tmp_path: Path, talking_image: str) -> None:
    """Steps, explanation and event name its digest, also when Gaia was started again."""
    engine = docker.APIClient()
    image = engine.inspect_image(talking_image)["Id"]
    command = {"name": "say", "image": talking_image, "entrypoint": "keep", "outputs": {"said": ">"}}
    steps = [{"name": "say", "command": "say", "outputs": {"said": "said"}}]
    for number in range(2):
        with Up(tmp_path, "--executor", "docker") as up, up.client() as flow:
            if not number:
                flow.upload("s", {}, [command], steps)
            assert flow.wait("s", timeout_s=60)["state"] == "complete"
            assert [step["image-digest"] for step in flow.steps("s")] == [image]
            assert [told["image-digest"] for told in flow.explain("s", "say")] == [image]
            done = next(event for event in flow.watch("s", from_sequence=1) if event["kind"] == "step_completed")
            assert done["image-digest"] == image
            assert flow.get("s", "said") == b"own words\n"
    engine.close()


def test_the_sandbox_says_that_it_knows_no_entrypoint_of_an_image(tmp_path: Path) -> None:
    """It ignores the image, so a Command that keeps its entrypoint fails as a missing program does, in words."""
    executor, seen = _executor("sandbox", tmp_path), []
    task = Task("t", "any", ("true",), keeps_entrypoint=True)
    end = executor.run(task, threading.Event(), lambda stream, data: seen.append(data))
    assert end == Exited(127)
    assert b"entrypoint" in b"".join(seen)
    executor.close()


def _commands(image: str) -> list[dict[str, Any]]:
    """Return a Command that tells a digest of the secrets it gets, and fails when asked to."""
    digest = "{ printf %s $TOKEN; cat /run/secrets/token; } | sha256sum | cut -d' ' -f1; exit {{CODE}}"
    fields = {"image": image, "outputs": {"said": ">>"}, "vars": {"CODE": 0}, "keep": "on_failure"}
    secrets = {"TOKEN": "hub-token", "/run/secrets/token": "hub-token"}
    return [{"name": "use", "command": ["sh", "-c", digest], "secrets": secrets, **fields}]


STEPS = [
    {"name": "good", "command": "use", "outputs": {"said": "good"}},
    {"name": "bad", "command": "use", "outputs": {"said": "bad"}, "vars": {"CODE": 3}},
]


def _everything_told(flow: Gaia, address: str) -> str:
    """Return all that clients, in Python and on the command line, are told of the workflow."""
    answers: list[Any] = [flow.status("s", debug=True), flow.command("s"), list(flow.steps("s")), flow.workers()]
    answers += [flow.explain("s", name) for name in ("good", "bad")]
    answers.append([event for event, _ in zip(flow.watch("s", from_sequence=1), range(4), strict=False)])
    for arguments in (["command", "s"], ["status", "s", "--debug"], ["explain", "s", "bad"], ["steps", "s"]):
        command = [*GaiaProcess.program, *arguments]
        said = subprocess.run(command, env={**os.environ, "GAIA_HOST": address}, capture_output=True, check=True)
        answers.append(said.stdout.decode())
    return json.dumps(answers)


def test_a_secret_is_in_no_journal_no_event_and_no_answer(tmp_path: Path) -> None:
    """Of a whole deployment, journal and logs included, nothing has the value; the program had it twice."""
    value = f"hunter-{uuid.uuid4()}"
    with Up(tmp_path, environ={"GAIA_SECRET_hub-token": value}) as up, up.client() as flow:
        flow.upload("s", {}, _commands("any"), STEPS)
        assert flow.wait("s", timeout_s=60)["state"] == "error"
        assert hashlib.sha256((value * 2).encode()).hexdigest() in flow.get("s", "good").decode()
        told = _everything_told(flow, up.address)
    assert "hub-token" in told
    assert value not in told
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if value.encode() in path.read_bytes()] == []


def test_a_secret_is_in_no_topic(cluster: Cluster, busybox_image: str) -> None:
    """On Kafka, with a worker that reads a folder: no record of any topic has the value, and no output of a process."""
    value = f"hunter-{uuid.uuid4()}"
    folder = cluster.folder / "secrets"
    folder.mkdir()
    (folder / "hub-token").write_text(value)
    cluster.server()
    cluster.worker("w1", environ={"GAIA_SECRETS_DIR": str(folder)})
    flow = cluster.client()
    flow.upload("s", {}, _commands(busybox_image), STEPS)
    assert flow.wait("s", timeout_s=120)["state"] == "error"
    assert hashlib.sha256((value * 2).encode()).hexdigest() in flow.get("s", "good").decode()
    assert value not in _everything_told(flow, cluster.address)
    records = list(_records(cluster.kafka, cluster.prefix))
    assert any(b"hub-token" in record for record in records)
    assert not any(value.encode() in record for record in records)
    assert [path for path in cluster.folder.rglob("*") if path.is_file() and value.encode() in path.read_bytes()] == [
        folder / "hub-token"
    ]


def _records(kafka: KafkaService, prefix: str) -> Iterator[bytes]:
    """Yield every record of every topic of a deployment."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = [topic for topic in admin.list_topics(timeout=30).topics.values() if topic.topic.startswith(f"{prefix}.")]
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": f"{prefix}-all", "enable.auto.commit": False}
    )
    try:
        for topic in topics:
            for number in topic.partitions:
                place = TopicPartition(topic.topic, number, 0)
                _, end = consumer.get_watermark_offsets(place, timeout=30)
                consumer.assign([place] if end else [])
                found: list[bytes] = []
                while end and (not found or consumer.position([place])[0].offset < end):
                    found += [message.value() or b"" for message in consumer.consume(500, 0.2)]
                yield from found
    finally:
        consumer.close()


def test_a_step_whose_secret_is_nowhere_fails_after_a_few_tries(tmp_path: Path) -> None:
    """It is no fault of the Step, so its retries do not count; once the secret is there, the next try has it."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    with Up(tmp_path, environ={"GAIA_SECRETS_DIR": str(folder)}) as up, up.client() as flow:
        flow.upload("s", {}, _commands("any"), STEPS[:1])

        def failure() -> dict[str, Any] | None:
            (told,) = flow.explain("s", "good")
            failed: dict[str, Any] | None = told["failure"]
            return failed

        wait_until(lambda: failure() is not None, "an attempt fails", deadline_s=30)
        told = failure()
        assert told is not None
        assert told["class"] == "ENGINE"
        assert "worker 'local-1' has no secret 'hub-token'" in told["message"]
        assert str(folder) in told["message"]
        (folder / "hub-token").write_text("there")
        assert flow.wait("s", timeout_s=60)["state"] == "complete"
