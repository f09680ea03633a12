"""The parts of the Docker executor that need no engine: frames of an attachment, and pulls."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.errors import ConfigError
from gaia_worker.executors import docker_images
from gaia_worker.executors.choose import choose_executor
from gaia_worker.executors.docker_engine import Engine
from gaia_worker.executors.docker_images import Image, ImageProblem, Images, Interrupted
from gaia_worker.executors.docker_streams import split_frames
from tests.support.waiting import wait_until


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))), st.lists(st.integers(1, 40)))
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    """However the engine's bytes are cut into reads, the same frames come out."""
    data = b"".join(struct.pack(">BxxxL", stream, len(payload)) + payload for stream, payload in frames)
    found: list[tuple[int, bytes]] = []
    pending = b""
    for size in [*cuts, len(data)]:
        chunk, data = data[:size], data[size:]
        whole, pending = split_frames(pending + chunk)
        found += whole
    assert (found, pending) == (frames, b"")


class Registry:
    """An engine's API that has no image and answers pulls from a script."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.pulls: list[tuple[str, str | None]] = []
        self.images: set[str] = set()

    def inspect_image(self, image: str) -> dict[str, Any]:
        if image not in self.images:
            raise ImageNotFound("no such image")
        return {"Id": "sha256:1", "RepoDigests": ["other@sha256:2", f"{image.partition(':')[0]}@sha256:3"]}

    def pull(self, image: str, tag: str | None, **options: object) -> Iterator[dict[str, Any]]:
        self.pulls.append((image, tag))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, threading.Event):
            yield {"status": "waiting"}
            assert answer.wait(10)
            answer = {"status": "done"}
        self.images |= {image} if "error" not in answer else set()  # type: ignore[operator]
        yield answer  # type: ignore[misc]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "PAUSES_S", (0.0, 0.0))


def test_failed_pull_is_told_in_the_engines_words_and_remembered() -> None:
    """An image that is denied is asked for once, and the answer serves the attempts that follow."""
    registry = Registry(APIError("500", explanation="pull access denied"))
    images = Images(registry)
    for _ in range(3):
        with pytest.raises(ImageProblem, match="'nope:1': pull access denied"):
            images.find("nope:1", threading.Event())
    assert registry.pulls == [("nope:1", None)]


def test_failure_that_passes_is_bridged() -> None:
    """A registry that is slow or busy for a moment does not fail a Step."""
    registry = Registry({"error": "net/http: TLS handshake timeout"}, {"error": "toomanyrequests"}, {"status": "done"})
    Images(registry).find("busy", threading.Event())
    assert registry.pulls == [("busy", "latest")] * 3


def test_image_is_told_by_what_its_own_registry_calls_it() -> None:
    """A name stands for an id, by which containers are made, and for a digest that others can pull."""
    registry = Registry({"status": "done"})
    images = Images(registry)
    assert images.find("here.example:5000/a/b:1", threading.Event()).digest == "sha256:1"
    registry.images.add("some:1")
    assert images.find("some:1", threading.Event()) == Image("sha256:1", "some@sha256:3")


def test_many_who_want_an_image_wait_for_one_pull() -> None:
    """A hundred Steps of a new image ask its registry once."""
    gate = threading.Event()
    registry = Registry(gate)
    images = Images(registry)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(images.find, "some:1", threading.Event()) for _ in range(8)]
        wait_until(lambda: registry.pulls, "the pull")
        gate.set()
        assert {each.result(10).id for each in found} == {"sha256:1"}
    assert len(registry.pulls) == 1


@pytest.mark.parametrize(
    ("words", "is_passing"),
    [
        ("dial tcp 10.0.0.1:5000: connect: connection refused", True),
        ("Get https://registry.example/v2/: dial tcp: lookup registry.example: no such host", True),
        ("received unexpected HTTP status: 503 Service Unavailable", True),
        ("toomanyrequests: rate exceeded", True),
        ("pull access denied for nope, repository does not exist or may require 'docker login'", False),
        ("manifest for busybox:none not found: manifest unknown", False),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", False),
        ("invalid reference format", False),
        ("unauthorized: authentication required", False),
    ],
)
def test_what_passes_is_told_from_what_does_not(words: str, is_passing: bool) -> None:
    """A registry that does not answer may do so later; what it refuses it will refuse again."""
    with pytest.raises(ImageProblem) as caught:
        Images(Registry(*[{"error": words}] * 3)).find("some", threading.Event())
    assert caught.value.is_passing == is_passing


def test_cancelled_attempt_stops_waiting_for_its_image() -> None:
    """A registry that says nothing holds up no cancel, and another attempt that wants the image still gets it."""
    gate, cancelled = threading.Event(), threading.Event()
    images = Images(Registry(gate))
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(images.find, "big", threading.Event())
        one = pool.submit(images.find, "big", cancelled)
        cancelled.set()
        with pytest.raises(Interrupted):
            one.result(10)
        gate.set()
        assert other.result(10).id == "sha256:1"


def test_unknown_executor_is_refused_with_the_known_ones() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(ConfigError) as caught:
        choose_executor("podman")
    assert "docker" in caught.value.hint


def test_a_trouble_has_the_same_words_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine fails in many ways in a row; the worker tells of it once."""
    engine = Engine(None, None, "unix:///nowhere", {"ServerVersion": "1"})
    problems: list[Exception] = [OSError("refused"), OSError("timed out")]

    def knock() -> None:
        raise problems.pop(0)

    monkeypatch.setattr(engine, "knock", knock)
    engine.look()
    told = engine.trouble()
    assert "refused" in told
    engine.look()
    assert (engine.trouble(), problems) == (told, [])
