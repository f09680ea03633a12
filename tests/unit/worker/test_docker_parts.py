"""The parts of the Docker executor that need no engine: frames of an attachment, and pulls."""

from __future__ import annotations

import struct
import threading
from typing import Any

import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.errors import ConfigError
from gaia_worker.executors import docker_images
from gaia_worker.executors.choose import choose_executor
from gaia_worker.executors.docker import split_frames
from gaia_worker.executors.docker_images import ImageProblem, Images, Interrupted


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
        self.pulls = 0

    def inspect_image(self, image: str) -> None:
        raise APIError("no such image")

    def pull(self, image: str, **options: object) -> list[dict[str, Any]]:
        self.pulls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]  # type: ignore[list-item]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "PAUSES_S", (0.0, 0.0))


def test_failed_pull_is_told_in_the_engines_words_and_remembered() -> None:
    """An image that is denied is asked for once, and the answer serves the attempts that follow."""
    registry = Registry(APIError("500", explanation="pull access denied"))
    images = Images(registry)
    for _ in range(3):
        with pytest.raises(ImageProblem, match="'nope': pull access denied"):
            images.pull("nope", threading.Event())
    assert registry.pulls == 1


def test_failure_that_passes_is_bridged() -> None:
    """A registry that is slow or busy for a moment does not fail a Step."""
    registry = Registry({"error": "net/http: TLS handshake timeout"}, {"error": "toomanyrequests"}, {"status": "done"})
    Images(registry).pull("busy", threading.Event())
    assert registry.pulls == 3


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
        Images(Registry(*[{"error": words}] * 3)).pull("some", threading.Event())
    assert caught.value.is_passing == is_passing


def test_cancelled_attempt_stops_waiting_for_its_image() -> None:
    """A cancel ends the pull that only this attempt waits for."""
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        Images(Registry({"status": "pulling"})).pull("big", cancelled)


def test_unknown_executor_is_refused_with_the_known_ones() -> None:
    """A wrong name is answered with the right ones."""
    with pytest.raises(ConfigError) as caught:
        choose_executor("podman")
    assert "docker" in caught.value.hint
