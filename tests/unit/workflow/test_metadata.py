"""What is kept with a worker is a small map of JSON values, and nothing in it means anything to Gaia."""

import math
from typing import Any

import pytest

from gaia_core.errors import Problem
from gaia_core.workflow.metadata import parse_metadata


def test_any_map_of_json_values_is_kept_as_it_is() -> None:
    """Names that act among properties do not act here."""
    given = {"zone": "eu-1", "owner": 7, "max_parallel": "many", "tags": [1, None, {"a": True}], "cost": 0.5}
    assert parse_metadata(given) == (given, [])
    assert parse_metadata({}) == ({}, [])


@pytest.mark.parametrize("value", [None, "text", [1], 7])
def test_what_is_no_map_is_refused(value: object) -> None:
    """With the place that it has where it came from."""
    assert parse_metadata(value, "here") == ({}, [Problem("here", "must be a map")])


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"x": math.nan}, "metadata.x"),
        ({"x": {"y": [object()]}}, "metadata.x.y[0]"),
        ({1: "x"}, 'metadata["the number 1"]'),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any, place: str) -> None:
    """Each problem with its place; nothing is kept then."""
    found, problems = parse_metadata(value)
    assert (found, [problem.place for problem in problems]) == ({}, [place])


def test_what_is_too_large_is_refused() -> None:
    """The limit counts bytes as JSON."""
    assert parse_metadata({"x": "y" * 4_087})[1] == []
    assert parse_metadata({"x": "y" * 4_088})[1] == [Problem("metadata", "has more than 4,096 bytes as JSON")]
