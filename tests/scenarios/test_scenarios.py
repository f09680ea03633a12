"""Every transcript is true, and every sentence of the contract has one that proves it, or names a test that does."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import transcript
from tests.scenarios.language import play
from tests.scenarios.transcript import Scene

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.txt"))
SCENES = [(path, scene) for path in FILES for scene in transcript.read(path)]

ROW = re.compile(r'\| "(?P<sentence>.+)" \| (?P<proofs>.+) \|')
PROOF = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize(("path", "scene"), [pytest.param(*one, id=f"{one[0].stem}: {one[1].title}") for one in SCENES])
def test_a_scene_plays_as_it_is_written(path: Path, scene: Scene, request: pytest.FixtureRequest) -> None:
    """Each input is answered as its transcript says; `--bless` makes the transcript say what was answered."""
    answers = list(play(scene.exchanges))
    if request.config.getoption("--bless"):
        transcript.bless(path, scene.title, answers)
        return
    for exchange, answer in zip(scene.exchanges, answers, strict=True):
        if exchange.answer != answer:
            difference = difflib.unified_diff(exchange.answer, answer, "as written", "as answered", lineterm="", n=99)
            pytest.fail("\n".join([f"{path.name}:{exchange.line}: > {exchange.said}", *difference]), pytrace=False)


def test_every_sentence_is_proved() -> None:
    """The table names, for each sentence, the files whose scenes quote it; and the scenes quote no other sentence."""
    quoted = {(sentence, path.name) for path, scene in SCENES for sentence in scene.sentences}
    listed = {(sentence, proof) for sentence, proofs in _table() for proof in proofs if "::" not in proof}
    assert quoted - listed == set(), "quoted by scenes, and not in the table"
    assert listed - quoted == set(), "in the table, and quoted by no scene"


def test_every_named_test_exists() -> None:
    """A sentence about the surroundings names a test that is there."""
    named = [proof.split("::") for _, proofs in _table() for proof in proofs if "::" in proof]
    assert named
    for path, name in named:
        assert f"def {name}(" in (FOLDER.parent / path).read_text(), f"{path} has no {name}"


def test_every_scene_has_a_sentence_and_a_title_of_its_own() -> None:
    """A scene that proves nothing is no scene, and `--bless` finds a scene by its title."""
    assert [f"{path.name}: {scene.title}" for path, scene in SCENES if not scene.sentences] == []
    assert len({(path, scene.title) for path, scene in SCENES}) == len(SCENES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_blessing_what_is_written_changes_nothing(path: Path, tmp_path: Path) -> None:
    """Only answers are written anew: titles, sentences, inputs and words for the reader stay as they are."""
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    for scene in transcript.read(copy):
        transcript.bless(copy, scene.title, [exchange.answer for exchange in scene.exchanges])
    assert copy.read_text() == path.read_text()


def _table() -> Iterator[tuple[str, list[str]]]:
    """Yield each sentence of the README's tables with its proofs."""
    for line in (FOLDER / "README.md").read_text().splitlines():
        if match := ROW.fullmatch(line):
            yield match["sentence"].replace(r"\|", "|"), PROOF.findall(match["proofs"])
