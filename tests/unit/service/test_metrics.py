"""/metrics of a server: what it counts, what stands in its state, and who is answered."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gaia.client import Gaia
from gaia_core.coordinator.meter import Meter, Tally
from gaia_core.coordinator.standing import StandbyStanding
from gaia_core.errors import GaiaError, UnknownName
from gaia_core.machine.figures import PoolFigures
from gaia_core.machine.reports import Failed, Hello
from gaia_core.service import http_api, metrics
from gaia_core.service.calls import CallMeter
from gaia_core.service.metrics import ServerMetrics
from gaia_core.service.reception import Reception
from gaia_core.workflow.model import Failure, FailureClass
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.service.calls import HOSTS, Http
from tests.unit.service.served import Served

STEP = {"name": "s", "command": "c", "vars": {"n": [1, 2, 3, 4]}}
COMMAND = {"name": "c", "image": "i", "command": ["true", "{{n}}"], "vars": {"n": 0}}


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(poll_s=0.0) as made:
        yield made


@pytest.fixture
def flow(served: Served) -> Iterator[Gaia]:
    with served.client() as client:
        yield client


def samples(text: str) -> dict[str, float]:
    """Return every sample by its name with its labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scraped(served: Served) -> dict[str, float]:
    """Return what a server shows."""
    with urllib.request.urlopen(f"http://{served.config.http_listen}/metrics", timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return samples(reply.read().decode())


def test_a_server_shows_what_runs_and_what_waits(served: Served, flow: Gaia) -> None:
    """Steps by state, pools with their workers, what is ready there, attempts that ended, and calls."""
    flow.upload("a", {}, [COMMAND], [STEP])
    flow.upload("b", {}, [COMMAND], [{"name": "s", "command": "c", "pool": "big"}])
    flow.halt("b")
    before = scraped(served)
    assert before["gaia_ready_steps{pool=default}"] == 4
    assert "gaia_ready_steps{pool=big}" not in before
    assert before["gaia_steps{state=ready}"] == 5
    assert before["gaia_workflows{state=halted}"] == 1
    hand = Hand(served, "w")  # type: ignore[arg-type]
    hand.say(Hello("default", 1, 1, 0, hand.bus.start_offset, "noop", "host"))
    wait_until(lambda: (hand.read(), len(hand.fences()) == 2)[1], "both are ordered")
    during = scraped(served)
    assert during["gaia_ready_steps{pool=default}"] == 2
    assert during["gaia_attempts_held{pool=default}"] == 2
    assert (during["gaia_workers{pool=default}"], during["gaia_worker_slots{pool=default}"]) == (1, 1)
    assert during["gaia_worker_credit{pool=default}"] == 0
    assert during["gaia_attempts_dispatched_total"] == during["gaia_dispatch_latency_seconds_count"] == 2
    hand.complete("s-1")
    hand.say(Failed(hand.fences()["s-2"], Failure(FailureClass.COMMAND, "exit code 1")))
    wait_until(lambda: scraped(served).get("gaia_attempts_failed_total{class=COMMAND,final=true}"), "it is counted")
    after = scraped(served)
    assert after["gaia_attempts_completed_total"] == after["gaia_attempt_run_seconds_count"] == 1
    assert after["gaia_steps{state=failed}"] == 1
    assert (after["gaia_leader"], after["gaia_up"], after["gaia_terms_total"]) == (1, 1, 1)
    assert after["gaia_journal_entries_total"] == after["gaia_journal_append_seconds_count"] > 3
    assert after["gaia_journal_appended_bytes_total"] > 100
    assert after["gaia_rpcs_total{code=OK,method=Upload}"] == 2
    assert after["process_resident_memory_bytes"] > 0


def test_calls_are_counted_by_their_end(served: Served, flow: Gaia) -> None:
    """A refusal by its status code; a stream that its reader leaves as cancelled."""
    with pytest.raises(UnknownName):
        flow.status("nothing")
    assert scraped(served)["gaia_rpcs_total{code=NOT_FOUND,method=Status}"] == 1


def test_records_that_nobody_can_use_are_counted(served: Served, flow: Gaia) -> None:
    """Reports that are none, and those that do not count, by cause."""
    worker = served.bus.connect("w")
    worker.report(b"\xff\xff")
    worker.close()
    wait_until(lambda: scraped(served).get("gaia_records_set_aside_total{log=reports}"), "it is counted")


class Nobody:
    """Answers nothing: with an error, or never."""

    def __init__(self, error: GaiaError | None = None) -> None:
        self.error = error

    def __call__(self, _: Any) -> "Future[Any]":
        if self.error is not None:
            raise self.error
        return Future()


def exposed(submit: Any, **more: Any) -> Http:
    """Return the HTTP port of a server that stands by."""
    standing = StandbyStanding(7, True)
    shown = ServerMetrics(Meter(), CallMeter(), lambda: "standby", lambda: standing, submit)
    return Http(
        http_api.build(lambda: "standby", submit, Reception(), HOSTS, more.get("token", ""), dict, shown.expose)
    )


@pytest.mark.parametrize("error", [GaiaError("nobody leads"), None])
def test_metrics_do_not_depend_on_an_answer(error: GaiaError | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the state does not answer (in time) the rest is shown all the same."""
    monkeypatch.setattr(metrics, "ANSWER_S", 0.01)
    shown = samples(exposed(Nobody(error)).get("/metrics").text)
    assert shown["gaia_follower_lag_records"] == 7
    assert (shown["gaia_leader"], shown["gaia_up"]) == (0, 1)
    assert not [name for name in shown if name.startswith(("gaia_steps{", "gaia_workflows{"))]
    assert "gaia_term" not in shown


def test_metrics_are_guarded_as_the_rest_of_the_port() -> None:
    """Unknown hosts are refused; with a token, callers without it."""
    error = GaiaError("nobody")
    assert exposed(Nobody(error)).get("/metrics", headers={"Host": "evil.example"}).status_code == 403
    guarded = exposed(Nobody(error), token="secret")
    assert guarded.get("/metrics").status_code == 401
    assert guarded.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert exposed(Nobody(error)).post("/metrics", json={}).status_code == 405


def test_a_tally_counts_equal_values_at_once() -> None:
    """A value belongs to the first bound that is not below it; the last count is that of all."""
    tally = Tally((1.0, 2.0))
    tally.add(1.0, 3)
    tally.add(1.5)
    tally.add(9.0, 2)
    assert tally.cumulated() == [3, 4, 6]
    assert tally.sum == 22.5


def test_only_so_many_pools_are_shown_by_name() -> None:
    """Those with workers first, then the deepest; the rest together."""
    pools = {f"p{number}": PoolFigures(ready=number) for number in range(150)} | {"own": PoolFigures(workers=1)}
    shown = metrics._few(pools)
    assert len(shown) == metrics.POOLS_MAX + 1
    assert list(shown)[:2] == ["own", "p149"]
    assert shown[metrics.OTHERS].ready == sum(range(51))
    assert sum(one.ready for one in shown.values()) == sum(range(150))
