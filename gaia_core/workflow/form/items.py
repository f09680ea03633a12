"""Lists of Commands or Steps, item by item: what is sound of them, and what is wrong with the rest."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from gaia_core.errors import Problem
from gaia_core.workflow.form.fields import Form
from gaia_core.workflow.form.wording import kind

Item = TypeVar("Item")


def read_list(value: object, place: str, read: Callable[[Form], Item | None]) -> tuple[dict[int, Item], list[Problem]]:
    """Return the sound items of a list by index, and the problems of the others; remarks leave an item sound."""
    if not isinstance(value, list | tuple):
        return {}, [Problem(place, f"must be a list, not {kind(value)}")]
    found: dict[int, Item] = {}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for index, each in enumerate(value):
        known = len(problems)
        remarks: list[Problem] = []
        item = _read_item(each, f"{place}[{index}]", problems, remarks, read)
        first = seen.setdefault(name_of(each), index)
        if first != index and name_of(each):
            problems.append(Problem(f"{place}[{index}].name", f"{name_of(each)!r} is already {place}[{first}]"))
        if item is not None and len(problems) == known:
            found[index] = item
        problems += remarks
    return found, problems


def _read_item(
    value: object,
    place: str,
    problems: list[Problem],
    remarks: list[Problem],
    read: Callable[[Form], Item | None],
) -> Item | None:
    if isinstance(value, Mapping):
        return read(Form(value, place, problems, remarks))
    problems.append(Problem(place, f"must be a map, not {kind(value)}"))
    return None


def name_of(value: object) -> str:
    """Return the name that an item gives itself, or ""."""
    name = value.get("name") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else ""
