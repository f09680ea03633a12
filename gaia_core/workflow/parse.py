"""Plain values, as read from JSON or YAML, to Commands, Steps and properties, and back.

Finds every problem of form at once, each with its place: wrong types, missing and unknown fields, bad names, control
characters, numbers out of range. Never raises, whatever it is given. What Commands and Steps mean together is
`validate`'s; `parse_workflow` joins the two. Called by the client before it sends, and by the service on all it gets.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from gaia_core.errors import Problem
from gaia_core.workflow.keys import key_problem
from gaia_core.workflow.model import (
    NO_OPTIONS,
    STDOUT_ALWAYS,
    STDOUT_BOTH,
    Command,
    Options,
    Resources,
    Scalar,
    StepSpec,
    VarValue,
)

INTEGER_MAX: Final = 2**53
"""Numbers travel as doubles in protobuf's Value and in JSON of many languages; beyond this they would change."""

PROPERTY_DEPTH_MAX: Final = 20
"""Each level costs three nested messages in a protobuf Struct, whose readers stop at 100."""

OPTION_FIELDS: Final = ("timeout", "queue_timeout", "retries", "resources", "pool", "priority", "keep")
COMMAND_FIELDS: Final = (
    *("name", "image", "command", "inputs", "outputs", "vars", "stdout"),
    *(*OPTION_FIELDS, "network", "env", "workdir", "entrypoint"),
)
COMPOSITE_FIELDS: Final = ("name", "steps", "inputs", "outputs", "vars", *OPTION_FIELDS)
STEP_FIELDS: Final = ("name", "command", "inputs", "outputs", "vars", *OPTION_FIELDS)
RESOURCE_FIELDS: Final = ("cpus", "memory", "gpus")

_NOT_YET: Final = {"reuse": "is not supported yet"}
LOCAL_NAME_LENGTH_MAX: Final = 255
"""Of a Key within a composite; the Keys that are made for it must be Keys."""

_ACTING_PROPERTIES: Final = ("owner", "max_parallel", "on_error", "retention_s")
_KEEP_VALUES: Final = ("on_failure",)
_ON_ERROR_VALUES: Final = ("finish", "stop")
_INT32_MAX: Final = 2**31 - 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_STEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")
_PART_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_PLAIN_FIELD = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_UNPASSABLE = re.compile(r"[\x00\ud800-\udfff]")
_MEMORY = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?(?:([kmgtp])i?)?b?", re.IGNORECASE)
_INDEXED = re.compile(r"(commands|steps)\[(\d+)\]")

_ABSENT: Final = object()

Item = TypeVar("Item")
TextCheck: TypeAlias = Callable[[str], str | None]
"""Tells what is wrong with a string, or None."""

Check: TypeAlias = Callable[[Iterable[Command], Sequence[StepSpec]], list[Problem]]
"""Tells what is wrong with Commands and Steps together; its places count within what it is given."""


class Parsed(NamedTuple):
    """The sound Commands and Steps of a workflow, and everything wrong with the rest or with them together."""

    commands: list[Command]
    steps: list[StepSpec]
    problems: list[Problem]


