"""Lists of Commands or Steps, item by item: all that can be understood of each, and every problem of form.

An item with problems is read too: what is wrong in it is left out or stands there as unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from gaia_core.errors import Problem
from gaia_core.workflow.form.fields import Form
from gaia_core.workflow.form.wording import kind

Item = TypeVar("Item")


class Reading(NamedTuple, Generic[Item]):
    """A list as it was read.

    Attributes:
        items: one for each item of the list, in its order, with unknown parts where there are problems.
        problems: every problem of form.
        unsound: where items lie that have unknown parts.
        is_list: False where the whole is no list.
    """

    items: Sequence[Item]
    problems: Sequence[Problem] = ()
    unsound: frozenset[int] = frozenset()
    is_list: bool = True

    @property
    def sound(self) -> list[Item]:
        """Return the items that were understood whole."""
        return [item for index, item in enumerate(self.items) if index not in self.unsound]


def read_list(value: object, place: str, read: Callable[[Form], Item], unknown: Item) -> Reading[Item]:
    """Read every item of a list; remarks leave an item sound.

    Args:
        value: what should be a list of maps.
        place: of the list.
        read: reads one map.
        unknown: stands for an item that is no map.
    """
    if not isinstance(value, list | tuple):
        return Reading([], [Problem(place, f"must be a list, not {kind(value)}")], is_list=False)
    items: list[Item] = []
    unsound: list[int] = []
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for index, each in enumerate(value):
        known = len(problems)
        remarks: list[Problem] = []
        if isinstance(each, Mapping):
            items.append(read(Form(each, f"{place}[{index}]", problems, remarks)))
        else:
            items.append(unknown)
            problems.append(Problem(f"{place}[{index}]", f"must be a map, not {kind(each)}"))
        name = _name_of(each)
        first = seen.setdefault(name, index)
        if first != index and name:
            problems.append(Problem(f"{place}[{index}].name", f"{name!r} is already {place}[{first}]"))
        if len(problems) > known:
            unsound.append(index)
        problems += remarks
    return Reading(items, problems, frozenset(unsound))


def _name_of(value: object) -> str:
    """Return the name that an item gives itself, or ""."""
    name = value.get("name") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else ""
