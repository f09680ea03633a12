"""What stands for parts of a request that could not be understood, so that all its other parts can be checked.

Only requests that are refused hold any; nothing of this ever enters a workflow.
"""

from collections.abc import Mapping
from typing import Any, Final

from gaia_core.workflow.model import Command, StepSpec

UNKNOWN: Final = ""
"""A name, Key, path or token that was not understood. As a name in a map it says that there may be other names."""

UNKNOWN_VALUE: Final[Any] = None
"""The value of a var, or an element of it, that was not understood."""

UNKNOWN_TEXTS: Final[Mapping[str, str]] = {UNKNOWN: UNKNOWN}
UNKNOWN_VALUES: Final[Mapping[str, Any]] = {UNKNOWN: UNKNOWN_VALUE}

UNKNOWN_COMMAND: Final = Command(UNKNOWN, inputs=UNKNOWN_TEXTS, outputs=UNKNOWN_TEXTS, vars=UNKNOWN_VALUES)
UNKNOWN_STEP: Final = StepSpec(UNKNOWN, UNKNOWN, UNKNOWN_TEXTS, UNKNOWN_TEXTS, UNKNOWN_VALUES)


def is_understood(value: object) -> bool:
    """Tell whether the value of a var, with all its elements, was understood; an empty array makes nothing to know."""
    if isinstance(value, tuple):
        return bool(value) and UNKNOWN_VALUE not in value
    return value is not UNKNOWN_VALUE
