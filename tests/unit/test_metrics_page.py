"""docs/metrics.md lists every metric with its type, labels and meaning, and no other.

`python -m tests.unit.test_metrics_page` prints the tables.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml
from prometheus_client.core import Metric

from gaia_core.coordinator.meter import Meter
from gaia_core.service.calls import CallMeter
from gaia_core.service.metrics import server_families
from gaia_worker.metrics import WorkerMeter

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

_NAME = re.compile(r"gaia_[a-z0-9]+(_[a-z0-9]+)*")
UNITS = ("seconds", "bytes")


def table(families: Iterable[Metric], labels: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the rows of a table, one for each family."""
    rows = []
    for one in families:
        name = f"{one.name}_total" if one.type == "counter" else f"{one.name}_info" if one.type == "info" else one.name
        shown = ", ".join(f"`{label}`" for label in labels.get(one.name, ()))
        rows.append(f"| `{name}` | {one.type} | {shown} | {one.documentation} |")
    return rows


def labels_of(families: Iterable[Metric]) -> dict[str, tuple[str, ...]]:
    """Return the labels of each family that tells them."""
    return {one.name: tuple(getattr(one, "_labelnames", ())) for one in families}


def server_rows() -> list[str]:
    """Return the table of the server's metrics."""
    families = server_families(Meter(), CallMeter())
    return table(families, {**labels_of(families), "gaia": ("version",)})


def worker_rows() -> list[str]:
    """Return the table of the worker's metrics."""
    meter = WorkerMeter()
    labels = {"gaia_worker_attempts": ("outcome",), **dict.fromkeys(
        ("gaia_worker_files", "gaia_worker_transferred_bytes"), ("direction",)
    )}  # fmt: skip
    return table(meter.registry.collect(), labels)


def test_the_tables_of_metrics_are_the_code_s() -> None:
    """Server and worker, in the order in which they are shown."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `gaia_")]
    assert rows == [*server_rows(), *worker_rows()]


def test_rules_for_alerts_ask_for_what_there_is() -> None:
    """The rules in docs/operations.md name metrics that are shown."""
    page = (PAGE.parent / "operations.md").read_text(encoding="utf-8")
    rules = yaml.safe_load("groups:" + page.partition("```yaml\ngroups:")[2].partition("```")[0])
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    shown = {row.split("`")[1] for row in [*server_rows(), *worker_rows()]}
    named = {name.removesuffix("_bucket") for expression in asked for name in re.findall(r"gaia_[a-z_]+", expression)}
    assert len(asked) > 10
    assert named <= shown


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Words of our own prefix, base units last, and no name in two meanings."""
    families = [*server_families(Meter(), CallMeter()), *WorkerMeter().registry.collect()]
    names = [one.name for one in families]
    assert len(set(names)) == len(names)
    for one in families:
        assert one.name == "gaia" or _NAME.fullmatch(one.name), one.name
        assert one.documentation.endswith("."), one.name
        if one.type == "histogram" and one.name != "gaia_batch_size":
            assert one.name.endswith(UNITS), one.name


if __name__ == "__main__":
    head = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    print("\n".join([*head, *server_rows(), "", *head, *worker_rows()]))
