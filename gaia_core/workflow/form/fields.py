"""One map of a request while it is read, field by field. Called by what reads Commands, Steps and properties."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gaia_core.errors import Problem
from gaia_core.workflow.form.texts import TextCheck, part_name_problem, text_problem, token_problem
from gaia_core.workflow.form.values import INTEGER_MAX
from gaia_core.workflow.form.wording import at, kind, unknown_field
from gaia_core.workflow.unknown import UNKNOWN

ABSENT: Final = object()


@dataclass(slots=True)
class Form:
    """One map of a request: gives its fields and collects what is wrong with them."""

    values: Mapping[Any, Any]
    place: str
    problems: list[Problem]
    remarks: list[Problem]
    """Problems that do not keep the rest from being understood."""

    def refuse(self, field: str, message: str) -> None:
        """Note a problem of a field."""
        self.problems.append(Problem(at(self.place, field), message))

    def refuse_item(self, field: str, index: int, message: str) -> None:
        """Note a problem of one element of a list."""
        self.problems.append(Problem(f"{at(self.place, field)}[{index}]", message))

    def take(self, field: str) -> Any:
        """Return the value of a field, or ABSENT; null counts as a problem."""
        value = self.values.get(field, ABSENT)
        if value is None:
            self.refuse(field, "null is not allowed; leave the field out")
            return ABSENT
        return value

    def need(self, *fields: str) -> None:
        """Note every field of these that is missing."""
        for field in fields:
            if field not in self.values:
                self.problems.append(Problem(self.place, f"{field!r} is missing"))

    def only(self, allowed: Sequence[str], elsewhere: Mapping[str, str]) -> None:
        """Note every field that is not allowed; `elsewhere` tells where some of them belong."""
        for field in self.values:
            if not isinstance(field, str):
                self.problems.append(Problem(self.place, f"field names are strings, not {kind(field)}"))
            elif field not in allowed:
                self.refuse(field, elsewhere.get(field) or unknown_field(field, allowed))

    def text(self, field: str, check: TextCheck) -> str | None:
        """Return a string that passes the check, or None."""
        value = self.take(field)
        if value is ABSENT:
            return None
        if problem := text_problem(value, check):
            self.refuse(field, problem)
            return None
        return str(value)

    def tokens(self, field: str, otherwise: str = "") -> tuple[str, ...]:
        """Return a list of one or more shell tokens; `otherwise` names for people what else the field may be."""
        value = self.take(field)
        if value is ABSENT:
            return ()
        if not isinstance(value, list | tuple):
            self.refuse(field, f"must be a list of strings{otherwise}, not {kind(value)}")
            return ()
        if not value:
            self.refuse(field, "needs at least one token")
        found = list(value)
        for index, token in enumerate(value):
            if problem := text_problem(token, token_problem):
                self.refuse_item(field, index, problem)
                found[index] = UNKNOWN
        return tuple(found)

    def texts(self, field: str, name_check: TextCheck, check: TextCheck) -> dict[str, str]:
        """Return a map of names to strings, each of which passes its check."""
        return self.entries(field, name_check, lambda value: text_problem(value, check), UNKNOWN)

    def entries(
        self, field: str, name_check: TextCheck, problem_of: Callable[[object], str | None], unknown: Any
    ) -> dict[str, Any]:
        """Return a map of names to values.

        Args:
            field: its name.
            name_check: tells what is wrong with a name.
            problem_of: tells what is wrong with a value.
            unknown: stands for a value that is wrong, and beside UNKNOWN for all that have a wrong name.
        """
        value = self.take(field)
        if value is ABSENT:
            return {UNKNOWN: unknown} if field in self.values else {}
        if not isinstance(value, Mapping):
            self.refuse(field, f"must be a map, not {kind(value)}")
            return {UNKNOWN: unknown}
        found = dict(value)
        for name, each in value.items():
            wrong_name = name_check(name) if isinstance(name, str) else f"names are strings, not {kind(name)}; quote it"
            wrong_value = problem_of(each)
            if wrong_name or wrong_value:
                place = at(at(self.place, field), name)
                self.problems += [Problem(place, problem) for problem in (wrong_name, wrong_value) if problem]
                if wrong_name:
                    del found[name]
                found[UNKNOWN if wrong_name else name] = unknown
        return found

    def names(self, field: str) -> tuple[str, ...]:
        """Return a list of different names of parts."""
        value = self.take(field)
        if value is ABSENT:
            return (UNKNOWN,) if field in self.values else ()
        if not isinstance(value, list | tuple):
            self.refuse(field, f"must be a list of names, not {kind(value)}")
            return (UNKNOWN,)
        found: list[str] = []
        for index, name in enumerate(value):
            problem = text_problem(name, part_name_problem)
            if problem or name in found:
                self.refuse_item(field, index, problem or f"{name!r} is there twice")
            found.append(UNKNOWN if problem else name)
        return tuple(found)

    def flag(self, field: str) -> bool | None:
        """Return true or false, or None."""
        value = self.take(field)
        if isinstance(value, bool):
            return value
        if value is not ABSENT:
            self.refuse(field, f"must be true or false, not {kind(value)}")
        return None

    def whole(self, field: str, least: int, most: int) -> int | None:
        """Return a whole number from least to most, or None."""
        value = self.take(field)
        if value is ABSENT:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(field, f"must be a whole number, not {kind(value)}")
        elif not least <= value <= most:
            self.refuse(field, f"must be at least {least}" if value < least else f"must be at most {most}")
        else:
            return value
        return None

    def positive(self, field: str) -> float | None:
        """Return a finite number above zero, or None."""
        value = self.take(field)
        if value is ABSENT:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(field, f"must be a number, not {kind(value)}")
        elif not 0 < value <= INTEGER_MAX:
            self.refuse(field, f"must be a number above 0 and at most {INTEGER_MAX}")
        else:
            return float(value)
        return None

    def choice(self, field: str, allowed: Sequence[str]) -> str | None:
        """Return one of the allowed words, or None."""
        return self.text(field, lambda text: None if text in allowed else f"must be one of: {', '.join(allowed)}")
