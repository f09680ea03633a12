"""/metrics of a running deployment, read as Prometheus does while Steps run: leader, standby, worker, `gaia up`."""

import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from gaia_core.coordinator.meter import Meter
from gaia_core.service.calls import CallMeter
from gaia_core.service.metrics import server_families
from gaia_worker.metrics import WorkerMeter
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import Up, free_address
from tests.support.waiting import wait_until

COMMANDS = [{"name": "c", "image": "none", "command": ["sh", "-c", "cat /in/k > /out/o; exit {{code}}"],
             "inputs": {"k": "/in/k"}, "outputs": {"o": "/out/o"}, "vars": {"code": 0}}]  # fmt: skip
SWEEP = {"name": "s", "command": "c", "vars": {"n": list(range(20))}, "inputs": {"k": "k"}, "outputs": {"o": "o/{{n}}"}}
FAILS = {"name": "f", "command": "c", "vars": {"code": 3}, "inputs": {"k": "k"}}


def scraped(address: str) -> dict[str, float]:
    """Return every sample by its name with its labels; what is shown must be well made."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    found: dict[str, float] = {}
    names = []
    for family in text_string_to_metric_families(text):
        names.append(family.name)
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found, key
            found[key] = sample.value
    assert len(set(names)) == len(names)
    return found


def families(address: str) -> set[str]:
    """Return the names of all families of ours."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        return {one.name for one in text_string_to_metric_families(reply.read().decode()) if one.name[:5] == "gaia_"}


def work(flow: Any) -> None:
    """Have twenty Steps complete and one fail."""
    flow.command("w", COMMANDS)
    flow.put("w", "k", b"12345")
    flow.merge("w", [SWEEP, FAILS])


def documented() -> set[str]:
    """Return the names of the families that docs/metrics.md has of a server."""
    return {"gaia_info" if one.name == "gaia" else one.name for one in server_families(Meter(), CallMeter())}


def check(server: dict[str, float], worker: dict[str, float]) -> None:
    """See that the work was counted, once."""
    assert server["gaia_attempts_completed_total"] == server["gaia_attempt_run_seconds_count"] == 20
    assert server["gaia_attempts_dispatched_total"] == server["gaia_dispatch_latency_seconds_count"] == 21
    assert server["gaia_attempts_failed_total{class=COMMAND,final=true}"] == 1
    assert server["gaia_steps{state=complete}"] == 20
    assert server["gaia_steps{state=failed}"] == 1
    assert server["gaia_workflows{state=error}"] == 1
    assert server["gaia_leader"] == server["gaia_terms_total"] == 1
    assert server["gaia_attempts_held{pool=default}"] == 0
    assert worker["gaia_worker_attempts_total{outcome=completed}"] == 20
    assert worker["gaia_worker_attempts_total{outcome=COMMAND}"] == 1
    assert worker["gaia_worker_program_seconds_count"] == 21
    assert worker["gaia_worker_files_total{direction=down}"] == 1, "all read the same, which is fetched once"
    assert worker["gaia_worker_transferred_bytes_total{direction=down}"] == 5
    assert worker["gaia_worker_files_total{direction=up}"] == 21, "an output each, and the log of the one that failed"
    assert worker["gaia_worker_transferred_bytes_total{direction=up}"] > 20 * 5
    assert worker["gaia_worker_attempts_running"] == 0
    assert worker["gaia_worker_process_slots"] > 0


def test_a_cluster_shows_its_metrics(cluster: Cluster) -> None:
    """Leader, standby and worker while Steps run and after it; a server that takes over goes on from what stands."""
    cluster.server()
    standby_address = free_address()
    standby = cluster.standby(standby_address)
    standby_http = standby._environ["GAIA_HTTP_LISTEN"]
    flow = cluster.client()
    work(flow)
    before = scraped(cluster.http)
    assert before["gaia_ready_steps{pool=default}"] == before["gaia_steps{state=ready}"] == 21
    shown = free_address()
    cluster.worker("w1", "sandbox", environ={"GAIA_METRICS_LISTEN": shown})

    def ends() -> bool:
        during = scraped(cluster.http)
        assert sum(during[f"gaia_steps{{state={state}}}"] for state in ("ready", "running", "complete", "failed")) == 21
        return during["gaia_steps{state=complete}"] == 20 and during["gaia_steps{state=failed}"] == 1

    wait_until(ends, "all ended", deadline_s=60)
    wait_until(lambda: scraped(cluster.http)["gaia_publisher_lag_events"] == 0, "all is published")
    leader = scraped(cluster.http)
    check(leader, scraped(shown))
    assert leader["gaia_reports_lag_records"] == leader["gaia_publisher_lag_entries"] == 0
    assert leader["gaia_journal_grown_bytes"] >= leader["gaia_journal_appended_bytes_total"] > 1_000
    assert (leader["gaia_workers{pool=default}"], leader["gaia_worker_slots{pool=default}"]) == (1, 2)
    wait_until(lambda: scraped(standby_http).get("gaia_steps{state=complete}") == 20, "the standby knows")
    other = scraped(standby_http)
    assert (other["gaia_leader"], other["gaia_up"], other["gaia_follower_lag_records"]) == (0, 1, 0)
    assert "gaia_term" not in other
    assert families(cluster.http) == families(standby_http) == documented()
    cluster.leader.kill()
    wait_until(lambda: scraped(standby_http)["gaia_leader"] == 1, "the standby leads", deadline_s=60)
    taken = scraped(standby_http)
    assert taken["gaia_steps{state=complete}"] == 20
    assert (taken["gaia_terms_total"], taken["gaia_attempts_completed_total"]) == (1, 0)


def test_an_embedded_gaia_shows_server_and_workers(tmp_path: Path) -> None:
    """Both at its HTTP port."""
    with Up(tmp_path) as up, up.client() as flow:
        work(flow)
        assert flow.wait("w", timeout_s=60)["state"] == "error"
        shown = scraped(up.http)
        check(shown, shown)
        workers = {one.name for one in WorkerMeter().registry.collect()}
        assert families(up.http) == documented() | workers
