"""Images of a Docker engine: each pulled once however many ask, and each name told by what it stands for.

The engine's own words say why an image cannot be had. Registries that want to know who asks are told so by the
engine's usual settings, `docker login` and credential helpers; the library reads them.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from docker.errors import ImageNotFound  # type: ignore[import-untyped,unused-ignore]

from gaia_worker.executors.docker_engine import ENGINE_ERRORS, words_of

PAUSES_S: Final = (1.0, 3.0)
"""Before another try of a pull that failed for a reason that passes."""

FAILURE_KEPT_S: Final = 10.0
"""How long a failed pull answers for later attempts: a thousand Steps must not ask a registry a thousand times."""

KNOWN_S: Final = 30.0
"""How long a name stands for the same image without asking the engine again."""

PULL_S: Final = 3600.0
"""The longest pull. One that says nothing for as long as a call may take has failed before."""

WAIT_S: Final = 0.1

PASSING: Final = (
    "timeout",
    "timed out",
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


@dataclass(frozen=True, slots=True)
class Image:
    """What a name stands for.

    Attributes:
        id: the engine's own name for it, by content.
        digest: `name@sha256:…` as the registry that it came from knows it; without one, the id.
    """

    id: str
    digest: str


class Images:
    """Finds and pulls images of one engine. Safe for several threads."""

    def __init__(self, api: Any) -> None:
        """Use a client of the engine's API."""
        self._api = api
        self._guard = threading.Lock()
        self._known: dict[str, tuple[float, Image]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._pulling: dict[str, _Pull] = {}

    def find(self, name: str, cancelled: threading.Event) -> Image:
        """Return what a name stands for; pull it first where the engine lacks it.

        Raises:
            ImageProblem: it cannot be had.
            Interrupted: `cancelled` was set.
        """
        known_s, image = self._known.get(name, (0.0, None))
        if image is not None and time.monotonic() - known_s < KNOWN_S:
            return image
        try:
            found = self._ask(name)
        except ImageNotFound:
            self._pull(name, cancelled)
            found = self._ask(name)
        self._known[name] = (time.monotonic(), found)
        return found

    def forget(self, name: str) -> None:
        """Ask the engine again what a name stands for: what it stood for is gone."""
        self._known.pop(name, None)

    def _ask(self, name: str) -> Image:
        facts = self._api.inspect_image(name)
        repository = _repository(name)
        digests = [digest for digest in facts.get("RepoDigests") or [] if _repository(digest) == repository]
        return Image(facts["Id"], digests[0] if digests else facts["Id"])

    def _pull(self, name: str, cancelled: threading.Event) -> None:
        """Wait for the one pull of an image, which goes on as long as anybody waits for it."""
        with self._guard:
            failed_s, words = self._failed.get(name, (0.0, ""))
            if words and time.monotonic() - failed_s < FAILURE_KEPT_S:
                raise ImageProblem(words)
            pull = self._pulling.get(name)
            if pull is None:
                pull = self._pulling[name] = _Pull(self._api, name, self._ended)
            pull.waiting += 1
        try:
            while not pull.is_over.wait(WAIT_S):
                if cancelled.is_set():
                    raise Interrupted
            pull.outcome.result()
        finally:
            with self._guard:
                pull.waiting -= 1
                if not pull.waiting and self._pulling.get(name) is pull:
                    pull.abandoned.set()
                    del self._pulling[name]

    def _ended(self, pull: "_Pull", problem: ImageProblem | None) -> None:
        with self._guard:
            if self._pulling.get(pull.name) is pull:
                del self._pulling[pull.name]
            if problem is None:
                self._failed.pop(pull.name, None)
            else:
                self._failed[pull.name] = (time.monotonic(), str(problem))


class _Pull:
    """One image on its way, in a thread of its own: a registry that says nothing must hold up nobody's cancel."""

    def __init__(self, api: Any, name: str, ended: "Callable[[_Pull, ImageProblem | None], None]") -> None:
        """Begin."""
        self.name = name
        self.waiting = 0
        self.abandoned = threading.Event()
        self.is_over = threading.Event()
        self.outcome: Future[None] = Future()
        self._api = api
        self._ended = ended
        self._deadline_s = time.monotonic() + PULL_S
        threading.Thread(target=self._run, name="docker-pull", daemon=True).start()

    def _run(self) -> None:
        try:
            if not self._is_there():
                self._with_patience()
        except Interrupted:
            self.outcome.set_exception(Interrupted())
        except ImageProblem as problem:
            self._ended(self, problem)
            self.outcome.set_exception(problem)
        except BaseException as problem:
            self.outcome.set_exception(ImageProblem(f"image {self.name!r}: {problem!r}"))
            raise
        else:
            self._ended(self, None)
            self.outcome.set_result(None)
        finally:
            self.is_over.set()

    def _is_there(self) -> bool:
        """Tell whether an earlier pull has brought the image since it was missed."""
        try:
            self._api.inspect_image(self.name)
        except ENGINE_ERRORS:
            return False
        return True

    def _with_patience(self) -> None:
        for pause_s in PAUSES_S:
            try:
                self._once()
            except ImageProblem as problem:
                if not _is_brief(problem):
                    raise
            else:
                return
            self.abandoned.wait(pause_s)
        self._once()

    def _once(self) -> None:
        if self.abandoned.is_set():
            raise Interrupted
        try:
            for progress in self._api.pull(self.name, _tag(self.name), stream=True, decode=True):
                if "error" in progress:
                    raise ImageProblem(f"image {self.name!r}: {progress['error']}")
                if self.abandoned.is_set():
                    raise Interrupted
                if time.monotonic() > self._deadline_s:
                    raise ImageProblem(f"image {self.name!r}: the pull takes more than {PULL_S:g} s")
        except ENGINE_ERRORS as problem:
            raise ImageProblem(f"image {self.name!r}: {words_of(problem)}") from problem


def _is_brief(problem: ImageProblem) -> bool:
    """Tell whether a problem may be gone in a moment."""
    return any(words in str(problem).lower() for words in PASSING)


def _tag(name: str) -> str | None:
    """Return the tag to ask for where the name has none: the engine would bring all that there are."""
    return None if "@" in name or ":" in name.rpartition("/")[2] else "latest"


def _repository(name: str) -> str:
    """Return an image's name without tag and digest."""
    before, _, last = name.partition("@")[0].rpartition("/")
    return f"{before}/{last.partition(':')[0]}".lstrip("/")
