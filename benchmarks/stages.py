"""Where the processor time of a no-op Step goes: each stage of its way alone, in one process, with no broker.

    python -m benchmarks.stages [--steps N] [--batch N] [--repetitions N] [--profile STAGE]

One JSON line: microseconds per Step of each stage, the median of the repetitions. The stages follow each other as in a
server and its worker under load, batch by batch; what the broker's client library does besides is not in them.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks import flows
from gaia_core.backends.kafka_events import headers_of
from gaia_core.coordinator import memory
from gaia_core.coordinator.inboxes import Inboxes
from gaia_core.coordinator.watching import WatchHub
from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Effect
from gaia_core.machine.handle import dispatch, handle
from gaia_core.machine.outcomes import reports as enter_reports
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.machine.state import Deployment
from gaia_core.ports import EventRecord
from gaia_core.wire.inbox import parse_inbox
from gaia_core.wire.journal import Entry, encode_entry
from gaia_core.wire.public import encode_announcement, subject_of
from gaia_core.wire.reports import ReportPacker, decode_reports
from gaia_core.workflow.model import FileVersion, Publication
from gaia_core.workflow.parse import parse_commands, parse_steps

STEPS: Final = 20_000
BATCH: Final = 500
CREDIT: Final = 4_096
REPETITIONS: Final = 5
TERM: Final = 1


class Bus:
    """Keeps the inbox records that were sent."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def send(self, worker: str, partition: int, record: bytes) -> None:  # noqa: ARG002 - the port's
        """Keep one."""
        self.records.append(record)

    def flush(self) -> None:
        """Nothing waits."""

    def deliveries(self) -> list[object]:
        """Tell nothing."""
        return []


class Clock:
    """Adds up the time of stages, and looks into one of them if that is wanted."""

    def __init__(self, looked_into: str | None) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.profile = cProfile.Profile()
        self._looked_into = looked_into

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done inside."""
        if name == self._looked_into:
            self.profile.enable()
        began_s = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began_s
        if name == self._looked_into:
            self.profile.disable()


class Way:
    """One workflow on its way from ready to complete, stage by stage."""

    def __init__(self, steps: int, clock: Clock) -> None:
        self._clock = clock
        self._state = Deployment()
        self._announcer = Announcer()
        self._hub = WatchHub()
        self._bus = Bus()
        self._inboxes = Inboxes(self._bus, self._state.fleet, TERM)  # type: ignore[arg-type]
        self._packer = ReportPacker("w1", "life")
        decision = Decision(self._state)
        decision.emit(own.WorkerJoined("w1", "life", "default", 1, CREDIT - 1, 0))
        flow = flows.wide("flow", steps)
        commands, specs = parse_commands(flow.commands)[0], parse_steps(flow.steps)[0]
        handle(decision, rq.Upload("flow", {}, tuple(commands), tuple(specs)))
        files = (FileVersion(flows.START_KEY, "v1", 3, bytes(32)),)
        handle(decision, rq.Arrive("flow", (Publication(flows.START_KEY, files),)))
        self._settle(decision)

    def run(self, batch: int) -> None:
        """Go on until nothing is on its way."""
        effects = self._dispatch(Decision(self._state))
        while effects or self._bus.records:
            self._order(effects)
            reports = self._work(batch)
            decision = Decision(self._state)
            for record in reports:
                with self._clock.stage("reports read"):
                    said = decode_reports(record)
                with self._clock.stage("completions entered"):
                    enter_reports(decision, said)
            effects = self._dispatch(decision)
        assert self._state.workflows["flow"].flow_state[0].value == "complete"

    def _dispatch(self, decision: Decision) -> list[Effect]:
        with self._clock.stage("dispatched"):
            dispatch(decision)
        return self._settle(decision)

    def _settle(self, decision: Decision) -> list[Effect]:
        entry = Entry(0, 0, 1_000, tuple(decision.events), 0)
        with self._clock.stage("journal entry"):
            encode_entry(entry)
        with self._clock.stage("followed"):
            told = self._announcer.follow(entry.now_ms, entry.events)
        with self._clock.stage("watchers told"):
            self._hub.tell(told, self._announcer.updates)
        self._publish([one for one in told if one.sequence])
        return decision.effects

    def _publish(self, told: list[Announcement]) -> None:
        with self._clock.stage("events encoded"):
            records = []
            for one in told:
                kind, value = encode_announcement(one)
                about = subject_of(one.fact)
                records.append(EventRecord(one.workflow, one.uid, one.sequence, kind, one.time_ms, value, about))
        with self._clock.stage("event headers"):
            for record in records:
                headers_of("gaia", record)

    def _order(self, effects: list[Effect]) -> None:
        with self._clock.stage("orders made"):
            self._inboxes.perform(effects)

    def _work(self, batch: int) -> list[bytes]:
        """Do what a worker does with an instant executor."""
        with self._clock.stage("orders read, ends reported"):
            records, self._bus.records = self._bus.records, []
            reports: list[bytes] = []
            ends = 0
            for record in records:
                for entry in parse_inbox(record).entries:
                    self._packer.add_completed(entry.dispatch.fence)
                    ends += 1
                    if ends % batch == 0:
                        reports += self._packer.take()
            return reports + self._packer.take()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.stages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="[%(default)s]")
    parser.add_argument("--batch", type=int, default=BATCH, help="ends in one report record [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="[%(default)s]")
    parser.add_argument("--profile", metavar="STAGE", help="look into one stage, on stderr")
    given = parser.parse_args()
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(given.repetitions):
        clock = Clock(given.profile)
        way = Way(given.steps, clock)
        clock.seconds.clear()
        memory.settle()  # as a server does
        way.run(given.batch)
        memory.unsettle()
        for stage, seconds in clock.seconds.items():
            found[stage].append(1e6 * seconds / given.steps)
    medians = {stage: round(statistics.median(figures), 2) for stage, figures in found.items()}
    line = {"summary": "stages", "steps": given.steps, "us_per_step": medians, "sum": round(sum(medians.values()), 2)}
    print(json.dumps(line))
    if given.profile:
        pstats.Stats(clock.profile, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    return 0


if __name__ == "__main__":
    sys.exit(main())
