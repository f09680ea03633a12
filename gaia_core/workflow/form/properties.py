"""A workflow's properties: a free map of plain JSON values, in which four have a type, as Gaia acts on them."""

from collections.abc import Mapping
from typing import Any, Final

from gaia_core.errors import Problem
from gaia_core.workflow.form.fields import Form
from gaia_core.workflow.form.texts import line_problem, text_problem, token_problem
from gaia_core.workflow.form.values import INTEGER_MAX, number_kept, scalar_problem
from gaia_core.workflow.form.wording import at, kind

PROPERTY_DEPTH_MAX: Final = 20
"""Each level costs three nested messages in a protobuf Struct, whose readers stop at 100."""

_ACTING_PROPERTIES: Final = ("owner", "max_parallel", "on_error", "retention_s")
_ON_ERROR_VALUES: Final = ("finish", "stop")


def parse_properties(value: object, place: str = "properties") -> tuple[dict[str, Any], list[Problem]]:
    """Return a workflow's properties as plain JSON values, and every problem of them.

    The map is free; only `owner`, `max_parallel`, `on_error` and `retention_s` have a type, as Gaia acts on them.
    """
    problems: list[Problem] = []
    if not isinstance(value, Mapping):
        return {}, [Problem(place, f"must be a map, not {kind(value)}")]
    form = Form(value, place, problems, [])
    form.text("owner", line_problem)
    form.whole("max_parallel", 1, INTEGER_MAX)
    form.choice("on_error", _ON_ERROR_VALUES)
    form.positive("retention_s")
    return _json_map(value, place, problems, 0), problems


def _json_map(values: Mapping[Any, Any], place: str, problems: list[Problem], depth: int) -> dict[str, Any]:
    """Return a map of properties as JSON values of our own, noting what JSON cannot say."""
    found = {}
    for name, value in values.items():
        inner = at(place, name)
        if problem := text_problem(name, token_problem):
            problems.append(Problem(inner, f"a name {problem}"))
        elif depth == 0 and name in _ACTING_PROPERTIES:
            found[name] = number_kept(value)
        else:
            found[name] = _json_value(value, inner, problems, depth + 1)
    return found


def _json_value(value: object, place: str, problems: list[Problem], depth: int) -> Any:
    if depth > PROPERTY_DEPTH_MAX:
        problems.append(Problem(place, f"is nested deeper than {PROPERTY_DEPTH_MAX} levels"))
    elif isinstance(value, Mapping):
        return _json_map(value, place, problems, depth)
    elif isinstance(value, list | tuple):
        return [_json_value(each, f"{place}[{index}]", problems, depth + 1) for index, each in enumerate(value)]
    elif value is not None and (problem := scalar_problem(value)):
        problems.append(Problem(place, problem))
    else:
        return number_kept(value)
    return None
