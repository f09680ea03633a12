"""Transcripts as files: scenes of inputs with the lines that answered them. Knows nothing of what the words mean.

    # words for the reader

    = A title
    "A sentence that this scene proves"

    > an input
      a block of YAML that belongs to it
    what was answered

An answer ends at the next input, at a line of words for the reader, and at an empty line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent


@dataclass
class Exchange:
    """One input and what was answered.

    Attributes:
        line: number of the input's line in its file, from 1.
        block: the indented lines below the input, dedented.
        place: where the answer stands in the file: its first line and the one after its last, from 0.
    """

    line: int
    said: str
    block: str = ""
    answer: list[str] = field(default_factory=list)
    place: tuple[int, int] = (0, 0)


@dataclass
class Scene:
    """One story: it begins with an empty deployment."""

    title: str
    sentences: list[str]
    exchanges: list[Exchange]


def read(path: Path) -> list[Scene]:
    """Return the scenes of a file.

    Raises:
        ValueError: a line belongs to nothing.
    """
    lines = path.read_text().splitlines()
    scenes: list[Scene] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if line.startswith("= "):
            scenes.append(Scene(line[2:], [], []))
        elif line.startswith('"') and line.endswith('"') and scenes and not scenes[-1].exchanges:
            scenes[-1].sentences.append(line[1:-1])
        elif line.startswith("> ") and scenes:
            exchange, number = _exchange(lines, number)
            scenes[-1].exchanges.append(exchange)
        elif line and not line.startswith("#"):
            raise ValueError(f"{path.name}:{number}: belongs to nothing: {line!r}")
    return scenes


def bless(path: Path, title: str, answers: Sequence[list[str]]) -> None:
    """Write other answers into one scene of a file."""
    lines = path.read_text().splitlines()
    scene = next(scene for scene in read(path) if scene.title == title)
    for exchange, answer in reversed([*zip(scene.exchanges, answers, strict=True)]):
        first, end = exchange.place
        lines[first:end] = answer
    path.write_text("\n".join(lines) + "\n")


def _exchange(lines: list[str], number: int) -> tuple[Exchange, int]:
    """Read the input above a line number, its block and its answer; return it and the line that follows."""
    begin = number
    while number < len(lines) and lines[number].startswith("  "):
        number += 1
    block, first = lines[begin:number], number
    while number < len(lines) and lines[number] and lines[number][0] not in ">#=":
        number += 1
    said = lines[begin - 1][2:].strip()
    return Exchange(begin, said, dedent("\n".join(block)), lines[first:number], (first, number)), number
