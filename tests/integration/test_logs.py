"""Logs of real programs in real containers, through Kafka and MinIO to the command line."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from gaia.v1 import logs_pb2
from gaia_client.client import Gaia
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess, Up, free_address
from tests.support.waiting import wait_until

CAP = 200_000
"""Bytes kept of each log."""


def command(image: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "image": image, "command": ["sh", "-c", script], "outputs": {"out": ">"}, **more}


STEP = {"name": "s", "command": "c", "outputs": {"out": "words"}}


class Reader:
    """Follows a log in a thread of its own."""

    def __init__(self, flow: Gaia, workflow: str, step: str = "s", **more: Any) -> None:
        self.told: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._read, args=(flow, workflow, step, more))
        self._thread.start()

    def _read(self, flow: Gaia, workflow: str, step: str, more: dict[str, Any]) -> None:
        for one in flow.logs(workflow, step, follow=True, **more):
            self.told.append(one)

    def await_words(self, words: str) -> None:
        wait_until(lambda: words in text(self.told), words, deadline_s=60, evidence=lambda: str(self.told[-20:]))

    def await_end(self) -> list[dict[str, Any]]:
        self._thread.join(90)
        assert not self._thread.is_alive(), self.told[-20:]
        return self.told


def text(told: list[dict[str, Any]]) -> str:
    return b"".join(one["data"] for one in told if one["kind"] == "piece").decode()


def ends(told: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(one["attempt"], one["size"]) for one in told if one["kind"] == "end"]


@pytest.fixture
def flow(cluster: Cluster, busybox_image: str) -> Gaia:
    """A client of a server with one worker that keeps short logs."""
    cluster.server()
    cluster.worker("w", "docker", environ={"GAIA_LOG_BYTES_MAX": str(CAP)})
    return cluster.client()


SLOW = "for n in $(seq 12); do echo line $n; echo err $n >&2; sleep 0.25; done"
LINES = "".join(f"line {n}\n" for n in range(1, 13))


def test_a_running_step_is_followed_to_its_end(cluster: Cluster, flow: Gaia, busybox_image: str) -> None:
    """By who was there before it, who came in the middle, and who came after: all read the same, each byte once."""
    flow.upload("live", {}, [command(busybox_image, SLOW)], [STEP])
    early = Reader(flow, "live")
    early.await_words("line 5\n")
    late = Reader(flow, "live", streams=["stdout"])
    told = early.await_end()
    assert text(late.await_end()) == LINES
    assert flow.wait("live", timeout_s=60)["state"] == "complete"
    afterwards = list(flow.logs("live", "s"))
    assert text(told) == text(afterwards)
    assert ends(told) == ends(afterwards) == [(1, len(text(told)))]
    assert text(list(flow.logs("live", "s", streams=["stdout"]))) == LINES
    assert text(list(flow.logs("live", "s", streams=["stderr"]))).startswith("err 1\nerr 2\n")
    assert not [one for one in told if one["kind"] == "gap"]
    assert sorted((flow.get("live", "words") or b"").splitlines()) == sorted(text(told).encode().splitlines())


def test_a_failed_attempt_and_the_next_are_both_kept(cluster: Cluster, flow: Gaia, busybox_image: str) -> None:
    """Following goes on with the next attempt; each is there to be read, and the tail is in the failure."""
    script = "echo trying; sleep 1; echo no way >&2; exit 3"
    flow.upload("fails", {}, [command(busybox_image, script)], [{**STEP, "retries": 1}])
    told = Reader(flow, "fails").await_end()
    assert text(told) == "trying\nno way\n" * 2
    assert ends(told) == [(1, 14), (2, 14)]
    assert flow.wait("fails", timeout_s=60)["failed"][0]["log-tail"] == "trying\nno way\n"
    assert text(list(flow.logs("fails", "s", 1))) == "trying\nno way\n"
    shown = subprocess.run(
        [sys.executable, "-m", "gaia", "logs", "fails", "s", "--attempt", "all", "--stderr", "--host", cluster.address],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "no way\n" * 2


@pytest.mark.parametrize("how", ["halt", "timeout"])
def test_what_a_killed_attempt_wrote_is_kept(cluster: Cluster, flow: Gaia, busybox_image: str, how: str) -> None:
    """Whoever killed it; who follows it sees its end."""
    limit = {"timeout": 2} if how == "timeout" else {}
    flow.upload("killed", {}, [command(busybox_image, "echo begun; sleep 600", **limit)], [STEP])
    reader = Reader(flow, "killed", attempt=1)
    reader.await_words("begun\n")
    if how == "halt":
        flow.halt("killed")
    told = reader.await_end()
    assert ends(told) == [(1, 6)]
    assert text(list(flow.logs("killed", "s", 1))) == "begun\n"


def test_a_flood_is_bounded_everywhere(cluster: Cluster, flow: Gaia, busybox_image: str) -> None:
    """Of ten times the cap the beginning and the end are kept; live it is thinned, and the program is not held up."""
    lines = CAP // 10
    script = f"awk 'BEGIN {{ for (n = 1; n <= {lines}; n++) printf \"%0100d\\n\", n }}'"
    flow.upload("flood", {}, [command(busybox_image, script)], [STEP])
    live = Reader(flow, "flood").await_end()
    assert flow.wait("flood", timeout_s=120)["state"] == "complete"
    size = lines * 101
    stored = list(flow.logs("flood", "s"))
    assert ends(live)[-1] == ends(stored)[-1] == (1, size)
    (missing,) = [one for one in stored if one["kind"] == "gap"]
    kept = text(stored)
    assert len(kept) + missing["size"] == size
    assert CAP // 2 < len(kept) <= CAP
    assert int(kept[:100]) == 1
    assert int(kept[-101:]) == lines
    assert sum(one["size"] for one in live if one["kind"] == "gap") + len(text(live)) == size
    whole = flow.get("flood", "words")
    assert whole is not None
    assert len(whole) == size


def test_a_standby_reads_logs(cluster: Cluster, busybox_image: str) -> None:
    """Of what runs and of what has ended; and it goes on when it takes over."""
    other = free_address()
    leader = cluster.server()
    cluster.standby(other)
    cluster.worker("w", environ={"GAIA_HOST": f"{cluster.address},{other}"})
    flow = cluster.client()
    script = "for n in $(seq 60); do echo line $n; sleep 0.25; done"
    flow.upload("live", {}, [command(busybox_image, script)], [STEP])
    with Gaia({"gaia_host": other}) as there:
        wait_until(lambda: "live" in [each["name"] for each in there.workflows()], "the standby has followed")
        reader = Reader(there, "live")
        reader.await_words("line 3\n")
        leader.kill()
        told = reader.await_end()
        assert text(told) == "".join(f"line {n}\n" for n in range(1, 61))
        assert there.wait("live", timeout_s=60)["state"] == "complete"
        assert text(list(there.logs("live", "s", tail=2))) == "line 59\nline 60\n"


def test_other_programs_tap_the_topic(cluster: Cluster, flow: Gaia, busybox_image: str) -> None:
    """Each record is a LogRecord under its Step's key; put together, they are the log."""
    flow.upload("tapped", {}, [command(busybox_image, "echo one; sleep 1; echo two >&2")], [STEP])
    assert flow.wait("tapped", timeout_s=60)["state"] == "complete"
    settings = {"bootstrap.servers": cluster.kafka.bootstrap, "group.id": f"{cluster.prefix}tap"}
    found: list[logs_pb2.LogRecord] = []
    consumer = Consumer({**settings, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(f"{cluster.prefix}.logs", number, 0) for number in range(12)])

        def arrived() -> bool:
            for message in consumer.consume(100, 0.1):
                assert message.error() is None
                assert message.key() == b"tapped/s"
                found.append(logs_pb2.LogRecord.FromString(message.value() or b""))
            return bool(found) and found[-1].ended

        wait_until(arrived, "the last record", deadline_s=60)
    finally:
        consumer.close()
    pieces = [(piece.stream, piece.data) for record in found for piece in record.pieces]
    assert pieces == [(logs_pb2.LOG_STREAM_STDOUT, b"one\n"), (logs_pb2.LOG_STREAM_STDERR, b"two\n")]
    assert {(record.workflow, record.step, record.attempt) for record in found} == {("tapped", "s", 1)}


