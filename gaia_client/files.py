"""Files of Commands, Steps and properties, in YAML or JSON: read whole, and every problem traced to its line.

A file holds a list of Commands, a list of Steps, or a map with the keys `commands`, `steps` and `properties`. YAML is
read with fewer traps than usual: `yes`, `2012-01-01`, `010` and `12e5` are text, and a key given twice is refused.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from gaia_core.errors import Problem, RequestError

PARTS: Final = ("commands", "steps", "properties")

NESTED_MAX: Final = 1_000
"""YAML that nests deeper is refused: composing it recurses in C, and tens of thousands of levels end the process."""

_PLACE_PART = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\[(\"(?:[^\"\\]|\\.)*\")\]")
_HEAD = re.compile(r"(commands|steps|properties)(?:\[(\d+)\])?(?![A-Za-z0-9_-])")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values only, by the core schema of YAML 1.2; a key given twice is an error."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a map, refusing what would silently win over its namesake."""
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add(name)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
     "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):  # fmt: skip
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one item of a request was written: file, its text, and its place in there."""

    path: Path
    text: str
    place: str


@dataclass(slots=True)
class Documents:
    """What some files hold together, and where each part of it was written."""

    commands: list[Any] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def locate(self, problem: Problem) -> str:
        """Return "file:line" of a problem, or "" if no file is to blame."""
        match = _HEAD.match(problem.place)
        origin = match and (self.origins.get(match[0]) or self.origins.get(match[1]))
        if not match or not origin:
            return ""
        head = match[0] if match[0] in self.origins else match[1]
        return f"{origin.path}:{line_of(origin.text, origin.place + problem.place[len(head) :])}"

    def take(self, path: Path, text: str, part: str, value: object, place: str) -> None:
        """Add what one file holds of one part."""
        if part == "properties":
            if not isinstance(value, dict):
                raise RequestError(f"{path}:{line_of(text, place)}: properties must be a map")
            self.properties |= value
            self.origins |= {"properties": Origin(path, text, place)}
            return
        if not isinstance(value, list):
            raise RequestError(f"{path}:{line_of(text, place)}: {part} must be a list")
        items = self.commands if part == "commands" else self.steps
        for index, item in enumerate(value):
            self.origins[f"{part}[{len(items)}]"] = Origin(path, text, f"{place}[{index}]")
            items.append(item)


def load(paths: Iterable[str | Path], kind: str = "") -> Documents:
    """Read files of Commands, Steps and properties, in any order.

    Args:
        paths: the files.
        kind: what a list holds, "commands" or "steps"; without it, its items tell.

    Raises:
        RequestError: a file is missing, is no YAML or JSON, or holds something else; the message names the line.
    """
    documents = Documents()
    for path in map(Path, paths):
        text = read_text(path)
        value = parse_text(text, path)
        if isinstance(value, list):
            documents.take(path, text, kind or _kind_of(value, path), value, "")
        else:
            _take_map(documents, path, text, value)
    return documents


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        RequestError: it is not there, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise RequestError(f"{path}: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: is no text in UTF-8") from None


def parse_text(text: str, path: Path) -> Any:
    """Return the value that a text holds: JSON if the file's name ends so, else YAML.

    Raises:
        RequestError: the text is malformed; the message names file and line.
    """
    try:
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_unique)
        return _loaded(text)
    except json.JSONDecodeError as problem:
        raise RequestError(f"{path}:{problem.lineno}: {problem.msg}") from None
    except yaml.YAMLError as problem:
        raise RequestError(f"{path}{_yaml_words(problem)}") from None
    except (ValueError, RecursionError) as problem:
        raise RequestError(f"{path}: {problem}") from None


def parse_value(text: str) -> Any:
    """Return one value as YAML has it: number, boolean, list or text; what is no YAML is text."""
    try:
        return _loaded(text)
    except (yaml.YAMLError, ValueError):
        return text


def _loaded(text: str) -> Any:
    """Return what YAML holds.

    Raises:
        yaml.YAMLError: it is malformed or nests too deeply.
    """
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTED_MAX:
            words = f"nests deeper than {NESTED_MAX:,} levels"
            raise yaml.MarkedYAMLError(problem=words, problem_mark=event.start_mark)  # type: ignore[arg-type]
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader, narrowed further


def line_of(text: str, place: str) -> int:
    """Return the line (from 1) on which a place of a document is written, or the nearest thing around it."""
    node = _composed(text)
    line = node.start_mark.line if node else 0
    for name, index, quoted in _PLACE_PART.findall(place):
        found = _child(node, name or (json.loads(quoted) if quoted else ""), index)
        if found is None:
            break
        line, node = found
    return int(line) + 1


@lru_cache(maxsize=4)
def _composed(text: str) -> yaml.Node | None:
    """Return the nodes of a document with their lines; tabs, which JSON allows, count as spaces."""
    try:
        node: yaml.Node | None = yaml.compose(text.replace("\t", " "), _Loader)
    except (yaml.YAMLError, RecursionError):
        return None
    return node


def _child(node: yaml.Node | None, name: str, index: str) -> tuple[int, yaml.Node] | None:
    """Return the line and node of a map's value or of a list's element."""
    if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
        element = node.value[int(index)]
        return element.start_mark.line, element
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return key.start_mark.line, value
    return None


def _take_map(documents: Documents, path: Path, text: str, value: object) -> None:
    """Add a file that holds a whole workflow."""
    if not isinstance(value, dict):
        found = "is empty" if value is None else "holds neither a list nor a map"
        raise RequestError(f"{path}: {found}", hint="write a list of Commands or Steps, or a map with both")
    for part in value:
        if part not in PARTS:
            message = f"{path}:{line_of(text, str(part))}: {part!r} is unknown"
            raise RequestError(message, hint="a map holds commands, steps and properties; a list holds one of them")
        documents.take(path, text, part, value[part], part)


def _kind_of(items: Sequence[Any], path: Path) -> str:
    """Tell Commands from Steps: a Command has an image and a list of tokens; a Step's command is a name."""
    for item in items:
        if isinstance(item, dict):
            if "image" in item or isinstance(item.get("command"), list):
                return "commands"
            if isinstance(item.get("command"), str):
                return "steps"
    return "commands" if "command" in path.name.lower() else "steps"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = value
    return found


def _yaml_words(problem: yaml.YAMLError) -> str:
    """Return ":line: what is wrong" in one line."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    said = [getattr(problem, name, None) for name in ("context", "problem", "reason")]
    words = ", ".join(each for each in said if each) or "is no YAML"
    return f":{mark.line + 1}: {words}" if mark else f": {words}"
