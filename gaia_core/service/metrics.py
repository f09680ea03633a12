"""What a server shows to Prometheus: what it counted, how it stands, and how much there is of everything.

Everything is read when somebody asks, so nothing is kept up to date for nobody. While no one answers requests, or the
answer takes too long, what only the state knows is left out. docs/metrics.md has a table of all of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gaia_core.coordinator.desk import Submit
from gaia_core.coordinator.meter import Meter, Tally
from gaia_core.coordinator.standing import LeaderStanding, StandbyStanding, Standing
from gaia_core.errors import GaiaError
from gaia_core.machine import requests as rq
from gaia_core.machine.figures import Figures, PoolFigures
from gaia_core.service.calls import CallMeter
from gaia_core.version import VERSION

ANSWER_S: Final = 2.0
"""How long the state is waited for: whoever asks gives up after ten seconds, by default."""

POOLS_MAX: Final = 100
"""Pools that are shown by name: those with workers first, then the deepest. Anybody may name one in a Step."""

OTHERS: Final = "(others)"

Expose = Callable[[], Awaitable[bytes]]


class ServerMetrics:
    """Everything that one server shows.

    Args:
        meter: what it counted.
        calls: of its interfaces.
        role: "leader", "standby", or "" in between.
        standing: how it stands in its role.
        submit: hands a request to whoever answers now.
        more: what else is shown, of workers in the same process.
    """

    def __init__(
        self,
        meter: Meter,
        calls: CallMeter,
        role: Callable[[], str],
        standing: Callable[[], Standing | None],
        submit: Submit,
        more: CollectorRegistry | None = None,
    ) -> None:
        self._role = role
        self._standing = standing
        self._submit = submit
        self._more = more
        self._own = CollectorRegistry(auto_describe=False)
        self._own.register(_Counted(meter, calls))
        ProcessCollector(registry=self._own)

    async def expose(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        figures = await self._figures()
        now = CollectorRegistry(auto_describe=False)
        now.register(_Now(self._role(), self._standing(), figures))
        shown = [self._own, now] + ([self._more] if self._more is not None else [])
        return b"".join([await asyncio.to_thread(generate_latest, registry) for registry in shown])

    async def _figures(self) -> Figures | None:
        """Ask how much there is of everything; None where nobody answers in time."""
        try:
            asked: Future[Any] = self._submit(rq.GetFigures())
            figures: Figures = await asyncio.wait_for(asyncio.wrap_future(asked), ANSWER_S)
        except (GaiaError, TimeoutError):
            return None
        return figures


def server_families(meter: Meter, calls: CallMeter) -> list[Metric]:
    """Return every family of a server that Gaia names itself, in the order in which they are shown."""
    return [*_Counted(meter, calls).collect(), *_Now("", None, None).collect()]


class _Counted(Collector):
    """What was counted since the process began."""

    def __init__(self, meter: Meter, calls: CallMeter) -> None:
        self._meter = meter
        self._calls = calls

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without samples too."""
        meter = self._meter
        yield InfoMetricFamily("gaia", "Which Gaia this is.", {"version": VERSION})
        yield _counter("gaia_terms", "Terms in office that this server has begun.", meter.terms)
        yield _counter("gaia_attempts_dispatched", "Attempts that were ordered from workers.", meter.dispatched)
        yield _counter("gaia_attempts_completed", "Attempts whose completion was accepted.", meter.completed)
        yield _counter(
            "gaia_attempts_failed",
            "Failed attempts, by class of the failure; final where the Step has failed for good.",
            {(kind, "true" if final else "false"): count for (kind, final), count in list(meter.failed.items())},
            ("class", "final"),
        )
        yield _counter(
            "gaia_steps_queue_timed_out", "Steps that failed since no worker took them in time.", meter.queue_timed_out
        )
        yield _counter("gaia_attempts_stopped", "Attempts that were cancelled and have ended.", meter.stopped)
        yield _counter(
            "gaia_attempts_given_back", "Attempts that workers gave back without having started them.", meter.given_back
        )
        yield _histogram(
            "gaia_dispatch_latency_seconds", "From a Step's being ready to the order of its attempt.", meter.queued_s
        )
        yield _histogram("gaia_attempt_run_seconds", "How long programs of completed attempts ran.", meter.run_s)
        yield _counter("gaia_journal_entries", "Journal entries that this server appended.", meter.entries)
        yield _counter("gaia_journal_appended_bytes", "Bytes of these.", meter.entry_bytes)
        yield _histogram(
            "gaia_journal_append_seconds", "From the sending of an entry to its being durable.", meter.append_s
        )
        yield _histogram(
            "gaia_batch_size",
            "Attempts that one journal entry orders or ends, and other events in it.",
            meter.batch,
        )
        yield _counter(
            "gaia_reports_refused",
            "Reports of workers that did not count, by cause.",
            {(cause,): count for cause, count in list(meter.refused.items())},
            ("cause",),
        )
        yield _counter(
            "gaia_records_set_aside",
            "Records that nobody could use and that were put aside, by log.",
            {(log,): count for log, count in list(meter.set_aside.items())},
            ("log",),
        )
        yield _counter(
            "gaia_rpcs", "Finished gRPC calls, by method and status code.", self._calls.counts(), ("method", "code")
        )
        yield _histogram("gaia_rpc_seconds", "How long gRPC calls took that are no streams.", self._calls.seconds)


