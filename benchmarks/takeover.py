"""How long a cluster stands still when its leader is killed under load; and how far behind consumers of its events are.

    python -m benchmarks.takeover [--steps N] [--rate N] [--repetitions N] [--json FILE]

Two servers and a worker on real Kafka. In the middle of a wide workflow the leader gets a kill -9; the clock runs from
there to the next leader's first dispatch in the worker's inbox. In the end everything is audited: journal, reports,
inboxes, events, store. JSON lines and exit code as those of `throughput`.
"""

import argparse
import json
import secrets
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from confluent_kafka import TopicPartition

from benchmarks import flows, report
from benchmarks.arrivals import Recorder, good
from benchmarks.audit import BenchmarkFailed
from benchmarks.command import Bench, Result, carry_out, parser
from benchmarks.deployments import ANSWER_S, EVENTS_PER_READ, Cluster, Services
from benchmarks.flows import Flow
from benchmarks.load import Load, loading, quantiles_ms
from benchmarks.report import Bar
from benchmarks.runs import audit_run, run_flow, warm_up
from gaia.v1 import events_pb2, worker_pb2
from gaia_core.backends.kafka import EVENTS_PARTITIONS, STEPS_PARTITIONS, partition_of
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.coordinator.entries import EntryReader
from gaia_core.ports import Record
from gaia_core.workflow import events as ev
from tests.chaos import durable
from tests.chaos.audit import audit
from tests.integration.gaia_processes import free_address
from tests.support.waiting import wait_until

STEPS: Final = 50_000
REPETITIONS: Final = 5
RATE: Final = 300.0
PACED_S: Final = 10.0
CLIENTS: Final = 20
WORKER: Final = "one"

KILLED_AT: Final = 0.25
"""The leader is killed when this share of the Steps has completed."""

SESSION_S: Final = 6.0
"""After so long Kafka misses a leader that was killed."""

SESSIONS_MAX: Final = 1.5
END_S: Final = 300.0
LEASE_S: Final = 30.0


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    made = parser("takeover", __doc__ or "", REPETITIONS)
    made.add_argument("--steps", type=int, default=STEPS, help="of the workflow under way [%(default)s]")
    made.add_argument("--rate", type=float, default=RATE, help="single Steps a second, by the clock [%(default)s]")
    given = made.parse_args()

    def measure(bench: Bench) -> None:
        for repetition in range(1, given.repetitions + 1):
            bench.tell(f"repetition {repetition} of {given.repetitions}")
            _measure(bench, given, repetition)
        _conclude(bench)

    return carry_out(given, measure, on_kafka=True)


