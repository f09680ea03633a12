"""How places and values are named in problems, so that a person finds them. Called by all that reads requests."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

SHOWN_CHARACTERS_MAX: Final = 60
"""More of a text does not help to find it."""

_PLAIN_FIELD = re.compile(r"[A-Za-z0-9_-]+")


def at(place: str, name: object) -> str:
    """Return the place of a named part: `steps[0].inputs.genome`, or `properties["a b"]` where a dot would mislead."""
    if isinstance(name, str) and _PLAIN_FIELD.fullmatch(name):
        return f"{place}.{name}" if place else name
    return f"{place}[{json.dumps(shortened(name) if isinstance(name, str) else kind(name))}]"


def kind(value: object) -> str:
    """Name the kind of a value for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {digits(value)}"
    if isinstance(value, str):
        return f"the text {shortened(value)!r}"
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def digits(value: float) -> str:
    """Render a number; Python refuses to print integers of several thousand digits."""
    return repr(value) if not isinstance(value, int) or abs(value) < 10**100 else "above 10**100"


def shortened(text: str) -> str:
    """Return as much of a text as a line of words has room for."""
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[: SHOWN_CHARACTERS_MAX - 3]}..."


def unknown_field(field: str, allowed: Sequence[str]) -> str:
    """Tell that there is no such field, and which one is near."""
    close = difflib.get_close_matches(field[:64].lower(), allowed, n=1)
    return f"is unknown; did you mean {close[0]!r}?" if close else f"is unknown; there are: {', '.join(allowed)}"
