"""Getting images into a Docker engine: each pulled once however many ask, with the engine's own words when it fails."""

import threading
import time
from typing import Any, Final

from docker.errors import APIError, DockerException  # type: ignore[import-untyped,unused-ignore]

PAUSES_S: Final = (1.0, 3.0)
"""Before another try of a pull that failed for a reason that passes."""

FAILURE_KEPT_S: Final = 10.0
"""How long a failed pull answers for later attempts: a thousand Steps must not ask a registry a thousand times."""

WAIT_S: Final = 0.1

PASSING: Final = (
    "timeout",
    "deadline exceeded",
    "connection reset",
    "unexpected eof",
    "toomanyrequests",
    "too many requests",
    "bad gateway",
    "service unavailable",
)
"""Words of failures that may be gone in a moment, so that it is worth a slot to wait for that."""

UNREACHABLE: Final = (
    "connection refused",
    "no such host",
    "no route to host",
    "network is unreachable",
    "temporary failure in name resolution",
    "server misbehaving",
    "i/o timeout",
    "internal server error",
    "gateway timeout",
    "request canceled",
    "broken pipe",
    "dial tcp",
)
"""Words of failures that may be gone in a while: told at once, and tried again by the coordinator."""


class ImageProblem(Exception):
    """The image cannot be had; the message is the engine's.

    Attributes:
        is_passing: the registry did not answer, or not as it should; what it refuses stays refused.
    """

    def __init__(self, message: str) -> None:
        """Keep the words, and judge by them: the engine has no other way to tell."""
        super().__init__(message)
        self.is_passing = any(words in message.lower() for words in (*PASSING, *UNREACHABLE))


class Interrupted(Exception):
    """The attempt that wanted the image was cancelled."""


class Images:
    """Pulls images through one engine. Safe for several threads."""

    def __init__(self, api: Any) -> None:
        """Use a client of the engine's API."""
        self._api = api
        self._guard = threading.Lock()
        self._pulling: dict[str, threading.Lock] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    def pull(self, image: str, cancelled: threading.Event) -> None:
        """Bring an image that the engine said it lacks; return when it is there.

        Raises:
            ImageProblem: it cannot be had.
            Interrupted: `cancelled` was set.
        """
        with self._guard:
            lock = self._pulling.setdefault(image, threading.Lock())
        while not lock.acquire(timeout=WAIT_S):
            if cancelled.is_set():
                raise Interrupted
        try:
            if not self._is_there(image):
                self._pull_or_remember(image, cancelled)
        finally:
            lock.release()

    def _is_there(self, image: str) -> bool:
        """Tell whether somebody else has brought the image while we waited."""
        try:
            self._api.inspect_image(image)
        except APIError:
            return False
        return True

    def _pull_or_remember(self, image: str, cancelled: threading.Event) -> None:
        failed_at, words = self._failed.get(image, (0.0, ""))
        if words and time.monotonic() - failed_at < FAILURE_KEPT_S:
            raise ImageProblem(words)
        try:
            self._pull_with_patience(image, cancelled)
        except ImageProblem as problem:
            self._failed[image] = (time.monotonic(), str(problem))
            raise
        self._failed.pop(image, None)

    def _pull_with_patience(self, image: str, cancelled: threading.Event) -> None:
        for pause_s in PAUSES_S:
            try:
                self._pull_once(image, cancelled)
            except ImageProblem as problem:
                if not _is_brief(problem):
                    raise
            else:
                return
            cancelled.wait(pause_s)
        self._pull_once(image, cancelled)

    def _pull_once(self, image: str, cancelled: threading.Event) -> None:
        if cancelled.is_set():
            raise Interrupted
        try:
            for progress in self._api.pull(image, stream=True, decode=True):
                if "error" in progress:
                    raise ImageProblem(f"image {image!r}: {progress['error']}")
                if cancelled.is_set():
                    raise Interrupted
        except (DockerException, OSError) as problem:
            raise ImageProblem(f"image {image!r}: {words_of(problem)}") from problem


def _is_brief(problem: ImageProblem) -> bool:
    """Tell whether a problem may be gone in a moment."""
    return any(words in str(problem).lower() for words in PASSING)


def words_of(problem: BaseException) -> str:
    """Return what the engine itself said, without the HTTP around it."""
    return str(getattr(problem, "explanation", None) or problem).strip()