class Pair(Cluster):
    """A cluster of two servers, one of which leads.

    Attributes:
        leader: the role of the one that leads.
    """

    def __init__(self, folder: Path, services: Services, tag: str) -> None:
        super().__init__(folder, services, tag)
        self._spare = (free_address(), free_address())
        self.hosts = f"{self.address},{self._spare[0]}"
        self._number = 1
        self._addresses = {"server-1": (self.address, self.http)}
        self.leader = "server-1"

    def _start(self) -> None:
        self._run("server-1", ["server"], "Gaia serves", self.environ())
        self.add_standby()
        self._run("worker", ["worker", "--name", WORKER, "--executor", "noop"], "worker started", self.environ())

    def add_standby(self) -> None:
        """Start a server at the address that is free, and wait until it stands by."""
        self._number += 1
        role = f"server-{self._number}"
        self._addresses[role] = self._spare
        listen, http = self._spare
        environ = {**self.environ(), "GAIA_LISTEN": listen, "GAIA_HTTP_LISTEN": http}
        self._run(role, ["server"], "Gaia stands by", environ)

    def kill_leader(self) -> float:
        """End the leader as a power cut would; return the instant (seconds since the epoch)."""
        process = self.processes.pop(self.leader)
        self._spare = self._addresses.pop(self.leader)
        (self.leader,) = self._addresses
        now = time.time()
        process.kill()
        return now

    @property
    def leader_address(self) -> str:
        """Return where it answers."""
        return self._addresses[self.leader][0]

    def said_at(self, message: str) -> float:
        """Return when the leader logged a message (seconds since the epoch)."""
        lines = [json.loads(line) for line in self.processes[self.leader].said().splitlines() if line.startswith("{")]
        at = next(line["time"] for line in lines if line["message"] == message)
        return datetime.fromisoformat(at).timestamp()

    def recorder(self, topic: str, partitions: "range | list[int]") -> Recorder:
        """Begin to keep what is committed to a topic from now on."""
        recorder = Recorder(self._consumer(20), topic, partitions)
        recorder.start()
        return recorder

    @property
    def steps_topic(self) -> str:
        """Inboxes."""
        return self._settings.steps_topic

    @property
    def events_topic(self) -> str:
        """Public events."""
        return self._settings.events_topic

    def timed_journal(self) -> list[tuple[float, Record]]:
        """Return every record of the journal with the seconds since the epoch at which it was written."""
        place = TopicPartition(self._settings.journal_topic, 0, 0)
        found: list[tuple[float, Record]] = []
        with closing(self._consumer(20)) as consumer:
            _, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
            consumer.assign([place])
            while consumer.position([place])[0].offset < end:
                for message in good(consumer.consume(EVENTS_PER_READ, 0.1)):
                    record = Record(message.offset() or 0, message.value() or b"")
                    found.append((message.timestamp()[1] / 1000, record))
        return found

    def audit(self) -> Result:
        """Look whether any promise was broken.

        Raises:
            BenchmarkFailed: one was.
        """
        kafka, minio = self._services.kafka, self._services.minio
        settings = S3Settings(minio.endpoint, minio.access_key, minio.secret_key, False, bucket=self._bucket)
        prefix = self._settings.topic_prefix
        left = durable.of_topics(kafka.bootstrap, prefix, S3Store(settings), [], LEASE_S)
        verdict = audit(replace(left, recounts=False))
        if verdict.violations:
            raise BenchmarkFailed("; ".join(map(str, verdict.violations[:20])))
        return {"entries": verdict.entries, "completions": verdict.completions, "violations": 0}


def _measure(bench: Bench, given: argparse.Namespace, repetition: int) -> None:
    """Measure everything on a fresh deployment, stop it, and read everything back."""
    killed, full = flows.wide("killed", given.steps), flows.wide("full", given.steps)
    with bench.place() as place, Pair(place, bench.cluster_services, secrets.token_hex(4)) as pair:
        warm_up(pair)
        takeover = _take_over(pair, killed)
        arrived = {"full": _full_load(pair, full), "paced": _paced_load(pair, "paced", given.rate)}
        pair.stop()
        bench.tell("auditing")
        journal = pair.journal()
        read_back = {flow.name: audit_run(pair, flow, journal) for flow in (killed, full)}
        journaled = _journaled(pair.timed_journal())
        verdict = pair.audit()
    result = {**takeover, "read_back": read_back["killed"], "audit": verdict}
    bench.output.result("takeover", repetition, result)
    for what, records in arrived.items():
        lags = _lags(records, journaled)
        lag = {"on": pair.kind, "steps": len(lags), **quantiles_ms(lags, "lag")}
        bench.output.result(f"lag, {what} load", repetition, lag)


def _full_load(pair: Pair, flow: Flow) -> list[tuple[float, bytes]]:
    """Run a workflow as fast as it goes; return its events as they arrived."""
    recorder = pair.recorder(pair.events_topic, [partition_of(flow.name, EVENTS_PARTITIONS)])
    run_flow(pair, flow)
    wait_until(lambda: _completions(recorder) >= len(flow.steps), "the recorder has seen all", deadline_s=END_S)
    return recorder.stop()


def _paced_load(pair: Pair, prefix: str, rate: float) -> list[tuple[float, bytes]]:
    """Let single Steps come by the clock; return their events as they arrived."""
    load = Load("singles", prefix, int(rate * PACED_S), CLIENTS, rate)
    with loading(load, pair.leader_address) as clients, closing(pair.feed(load.flow_names())) as feed:
        recorder = pair.recorder(pair.events_topic, range(EVENTS_PARTITIONS))
        clients.begin()
        completed, deadline = 0, time.monotonic() + PACED_S + END_S
        while completed < load.requests:
            completed += sum(event.HasField("step_completed") for event in feed.take())
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"only {completed} of {load.requests} single Steps completed")
        clients.end()
        wait_until(lambda: _completions(recorder) >= load.requests, "the recorder has seen all", deadline_s=END_S)
        return recorder.stop()


