"""Work out what the weather workflow should find, in plain Python and by another road.

The tests compare the workflow's files with these numbers. Everything here is exact (fractions, rounded nowhere), while
the workflow adds up floating-point numbers in awk and prints a few decimals: hence the tolerances below. This module
reads only the daily series and shares no code with the Commands it checks.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

Group = TypeVar("Group", int, tuple[int, int])
"""What days are gathered by."""

RAIN_DAY_MM = Fraction(1)
"""From this much on a day is a rain day: the default of the Commands' var RAIN_DAY_MM."""

MEAN_TOLERANCE = 0.00501
"""Half of the last digit of a mean in the statistics files (two decimals), and a hair for a tie.

Counts, days, extremes and totals of one-decimal readings have no tolerance: they are equal.
"""

TABLE_TOLERANCE = 0.0551
"""The same for the means in the table: one decimal, made from means of two decimals."""


@dataclass(frozen=True)
class Day:
    """One line of the series; precipitation in mm, temperatures in °C, wind in m/s."""

    day: date
    precipitation: Fraction
    temp_max: Fraction
    temp_min: Fraction
    wind: Fraction


@dataclass(frozen=True)
class Statistics:
    """What the workflow says about some days; the names are those of its columns."""

    days: int
    rain_days: int
    precipitation_mm: float
    temp_max_mean_c: float
    temp_min_mean_c: float
    wind_mean_m_s: float
    hottest_day: str
    hottest_c: float


def expected_years(csv_path: Path) -> dict[int, Statistics]:
    """Return the statistics of every year: the files `statistics/years/YEAR.csv`."""
    return _grouped(read_days(csv_path), lambda day: day.day.year)


def expected_months(csv_path: Path) -> dict[tuple[int, int], Statistics]:
    """Return the statistics of every (year, month): `statistics/months/YEAR/MM.csv`, which has no hottest day."""
    return _grouped(read_days(csv_path), lambda day: (day.day.year, day.day.month))


def expected_climate(csv_path: Path) -> dict[int, Statistics]:
    """Return the statistics of every month (1 to 12) over all years together.

    The table's lower half shows days, rain days and precipitation of these divided by the number of years.
    """
    return _grouped(read_days(csv_path), lambda day: day.day.month)


def read_days(csv_path: Path) -> list[Day]:
    """Read the series (columns date, precipitation, temp_max, temp_min, wind, weather), each number exactly."""
    with csv_path.open(newline="", encoding="utf-8") as file:
        return [
            Day(
                day=date.fromisoformat(row["date"].replace("/", "-")),
                precipitation=Fraction(row["precipitation"]),
                temp_max=Fraction(row["temp_max"]),
                temp_min=Fraction(row["temp_min"]),
                wind=Fraction(row["wind"]),
            )
            for row in csv.DictReader(file)
        ]


def _grouped(days: Iterable[Day], group_of: Callable[[Day], Group]) -> dict[Group, Statistics]:
    groups: dict[Group, list[Day]] = {}
    for day in days:
        groups.setdefault(group_of(day), []).append(day)
    return {group: _statistics(members) for group, members in groups.items()}


def _statistics(days: list[Day]) -> Statistics:
    hottest = max(days, key=lambda day: day.temp_max)  # the first of several, as days come by date
    return Statistics(
        days=len(days),
        rain_days=sum(day.precipitation >= RAIN_DAY_MM for day in days),
        precipitation_mm=float(sum(day.precipitation for day in days)),
        temp_max_mean_c=_mean([day.temp_max for day in days]),
        temp_min_mean_c=_mean([day.temp_min for day in days]),
        wind_mean_m_s=_mean([day.wind for day in days]),
        hottest_day=hottest.day.isoformat(),
        hottest_c=float(hottest.temp_max),
    )


def _mean(values: list[Fraction]) -> float:
    return float(sum(values, Fraction(0)) / len(values))
