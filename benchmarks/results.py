"""The file of results: one JSON object a line, each with the benchmark that it is of; the latest run of each stands."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def read(path: Path) -> list[Line]:
    """Return the lines of a file, none where there is no file."""
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def write(path: Path, lines: Iterable[Line]) -> None:
    """Write a file anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def replaced(lines: Sequence[Line], name: str, fresh: Iterable[Line], order: Sequence[str]) -> list[Line]:
    """Return lines with those of one benchmark exchanged.

    Args:
        order: of the benchmarks, by name.
    """
    kept = [line for line in lines if line["of"] != name and line["of"] in order]
    return sorted([*kept, *({"of": name, **line} for line in fresh)], key=lambda line: order.index(line["of"]))


def of(lines: Iterable[Line], name: str) -> list[Line]:
    """Return the lines of one benchmark."""
    return [line for line in lines if line["of"] == name]


def leaves(value: Any, path: str = "") -> dict[str, float]:
    """Return every number in nested objects by its path: {"a": {"b": 1}} → {"a b": 1}; truth values are none."""
    if isinstance(value, dict):
        parts = (leaves(inner, f"{path} {name}".strip()) for name, inner in value.items())
        return {name: number for part in parts for name, number in part.items()}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {path: value} if is_number else {}


def numbers(lines: Iterable[Line], kind: str) -> dict[str, float]:
    """Return every number in the lines of a kind, such as "ratios", by its path."""
    return {name: number for line in lines if kind in line for name, number in leaves(line[kind]).items()}
