"""What is wrong with scalars, and numbers as they were meant: 1 stays 1 through JSON, YAML and protobuf."""

import math
from typing import Any, Final

from gaia_core.workflow.form.texts import token_problem
from gaia_core.workflow.form.wording import kind

INTEGER_MAX: Final = 2**53
"""Numbers travel as doubles in protobuf's Value and in JSON of many languages; beyond this they would change."""

INT32_MAX: Final = 2**31 - 1


def scalar_problem(value: object) -> str | None:
    """Tell what is wrong with a string, number or boolean."""
    if isinstance(value, str):
        return token_problem(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        too_large = f"numbers beyond {INTEGER_MAX} lose digits on their way; write it as a string"
        return None if abs(value) <= INTEGER_MAX else too_large
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    if value is None:
        return "null is not allowed; leave it out or write an empty string"
    return f"must be a string, a number or a boolean, not {kind(value)}"


def number_kept(value: Any) -> Any:
    """Return a whole float as an int, so that 1 stays 1 on every way here: JSON, YAML, protobuf."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value
