"""What is kept with a worker for people: a free map, small enough to be said again with each of its heartbeats."""

import json
from collections.abc import Mapping
from typing import Any, Final

from gaia_core.errors import Problem
from gaia_core.workflow.parse import parse_properties

METADATA_BYTES_MAX: Final = 4_096
"""As JSON."""


def parse_metadata(value: object, place: str = "metadata") -> tuple[dict[str, Any], list[Problem]]:
    """Return metadata as plain JSON values, and every problem of them."""
    if not isinstance(value, Mapping):
        return {}, [Problem(place, "must be a map")]
    # One level down no name means anything, as among the properties of a workflow some do.
    found, problems = parse_properties({place: value}, "")
    if not problems and len(json.dumps(found[place])) > METADATA_BYTES_MAX:
        problems.append(Problem(place, f"has more than {METADATA_BYTES_MAX:,} bytes as JSON"))
    return ({}, problems) if problems else (found[place], [])