def test_what_a_lost_worker_had_told_is_read(cluster: Cluster, busybox_image: str) -> None:
    """A worker that is killed stores no log; what it told of it until then is there."""
    cluster.server()
    worker = cluster.worker("w")
    flow = cluster.client()
    flow.upload("lost", {}, [command(busybox_image, "echo begun; sleep 600")], [STEP])
    reader = Reader(flow, "lost", attempt=1)
    reader.await_words("begun\n")
    worker.kill()
    assert text(reader.await_end()) == "begun\n"
    told = list(flow.logs("lost", "s", 1))
    assert text(told) == "begun\n"
    assert any("worker was lost" in one.get("words", "") for one in told)
    cluster.worker("w").await_words("worker started")  # whose container it was
    flow.halt("lost")


PROGRESS = "for n in 1 2 3 4 5 6; do echo $n/6 counting > $GAIA_PROGRESS; sleep 0.7; done"


def _sees_progress(flow: Gaia) -> bool:
    said = [step.get("progress") for step in flow.steps("far")]
    return said[0] is not None and said[0]["total"] == 6 and said[0]["message"] == "counting"


def test_a_container_says_how_far_it_is(cluster: Cluster, flow: Gaia, busybox_image: str) -> None:
    """In the list of Steps while it runs."""
    flow.upload("far", {}, [command(busybox_image, PROGRESS)], [STEP])
    wait_until(lambda: _sees_progress(flow), "its progress is seen", deadline_s=60)
    assert flow.wait("far", timeout_s=60)["state"] == "complete"