class _Now(Collector):
    """How a server stands, and how much there is."""

    def __init__(self, role: str, standing: Standing | None, figures: Figures | None) -> None:
        self._role = role
        self._standing = standing
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every family, those without samples too."""
        yield _gauge("gaia_leader", "1 where this server leads, else 0.", self._role == "leader")
        yield _gauge("gaia_up", "1 where this server answers requests: it leads or stands by.", self._role != "")
        yield from self._there_is()
        yield from self._leads()
        standby = self._standing if isinstance(self._standing, StandbyStanding) else None
        yield _gauge(
            "gaia_follower_lag_records",
            "Journal records that a standby has not read, as of its last look; of a standby alone.",
            None if standby is None else standby.records_behind,
        )

    def _there_is(self) -> Iterator[Metric]:
        figures = self._figures
        pools = _few(figures.pools) if figures is not None else {}
        steps = figures.steps if figures is not None else {}
        flows = figures.workflows if figures is not None else {}
        yield _gauge("gaia_steps", "Steps by state, those of archived workflows apart.", _by_one(steps), ("state",))
        yield _gauge("gaia_workflows", "Workflows by state, or archived.", _by_one(flows), ("state",))
        for name, help_text, attribute in _POOLS:
            yield _gauge(name, help_text, {(pool,): getattr(one, attribute) for pool, one in pools.items()}, ("pool",))

    def _leads(self) -> Iterator[Metric]:
        leader = self._standing if isinstance(self._standing, LeaderStanding) else None
        for name, help_text, attribute in _LEADER:
            yield _gauge(name, help_text, None if leader is None else getattr(leader, attribute))
        taken_ms = leader.snapshot_ms if leader is not None else 0
        yield _gauge(
            "gaia_snapshot_timestamp_seconds",
            "When this leader had its newest snapshot taken, seconds since the epoch; absent before the first.",
            taken_ms / 1000 if taken_ms else None,
        )


_POOLS: Final = (
    ("gaia_ready_steps", "Ready Steps of a pool that more workers of it could take now: what to scale by.", "ready"),
    ("gaia_attempts_held", "Attempts that a pool's workers hold, those that wait for a slot there too.", "held"),
    ("gaia_workers", "Workers of a pool.", "workers"),
    ("gaia_workers_draining", "Workers of a pool that take nothing new.", "draining"),
    ("gaia_worker_slots", "Slots of a pool's workers that take new attempts.", "slots"),
    ("gaia_worker_credit", "Attempts that a pool's workers may still be given, prefetch included.", "credit"),
)

_LEADER: Final = (
    ("gaia_term", "Number of the leader's term; of the leader alone, as all that follows.", "term"),
    ("gaia_requests_waiting", "Requests in front of the leader's loop.", "requests_waiting"),
    ("gaia_reports_lag_records", "Records of reports on the bus that the loop has yet to take in.", "reports_waiting"),
    ("gaia_publisher_lag_entries", "Journal entries that the publisher has yet to follow.", "entries_unfollowed"),
    ("gaia_publisher_lag_events", "Public events that are decided and not published.", "events_unpublished"),
    (
        "gaia_journal_grown_bytes",
        "Bytes that were journaled since the snapshot that this term began from.",
        "journal_bytes",
    ),
    ("gaia_journal_void_records", "Records of the journal that were passed over.", "void_records"),
    ("gaia_snapshot_bytes", "Size of the newest snapshot; 0 while it is not known.", "snapshot_bytes"),
)


def _counter(
    name: str, help_text: str, value: float | Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()
) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in (value if isinstance(value, Mapping) else {(): value}).items():
        family.add_metric(values, count)
    return family


def _gauge(
    name: str, help_text: str, value: float | Mapping[tuple[str, ...], float] | None, labels: tuple[str, ...] = ()
) -> Metric:
    """Return a gauge; without a sample where there is no value."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    samples = value if isinstance(value, Mapping) else {} if value is None else {(): float(value)}
    for values, amount in samples.items():
        family.add_metric(values, amount)
    return family


def _histogram(name: str, help_text: str, tally: Tally) -> Metric:
    bounds = [*(f"{bound:g}" for bound in tally.bounds), "+Inf"]
    return HistogramMetricFamily(name, help_text, list(zip(bounds, tally.cumulated(), strict=True)), tally.sum)


def _by_one(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def _few(pools: Mapping[str, PoolFigures]) -> dict[str, PoolFigures]:
    """Return so many pools at most, the rest as one."""
    ordered = sorted(pools.items(), key=lambda one: (one[1].workers == 0, -one[1].ready))
    shown = dict(ordered[:POOLS_MAX])
    for _, rest in ordered[POOLS_MAX:]:
        sum_ = shown.setdefault(OTHERS, PoolFigures())
        sum_.ready += rest.ready
        sum_.held += rest.held
        sum_.workers += rest.workers
        sum_.draining += rest.draining
        sum_.slots += rest.slots
        sum_.credit += rest.credit
    return shown
