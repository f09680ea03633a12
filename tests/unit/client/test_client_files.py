"""Files of Commands and Steps are read without traps, and problems are traced to their lines."""

from pathlib import Path
from typing import Any

import pytest

from gaia_client import files
from gaia_core.errors import Problem, RequestError

COMMANDS = """\
# comment
- name: greet
  image: busybox
  command: [echo, hi]
  vars:
    NAME: world
- name: bye
  image: busybox
  command:
    - echo
    - bye
"""
STEPS = '[\n\t{"name": "hello", "command": "greet",\n\t "inputs": {"a.b": "k"}}\n]\n'


def write(folder: Path, **texts: str) -> list[Path]:
    """Write files named like commands_yaml and return their paths."""
    paths = []
    for name, text in texts.items():
        paths.append(folder / name.replace("_", "."))
        paths[-1].write_text(text)
    return paths


def test_lists_are_told_apart(tmp_path: Path) -> None:
    """Two lists, in any order and format, are recognised by what they hold."""
    documents = files.load(reversed(write(tmp_path, a_yaml=COMMANDS, b_json=STEPS)))
    assert [command["name"] for command in documents.commands] == ["greet", "bye"]
    assert [step["name"] for step in documents.steps] == ["hello"]


def test_one_file_may_hold_all(tmp_path: Path) -> None:
    """A map holds Commands, Steps and properties together."""
    text = "properties: {owner: me}\ncommands:\n- {name: c, image: i, command: [x]}\nsteps:\n- {name: s, command: c}\n"
    documents = files.load(write(tmp_path, flow_yml=text))
    assert (documents.properties, len(documents.commands), len(documents.steps)) == ({"owner": "me"}, 1, 1)
    assert documents.locate(Problem("steps[0].command", "")).endswith("flow.yml:5")
    assert documents.locate(Problem("properties.owner", "")).endswith("flow.yml:1")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("commands[0]", "a.yaml:2"),
        ("commands[0].vars.NAME", "a.yaml:6"),
        ("commands[0].vars.OTHER", "a.yaml:5"),
        ("commands[1].command[1]", "a.yaml:11"),
        ("steps[0].inputs", "b.json:3"),
        ('steps[0].inputs["a.b"]', "b.json:3"),
        ("steps[7]", ""),
        ("workflow", ""),
        ("", ""),
    ],
)
def test_problems_have_lines(tmp_path: Path, place: str, expected: str) -> None:
    """A place in the request leads to the line it was written on, or to that of what is around it."""
    documents = files.load(write(tmp_path, a_yaml=COMMANDS, b_json=STEPS))
    found = documents.locate(Problem(place, ""))
    assert found == (f"{tmp_path}/{expected}" if expected else "")


def test_lists_of_several_files_are_joined(tmp_path: Path) -> None:
    """Places count over all files; lines are those of the file a thing comes from."""
    documents = files.load(write(tmp_path, a_yaml=COMMANDS, c_yaml="- {name: c, image: i, command: [x]}\n"))
    assert documents.locate(Problem("commands[2].image", "")) == f"{tmp_path}/c.yaml:1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("true", True), ("2012-01-01", "2012-01-01"), ("12:30", "12:30"),
        ("010", "010"), ("0x10", 16), ("10", 10), ("-3", -3), ("1.5", 1.5), ("12e5", "12e5"), ("1.e3", 1000.0),
        (".5", 0.5), ("~", None), ("1_000", "1_000"), ("", None), ("a: b: c", "a: b: c"), ("[1, x]", [1, "x"]),
        ("'1'", "1"),
    ],
)  # fmt: skip
def test_yaml_without_traps(text: str, value: Any) -> None:
    """Plain words, dates and odd numbers stay text; numbers and booleans are what they look like."""
    found = files.parse_value(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.yaml", "- a: 1\n  a: 2\n", ":2: 'a' is given twice"),
        ("x.yaml", "- [a\n- b\n", ":3: while parsing a flow sequence, "),
        ("x.yaml", "a: 1\n", ":1: 'a' is unknown"),
        ("x.yaml", "steps:\n  a: 1\n", ":1: steps must be a list"),
        ("x.yaml", "properties: 3\n", ":1: properties must be a map"),
        ("x.yaml", "", ": is empty"),
        ("x.yaml", "3", ": holds neither"),
        ("x.yaml", "- &a [*a]\n- !!python/object:os.x {}\n", ":2: could not determine a constructor"),
        ("x.yaml", "--- 1\n--- 2\n", "expected a single document"),
        ("x.json", '[{"a": 1,\n "a": 2}]', ": 'a' is given twice"),
        ("x.json", "[\n1,,]", ":2: Expecting value"),
        ("x.json", "[" * 100_000, ": "),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    """What cannot be read is one line with file, line and cause."""
    (tmp_path / name).write_text(text)
    with pytest.raises(RequestError) as caught:
        files.load([tmp_path / name])
    assert caught.value.message.startswith(str(tmp_path / name))
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    """A file that is not there, or is no text, is one line."""
    with pytest.raises(RequestError, match=r"nope\.yaml: No such file or directory"):
        files.load([tmp_path / "nope.yaml"])
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="is no text in UTF-8"):
        files.load([tmp_path / "x.yaml"])


def test_kind_decides_where_items_cannot(tmp_path: Path) -> None:
    """A list of which the caller knows the kind is that, whatever it looks like."""
    (path,) = write(tmp_path, x_yaml="- {name: a}\n")
    assert len(files.load([path], "commands").commands) == 1
    assert len(files.load([path]).steps) == 1


def test_merge_keys_and_anchors_work(tmp_path: Path) -> None:
    """YAML's own means against repetition are not duplicates."""
    text = "- &a {name: a, image: i, command: [x]}\n- {<<: *a, name: b}\n"
    assert files.load(write(tmp_path, x_yaml=text)).commands[1] == {"name": "b", "image": "i", "command": ["x"]}