def test_embedded_it_is_all_the_same(tmp_path: Path) -> None:
    """Followed, kept over a restart, and how far it is, in a sandbox."""
    with Up(tmp_path) as up:
        flow = up.client()
        flow.upload("far", {}, [command("any", f"echo begun; {PROGRESS}; echo done")], [STEP])
        reader = Reader(flow, "far")
        wait_until(lambda: _sees_progress(flow), "its progress is seen", deadline_s=60)
        assert text(reader.await_end()) == "begun\ndone\n"
        flow.wait("far", timeout_s=60)
        flow.close()
    with Up(tmp_path) as up, up.client() as flow:
        assert text(list(flow.logs("far", "s"))) == "begun\ndone\n"


HOSTILE = """
rm -rf $GAIA_PROGRESS; ln -s /etc/passwd $GAIA_PROGRESS; sleep 1.5
rm $GAIA_PROGRESS; mkfifo $GAIA_PROGRESS; sleep 1.5
rm $GAIA_PROGRESS; dd if=/dev/urandom of=$GAIA_PROGRESS bs=1M count=8 2>/dev/null; sleep 1.5
rm $GAIA_PROGRESS; mkdir $GAIA_PROGRESS; chmod 0 $GAIA_PROGRESS; echo done
"""


def test_whatever_a_program_puts_there_does_no_harm(tmp_path: Path) -> None:
    """A link, a pipe, random bytes, a folder that nobody may look into: the Step completes, and nothing is left."""
    with Up(tmp_path) as up, up.client() as flow:
        flow.upload("far", {}, [command("any", HOSTILE)], [STEP])
        assert flow.wait("far", timeout_s=60)["state"] == "complete"
        assert text(list(flow.logs("far", "s"))) == "done\n"
        assert "root:" not in GaiaProcess.said(up)
        assert not [path for path in (up.data / "scratch").rglob("*") if path.name == "progress"]
