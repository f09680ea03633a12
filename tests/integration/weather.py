"""Whether a workflow made of the weather example made what independent arithmetic says."""

import csv
import io
from typing import Any

from examples.weather.expected import MEAN_TOLERANCE, expected_months, expected_years
from gaia_client.client import Gaia
from tests.integration.gaia_processes import EXAMPLES, example

SERIES = EXAMPLES / "weather" / "data" / "seattle-weather.csv"


def upload_weather(flow: Gaia, workflow: str, image: str = "busybox:1.36") -> None:
    """Upload the example and put its input."""
    commands, steps = example("weather", image)
    flow.upload(workflow, {"owner": "tests"}, commands, steps)
    flow.put(workflow, "seattle-weather.csv", SERIES)


def check_weather(flow: Gaia, workflow: str) -> None:
    """Compare every statistic with the expected one, and look at table and chart."""
    check_years(flow, workflow)
    for (year, month), expected in expected_months(SERIES).items():
        _compare(_row(flow, workflow, f"statistics/months/{year}/{month:02}.csv"), expected)
    table = flow.get(workflow, "report/table.txt")
    chart = flow.get(workflow, "report/chart.svg")
    assert table is not None
    assert b"The average year" in table
    assert chart is not None
    assert b"<svg" in chart


def check_years(flow: Gaia, workflow: str) -> None:
    """Compare the statistics of the years alone."""
    status = flow.wait(workflow, timeout_s=120)
    assert status["state"] == "complete", status["failed"]
    for year, expected in expected_years(SERIES).items():
        _compare(_row(flow, workflow, f"statistics/years/{year}.csv"), expected)


def _row(flow: Gaia, workflow: str, key: str) -> dict[str, str]:
    content = flow.get(workflow, key)
    assert content is not None
    (row,) = csv.DictReader(io.StringIO(content.decode()))
    return row


def _compare(row: dict[str, str], expected: Any) -> None:
    for name, text in row.items():
        wanted = getattr(expected, name, None)
        if wanted is None:
            continue
        if "mean" in name:
            assert abs(float(text) - float(wanted)) <= MEAN_TOLERANCE, name
        elif isinstance(wanted, str):
            assert text == wanted, name
        else:
            assert float(text) == float(wanted), name
