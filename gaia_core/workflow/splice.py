"""Splicing of `{{name}}` into command tokens, internal paths and Keys. Called by expansion and by execution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gaia_core.workflow.model import Scalar

_MARK: Final = re.compile(r"\{\{(\{\{|([A-Za-z0-9_.-]+)\}\})?")
"""`{{{{` (an escaped `{{`), `{{name}}`, or a `{{` that is neither."""


class Unspliceable(Exception):
    """A text cannot be spliced; the message says why."""


def scalar_text(value: Scalar) -> str:
    """Return what a var's value writes: a string as it is, a number or boolean as its JSON text."""
    if type(value) is int:
        return str(value)  # the same, and four times as fast: large sweeps have many
    return value if isinstance(value, str) else json.dumps(value)


def names_in(text: str) -> Iterator[str]:
    """Yield every name that text splices.

    Raises:
        Unspliceable: a `{{` begins neither `{{name}}` nor `{{{{`.
    """
    if "{{" not in text:
        return
    for match in _MARK.finditer(text):
        if match[1] is None:
            raise Unspliceable(f"'{{{{' in {text!r} begins no {{{{name}}}}; write '{{{{{{{{' for a literal '{{{{'")
        if match[2]:
            yield match[2]


def splice(text: str, values: Mapping[str, str]) -> str:
    """Return text with every `{{name}}` replaced, in one pass: what a value brings in is not spliced again.

    Raises:
        Unspliceable: a name has no value, or a `{{` begins nothing.
    """
    if "{{" not in text:
        return text

    def replacement(match: re.Match[str]) -> str:
        if match[1] is None:
            raise Unspliceable(f"'{{{{' in {text!r} begins no {{{{name}}}}; write '{{{{{{{{' for a literal '{{{{'")
        name = match[2]
        if name is None:
            return "{{"
        if name not in values:
            raise Unspliceable(f"nothing defines {{{{{name}}}}}")
        return values[name]

    return _MARK.sub(replacement, text)