class Sound(NamedTuple, Generic[Item]):
    """The sound items of a list that holds unsound ones too, for whoever looks for further problems.

    Attributes:
        indexes: where each lies in the list.
    """

    items: list[Item]
    indexes: list[int]

    def moved(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems of the items with places that count within the whole list."""
        return [_moved(problem, {"commands": self.indexes, "steps": self.indexes}) for problem in problems]


def parse_commands(value: object) -> tuple[list[Command], list[Problem]]:
    """Return the sound Commands of a list of maps, as users write them, and every problem of the others."""
    found, problems = _parse_list(value, "commands", _command)
    return list(found.values()), problems


def parse_steps(value: object) -> tuple[list[StepSpec], list[Problem]]:
    """Return the sound Steps of a list of maps, as users write them, and every problem of the others."""
    found, problems = _parse_list(value, "steps", _step)
    return list(found.values()), problems


def sound_commands(value: object) -> Sound[Command]:
    """Return the sound Commands of a list, composites left out that use unsound ones."""
    found, _ = _parse_list(value, "commands", _command)
    found = _usable(found, _names_without(value, found))
    return Sound(list(found.values()), list(found))


def sound_steps(value: object) -> Sound[StepSpec]:
    """Return the sound Steps of a list."""
    found, _ = _parse_list(value, "steps", _step)
    return Sound(list(found.values()), list(found))


def parse_properties(value: object, place: str = "properties") -> tuple[dict[str, Any], list[Problem]]:
    """Return a workflow's properties as plain JSON values, and every problem of them.

    The map is free; only `owner`, `max_parallel`, `on_error` and `retention_s` have a type, as Gaia acts on them.
    """
    problems: list[Problem] = []
    if not isinstance(value, Mapping):
        return {}, [Problem(place, f"must be a map, not {_kind(value)}")]
    form = _Form(value, place, problems, [])
    form.text("owner", _line_problem)
    form.whole("max_parallel", 1, INTEGER_MAX)
    form.choice("on_error", _ON_ERROR_VALUES)
    form.positive("retention_s")
    return _json_map(value, place, problems, 0), problems


def name_problems(name: object, place: str = "workflow") -> list[Problem]:
    """Return what is wrong with the name of a workflow, of which there is at most one."""
    problem = _text_problem(name, _name_problem)
    return [Problem(place, problem)] if problem else []


def parse_workflow(commands: object, steps: object, check: Check | None = None) -> Parsed:
    """Return Commands and Steps with every problem of form, and of meaning as far as the sound ones allow.

    A Step that uses a Command which is itself unsound is not checked, so one mistake is told once.

    Args:
        commands: a list of maps.
        steps: a list of maps.
        check: finds the problems of Commands and Steps together (`validate.check`).
    """
    some_commands, problems = _parse_list(commands, "commands", _command)
    some_steps, step_problems = _parse_list(steps, "steps", _step)
    problems += step_problems
    if check:
        usable = _usable(some_commands, _names_without(commands, some_commands))
        unsound = _names_without(commands, usable)
        checked = {index: step for index, step in some_steps.items() if step.command not in unsound}
        indexes = {"commands": list(usable), "steps": list(checked)}
        found = [_moved(each, indexes) for each in check(list(usable.values()), list(checked.values()))]
        problems = list(dict.fromkeys([*problems, *found]))
    return Parsed(list(some_commands.values()), list(some_steps.values()), problems)


def command_to_plain(command: Command) -> dict[str, Any]:
    """Return a Command as users write it; what is not given is left out."""
    if command.steps:
        return _composite_to_plain(command)
    return _given(
        name=command.name,
        image=command.image,
        command=list(command.command),
        inputs=dict(command.inputs),
        outputs=dict(command.outputs),
        vars=dict(command.vars),
        stdout=command.stdout,
        **_options_to_plain(command.options),
        network=command.network or None,
        env=dict(command.env),
        workdir=command.workdir,
        entrypoint=list(command.entrypoint),
    )


def _composite_to_plain(command: Command) -> dict[str, Any]:
    """Return a composite Command as users write it: names of inputs, outputs and vars as lists, defaults as a map."""
    plain = _given(
        name=command.name,
        inputs=list(command.inputs),
        outputs=list(command.outputs),
        vars=dict(command.vars) if not command.var_names else list(command.var_names),
        **_options_to_plain(command.options),
    )
    return {**plain, "steps": [step_to_plain(step) for step in command.steps]}


def step_to_plain(step: StepSpec) -> dict[str, Any]:
    """Return a Step as users write it; what is not given is left out."""
    return _given(
        name=step.name,
        command=step.command,
        inputs=dict(step.inputs),
        outputs=dict(step.outputs),
        vars={name: list(value) if isinstance(value, tuple) else value for name, value in step.vars.items()},
        **_options_to_plain(step.options),
    )


def at(place: str, name: object) -> str:
    """Return the place of a named part: `steps[0].inputs.genome`, or `properties["a b"]` where a dot would mislead."""
    if isinstance(name, str) and _PLAIN_FIELD.fullmatch(name):
        return f"{place}.{name}" if place else name
    return f"{place}[{json.dumps(_shortened(name) if isinstance(name, str) else _kind(name))}]"


def memory_bytes(text: str) -> int | None:
    """Return the bytes that "512M" or "2GiB" stand for, or None; every unit is a power of 1024.

    Source: docker's `--memory`, where M, MB and MiB are the same.
    """
    match = _MEMORY.fullmatch(text.strip())
    if not match:
        return None
    return int(float(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))


@dataclass(slots=True)
class _Form:
    """One map of a request while it is read: gives its fields and collects what is wrong with them."""

    values: Mapping[Any, Any]
    place: str
    problems: list[Problem]
    remarks: list[Problem]
    """Problems that do not keep the rest from being understood."""

    def refuse(self, field: str, message: str) -> None:
        """Note a problem of a field."""
        self.problems.append(Problem(at(self.place, field), message))

    def take(self, field: str) -> Any:
        """Return the value of a field, or _ABSENT; null counts as a problem."""
        value = self.values.get(field, _ABSENT)
        if value is None:
            self.refuse(field, "null is not allowed; leave the field out")
            return _ABSENT
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
                self.problems.append(Problem(self.place, f"field names are strings, not {_kind(field)}"))
            elif field not in allowed:
                self.refuse(field, _NOT_YET.get(field) or elsewhere.get(field) or _unknown(field, allowed))

    def text(self, field: str, check: TextCheck) -> str | None:
        """Return a string that passes the check, or None."""
        value = self.take(field)
        if value is _ABSENT:
            return None
        if problem := _text_problem(value, check):
            self.refuse(field, problem)
            return None
        return str(value)

    def tokens(self, field: str) -> tuple[str, ...]:
        """Return a list of one or more shell tokens."""
        value = self.take(field)
        if value is _ABSENT:
            return ()
        if not isinstance(value, list | tuple):
            self.refuse(field, f"must be a list of strings, not {_kind(value)}")
            return ()
        if not value:
            self.refuse(field, "needs at least one token")
        for index, token in enumerate(value):
            if problem := _text_problem(token, _token_problem):
                self.refuse_item(field, index, problem)
        return tuple(value)

    def refuse_item(self, field: str, index: int, message: str) -> None:
        """Note a problem of one element of a list."""
        self.problems.append(Problem(f"{at(self.place, field)}[{index}]", message))

    def texts(self, field: str, name_check: TextCheck, check: TextCheck) -> dict[str, str]:
        """Return a map of names to strings, each of which passes its check."""
        return self.entries(field, name_check, lambda value: _text_problem(value, check))

    def entries(self, field: str, name_check: TextCheck, problem_of: Callable[[object], str | None]) -> dict[str, Any]:
        """Return a map of names to values; problem_of tells what is wrong with a value."""
        value = self.take(field)
        if value is _ABSENT:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(field, f"must be a map, not {_kind(value)}")
            return {}
        place = ""
        for name, each in value.items():
            problem = name_check(name) if isinstance(name, str) else f"names are strings, not {_kind(name)}; quote it"
            problem = problem or problem_of(each)
            if problem:
                place = place or at(self.place, field)
                self.problems.append(Problem(at(place, name), problem))
        return dict(value)

    def names(self, field: str) -> tuple[str, ...]:
        """Return a list of different names of parts."""
        value = self.take(field)
        if value is _ABSENT:
            return ()
        if not isinstance(value, list | tuple):
            self.refuse(field, f"must be a list of names, not {_kind(value)}")
            return ()
        for index, name in enumerate(value):
            if problem := _text_problem(name, _part_name_problem):
                self.refuse_item(field, index, problem)
            elif name in value[:index]:
                self.refuse_item(field, index, f"{name!r} is there twice")
        return tuple(name for name in value if isinstance(name, str))

    def flag(self, field: str) -> bool | None:
        """Return true or false, or None."""
        value = self.take(field)
        if isinstance(value, bool):
            return value
        if value is not _ABSENT:
            self.refuse(field, f"must be true or false, not {_kind(value)}")
        return None

    def whole(self, field: str, least: int, most: int) -> int | None:
        """Return a whole number from least to most, or None."""
        value = self.take(field)
        if value is _ABSENT:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(field, f"must be a whole number, not {_kind(value)}")
        elif not least <= value <= most:
            self.refuse(field, f"must be at least {least}" if value < least else f"must be at most {most}")
        else:
            return value
        return None

    def positive(self, field: str) -> float | None:
        """Return a finite number above zero, or None."""
        value = self.take(field)
        if value is _ABSENT:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(field, f"must be a number, not {_kind(value)}")
        elif not 0 < value <= INTEGER_MAX:
            self.refuse(field, f"must be a number above 0 and at most {INTEGER_MAX}")
        else:
            return float(value)
        return None

    def choice(self, field: str, allowed: Sequence[str]) -> str | None:
        """Return one of the allowed words, or None."""
        return self.text(field, lambda text: None if text in allowed else f"must be one of: {', '.join(allowed)}")


def _parse_list(
    value: object, place: str, parse: Callable[[_Form], Item | None]
) -> tuple[dict[int, Item], list[Problem]]:
    """Return the sound items of a list by index, and the problems of the others; remarks leave an item sound."""
    if not isinstance(value, list | tuple):
        return {}, [Problem(place, f"must be a list, not {_kind(value)}")]
    found: dict[int, Item] = {}
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for index, each in enumerate(value):
        known = len(problems)
        remarks: list[Problem] = []
        item = _parse_item(each, f"{place}[{index}]", problems, remarks, parse)
        first = seen.setdefault(_name_of(each), index)
        if first != index and _name_of(each):
            problems.append(Problem(f"{place}[{index}].name", f"{_name_of(each)!r} is already {place}[{first}]"))
        if item is not None and len(problems) == known:
            found[index] = item
        problems += remarks
    return found, problems


def _parse_item(
    value: object,
    place: str,
    problems: list[Problem],
    remarks: list[Problem],
    parse: Callable[[_Form], Item | None],
) -> Item | None:
    if isinstance(value, Mapping):
        return parse(_Form(value, place, problems, remarks))
    problems.append(Problem(place, f"must be a map, not {_kind(value)}"))
    return None


def _command(form: _Form) -> Command | None:
    """Read one Command; a composite one has `steps` and no image."""
    if "steps" in form.values:
        return _composite(form)
    form.only(COMMAND_FIELDS, {})
    form.need("name", "image", "command")
    return Command(
        name=form.text("name", _name_problem) or "",
        image=form.text("image", _image_problem) or "",
        command=form.tokens("command"),
        inputs=form.texts("inputs", _part_name_problem, path_problem),
        outputs=_outputs(form),
        vars={name: _number_kept(value) for name, value in form.entries("vars", *_VAR_CHECKS).items()},
        stdout=form.text("stdout", file_path_problem),
        options=_options(form),
        network=form.flag("network") or False,
        env=form.texts("env", _variable_problem, _token_problem),
        workdir=form.text("workdir", workdir_problem),
        entrypoint=form.tokens("entrypoint"),
    )


def _composite(form: _Form) -> Command:
    """Read a Command made of inner Steps."""
    form.only(COMPOSITE_FIELDS, _OF_LEAVES)
    form.need("name")
    place = at(form.place, "steps")
    found, problems = _parse_list(form.values["steps"], place, _inner_step)
    form.problems += problems
    if form.values["steps"] == []:
        form.refuse("steps", "needs at least one Step")
    has_names = isinstance(form.values.get("vars"), list | tuple)
    defaults = {} if has_names else form.entries("vars", *_VAR_CHECKS)
    return Command(
        name=form.text("name", _name_problem) or "",
        inputs=dict.fromkeys(form.names("inputs"), ""),
        outputs=dict.fromkeys(form.names("outputs"), ""),
        vars={name: _number_kept(value) for name, value in defaults.items()},
        options=_options(form),
        steps=tuple(found.values()),
        var_names=form.names("vars") if has_names else (),
    )


def _inner_step(form: _Form) -> StepSpec:
    """Read one Step of a composite; its Keys are names within the composite."""
    return _any_step(form, _local_name_problem)


def _step(form: _Form) -> StepSpec:
    """Read one Step of a workflow; what is wrong with its Keys does not keep the rest of it from being understood."""
    step = _any_step(form, _line_problem)
    for field_name, keys in (("inputs", step.inputs), ("outputs", step.outputs)):
        for name, key in keys.items():
            if isinstance(key, str) and (problem := _key_problem(key)):
                form.remarks.append(Problem(at(at(form.place, field_name), name), problem))
    return step


def _any_step(form: _Form, key_check: TextCheck) -> StepSpec:
    """Read one Step."""
    if form.values.keys() - _STEP_FIELD_SET:
        form.only(STEP_FIELDS, _OF_COMMANDS)
    form.need("name", "command")
    return StepSpec(
        name=form.text("name", _step_name_problem) or "",
        command=form.text("command", _name_problem) or "",
        inputs=form.texts("inputs", _part_name_problem, key_check),
        outputs=form.texts("outputs", _part_name_problem, key_check),
        vars=_step_vars(form),
        options=_options(form),
    )


_STEP_FIELD_SET: Final = frozenset(STEP_FIELDS)
_OF_LEAVES: Final = {
    name: "is a field of Commands that run a program; this one has steps"
    for name in COMMAND_FIELDS
    if name not in COMPOSITE_FIELDS
}
_OF_COMMANDS: Final = {
    name: "is a field of Commands, not of Steps" for name in COMMAND_FIELDS if name not in STEP_FIELDS
}


def _outputs(form: _Form) -> dict[str, str]:
    """Read a Command's outputs; STDOUT is another word for ">"."""
    outputs = form.texts("outputs", _part_name_problem, output_path_problem)
    return {name: STDOUT_BOTH if path == "STDOUT" else path for name, path in outputs.items()}


def _step_vars(form: _Form) -> dict[str, VarValue]:
    """Read a Step's vars: scalars, and lists of scalars that make one Step per element."""
    found: dict[str, VarValue] = {}
    for name, value in form.entries("vars", _part_name_problem, lambda _: None).items():
        if isinstance(value, list | tuple):
            found[name] = _sweep(form, name, value)
        elif problem := _scalar_problem(value):
            form.problems.append(Problem(at(at(form.place, "vars"), name), problem))
        else:
            found[name] = _number_kept(value)
    return found


def _sweep(form: _Form, name: str, values: Sequence[object]) -> tuple[Scalar, ...]:
    place = at(at(form.place, "vars"), name)
    if not values:
        form.problems.append(Problem(place, "an empty list makes no Step; give it an element or leave the var out"))
    for index, value in enumerate(values):
        if problem := _scalar_problem(value):
            form.problems.append(Problem(f"{place}[{index}]", problem))
    return tuple(_number_kept(value) for value in values)


def _options(form: _Form) -> Options:
    """Read the settings that a Command or a Step may give."""
    if _OPTION_FIELD_SET.isdisjoint(form.values):
        return NO_OPTIONS
    return Options(
        timeout_s=form.positive("timeout"),
        retries=form.whole("retries", 0, _INT32_MAX),
        resources=_resources(form),
        pool=form.text("pool", _name_problem),
        priority=form.whole("priority", -_INT32_MAX - 1, _INT32_MAX),
        keep=form.choice("keep", _KEEP_VALUES),
        queue_timeout_s=form.positive("queue_timeout"),
    )


_OPTION_FIELD_SET: Final = frozenset(OPTION_FIELDS)


def _resources(form: _Form) -> Resources | None:
    value = form.take("resources")
    if value is _ABSENT:
        return None
    if not isinstance(value, Mapping):
        form.refuse("resources", f"must be a map of {', '.join(RESOURCE_FIELDS)}, not {_kind(value)}")
        return None
    inner = _Form(value, at(form.place, "resources"), form.problems, form.remarks)
    inner.only(RESOURCE_FIELDS, {})
    resources = Resources(inner.positive("cpus"), _memory(inner), inner.whole("gpus", 0, _INT32_MAX))
    return resources if resources != Resources() else None


def _memory(form: _Form) -> int | None:
    """Read memory: bytes, or text with a unit."""
    value = form.take("memory")
    if value is _ABSENT:
        return None
    amount = memory_bytes(value) if isinstance(value, str) else value
    if isinstance(amount, bool) or not isinstance(amount, int):
        form.refuse("memory", f'must be a number of bytes or text such as "512M" or "2GiB", not {_kind(value)}')
    elif not 0 < amount <= INTEGER_MAX:
        form.refuse("memory", f"must be above 0 and at most {INTEGER_MAX} bytes")
    else:
        return amount
    return None


def _options_to_plain(options: Options) -> dict[str, Any]:
    resources = options.resources or Resources()
    demands = _given(cpus=_number(resources.cpus), memory=resources.memory_bytes, gpus=resources.gpus)
    return {
        "timeout": _number(options.timeout_s),
        "queue_timeout": _number(options.queue_timeout_s),
        "retries": options.retries,
        "resources": demands,
        "pool": options.pool,
        "priority": options.priority,
        "keep": options.keep,
    }


def _number(value: float | None) -> Scalar | None:
    return None if value is None else _number_kept(value)


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are given: no None, no empty map, list or text."""
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [], "")}


def _names_without(value: object, found: Mapping[int, object]) -> set[str]:
    """Return the names of the items of a list that are not among the sound ones."""
    items = value if isinstance(value, list | tuple) else ()
    return {_name_of(each) for index, each in enumerate(items) if index not in found}


def _usable(commands: Mapping[int, Command], unsound: set[str]) -> dict[int, Command]:
    """Return Commands without the composites that use unsound ones, however indirectly: one mistake is told once."""
    usable = dict(commands)
    spoilt = dict(usable)
    while spoilt:
        spoilt = {n: one for n, one in usable.items() if any(step.command in unsound for step in one.steps)}
        unsound = unsound | {one.name for one in spoilt.values()}
        usable = {n: one for n, one in usable.items() if n not in spoilt}
    return usable


def _name_of(value: object) -> str:
    name = value.get("name") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else ""


def _moved(problem: Problem, indexes: Mapping[str, Sequence[int]]) -> Problem:
    """Return a problem whose place counts within the whole request, not within its sound part."""
    match = _INDEXED.match(problem.place)
    if not match:
        return problem
    original = indexes[match[1]][int(match[2])]
    return Problem(f"{match[1]}[{original}]{problem.place[match.end() :]}", problem.message)


def _json_map(values: Mapping[Any, Any], place: str, problems: list[Problem], depth: int) -> dict[str, Any]:
    """Return a map of properties as JSON values of our own, noting what JSON cannot say."""
    found = {}
    for name, value in values.items():
        inner = at(place, name)
        if problem := _text_problem(name, _token_problem):
            problems.append(Problem(inner, f"a name {problem}"))
        elif depth == 0 and name in _ACTING_PROPERTIES:
            found[name] = _number_kept(value)
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
    elif value is not None and (problem := _scalar_problem(value)):
        problems.append(Problem(place, problem))
    else:
        return _number_kept(value)
    return None


def _scalar_problem(value: object) -> str | None:
    """Tell what is wrong with a string, number or boolean."""
    if isinstance(value, str):
        return _token_problem(value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        too_large = f"numbers beyond {INTEGER_MAX} lose digits on their way; write it as a string"
        return None if abs(value) <= INTEGER_MAX else too_large
    if isinstance(value, float):
        return None if math.isfinite(value) else "must be a finite number"
    if value is None:
        return "null is not allowed; leave it out or write an empty string"
    return f"must be a string, a number or a boolean, not {_kind(value)}"


def _number_kept(value: Any) -> Any:
    """Return a whole float as an int, so that 1 stays 1 on every way here: JSON, YAML, protobuf."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value


def _text_problem(value: object, check: TextCheck) -> str | None:
    """Tell what is wrong with a value that must be a string."""
    if isinstance(value, str):
        return check(value)
    if value is None:
        return "null is not allowed; leave it out"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'must be a string, not {_kind(value)}; write "{_digits(value)}"'
    return f"must be a string, not {_kind(value)}"


def _token_problem(text: str) -> str | None:
    return "has a NUL or a character that is no text" if _UNPASSABLE.search(text) else None


def _line_problem(text: str) -> str | None:
    if not text:
        return "must not be empty"
    return f"{_shortened(text)!r} has control characters" if _CONTROL.search(text) else None


def _key_problem(text: str) -> str | None:
    """Tell what is wrong with a Key that is text; one that splices vars is judged once they are spliced."""
    return key_problem(text) if "{{" not in text and not _line_problem(text) else None


def _local_name_problem(text: str) -> str | None:
    """Tell what is wrong with a name within a composite."""
    too_long = f"is longer than {LOCAL_NAME_LENGTH_MAX} characters" if len(text) > LOCAL_NAME_LENGTH_MAX else None
    return _line_problem(text) or too_long


def _name_problem(text: str) -> str | None:
    return None if _NAME.fullmatch(text) else _bad_name(text, ". _ -")


def _step_name_problem(text: str) -> str | None:
    if text.startswith(("step:", "key:")):
        return f"{_shortened(text)!r} begins as what tells Steps and Keys apart: step:NAME, key:NAME"
    return None if _STEP_NAME.fullmatch(text) else _bad_name(text, ". _ - :")


def _bad_name(text: str, marks: str) -> str:
    return f"{_shortened(text)!r} is no name: 1 to 255 letters, digits and {marks}, the first one a letter or a digit"


def _part_name_problem(text: str) -> str | None:
    return None if _PART_NAME.fullmatch(text) else f"{_shortened(text)!r} is no name: letters, digits and _ . - only"


_VAR_CHECKS: Final = (_part_name_problem, _scalar_problem)


def _variable_problem(text: str) -> str | None:
    return _line_problem(text) or ("the name of a variable has no '='" if "=" in text else None)


def _image_problem(text: str) -> str | None:
    return _line_problem(text) or ("has a space" if " " in text else None)


def path_problem(text: str) -> str | None:
    """Tell what is wrong with an internal path; one that starts with a var is judged once that is spliced."""
    if problem := _line_problem(text):
        return problem
    if not text.startswith("/") and (not text.startswith("{{") or text.startswith("{{{{")):
        return f"{_shortened(text)!r} must be an absolute path"
    if any(segment in ("", ".", "..") for segment in text.removeprefix("/").removesuffix("/").split("/")):
        return f"{_shortened(text)!r} has an empty, '.' or '..' segment"
    return None


def output_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of an output."""
    return None if text in (STDOUT_BOTH, STDOUT_ALWAYS, "STDOUT") else path_problem(text)


def file_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of a file."""
    return path_problem(text) or (f"{_shortened(text)!r} is a directory" if text.endswith("/") else None)


def workdir_problem(text: str) -> str | None:
    """Tell what is wrong with a working directory."""
    return None if text == "/" else path_problem(text)


def _unknown(field: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(field[:64].lower(), allowed, n=1)
    return f"is unknown; did you mean {close[0]!r}?" if close else f"is unknown; there are: {', '.join(allowed)}"


def _kind(value: object) -> str:
    """Name the kind of a value for a person."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {_digits(value)}"
    if isinstance(value, str):
        return f"the text {_shortened(value)!r}"
    if isinstance(value, Mapping):
        return "a map"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"


def _digits(value: float) -> str:
    """Render a number; Python refuses to print integers of several thousand digits."""
    return repr(value) if not isinstance(value, int) or abs(value) < 10**100 else "above 10**100"


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