def _completions(recorder: Recorder) -> int:
    return sum(events_pb2.Event.FromString(value).HasField("step_completed") for _, value in list(recorder.records))


def _take_over(pair: Pair, flow: Flow) -> Result:
    """Kill the leader in the middle of a workflow; return how long it took the other one to go on."""
    killed: dict[str, float] = {}
    steps = len(flow.names)
    pair.client.upload(flow.name, {}, flow.commands, flow.steps)
    with closing(pair.feed([flow.name])) as feed:
        dispatches = pair.recorder(pair.steps_topic, [partition_of(WORKER, STEPS_PARTITIONS)])
        pair.client.put(flow.name, flows.START_KEY, b"now")
        completed, arrivals = 0, []
        deadline = time.monotonic() + END_S
        while completed < steps:
            events = feed.take()
            if fresh := sum(event.HasField("step_completed") for event in events):
                completed += fresh
                arrivals.append(time.time())
            if not killed and completed >= steps * KILLED_AT:
                killed = {"completed": completed, "at": pair.kill_leader()}
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"only {completed} of {steps} Steps completed after the leader was killed")
        records = [(at, worker_pb2.InboxRecord.FromString(value)) for at, value in dispatches.stop()]
    orders = [(at, one.term) for at, one in records if any(entry.HasField("dispatch") for entry in one.entries)]
    before = max(term for at, term in orders if at < killed["at"])
    after = [at for at, term in orders if term > before]
    if not after:
        raise BenchmarkFailed(f"all was dispatched when the leader was killed at {killed['completed']} completions")
    first_event = min(at for at in arrivals if at > min(after))
    elected, in_office = pair.said_at("elected"), pair.said_at("took office")
    pair.add_standby()
    return {
        "on": "kafka",
        "steps": steps,
        "completed_before": int(killed["completed"]),
        "takeover_s": round(min(after) - killed["at"], 3),
        "missed_s": round(elected - killed["at"], 3),
        "opened_s": round(in_office - elected, 3),
        "first_event_s": round(first_event - killed["at"], 3),
        "left_s": round(arrivals[-1] - min(after), 3),
    }


def _journaled(journal: list[tuple[float, Record]]) -> dict[tuple[int, str, int], float]:
    """Return when each completion was journaled, by workflow uid, Step and attempt."""
    reader = EntryReader()
    names: defaultdict[int, list[str]] = defaultdict(list)
    found: dict[tuple[int, str, int], float] = {}
    for at, record in journal:
        entry = reader.feed(record)
        for event in entry.events if entry is not None else ():
            if isinstance(event, ev.StepsMerged):
                names[event.uid] += [spec.name for spec in event.specs]
            elif isinstance(event, ev.StepsCompleted):
                for step, attempt in zip(event.steps, event.attempts, strict=True):
                    found[event.uid, names[event.uid][step], attempt] = at
    return found


def _lags(arrived: list[tuple[float, bytes]], journaled: dict[tuple[int, str, int], float]) -> list[float]:
    """Return the seconds from each completion's journal entry to its event's arrival."""
    lags = []
    for at, value in arrived:
        event = events_pb2.Event.FromString(value)
        if event.HasField("step_completed"):
            completed = event.step_completed
            lags.append(at - journaled[event.workflow_uid, completed.step, completed.attempt])
    return lags


def _conclude(bench: Bench) -> None:
    """Print summaries, ratios and bars."""
    figures = {
        "lag, full load": ("lag_p50_ms", "lag_p99_ms"),
        "lag, paced load": ("lag_p50_ms", "lag_p99_ms"),
        "takeover": ("takeover_s", "missed_s", "opened_s", "first_event_s"),
    }
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in bench.output.results:
        grouped[result["benchmark"]].append(result)
    summaries = [report.summary(group, figure) for name, group in grouped.items() for figure in figures[name]]
    sessions = round(median(one["takeover_s"] for one in grouped["takeover"]) / SESSION_S, 3)
    what = "takeover / session timeout"
    bench.conclude(summaries, {what: sessions}, [Bar(what, sessions, False, SESSIONS_MAX)])


if __name__ == "__main__":
    sys.exit(main())
