"""Workflows that have left memory: puts them into the store, reads them for whoever asks, and brings them back.

All of it takes its time, so it has a thread of its own, and whoever asks about other workflows waits for none of it.
What clients ask comes first.
"""

import hashlib
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, TypeAlias

from gaia_core.coordinator.encoding import Encoded
from gaia_core.coordinator.intake import Submission
from gaia_core.errors import GaiaError, SnapshotDamaged, StoreError, TooLarge, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Archived, Restored
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Archive, DropArchive
from gaia_core.machine.handle import handle
from gaia_core.machine.state import Deployment
from gaia_core.ports import Store
from gaia_core.wire.snapshot import decode_archived
from gaia_core.workflow.keys import archive_folder
from gaia_core.workflow.model import FileVersion
from gaia_core.workflow.validate import ANY, Rules

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1_000

READY_MAX: Final = 4
READY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of archives that were read lately and are kept for the next question; in memory each takes several times as much."""

ANSWER_S: Final = 60.0

AGAIN_S: Final = 30.0
"""Pause before a workflow that could not be put into the store is tried again; it stays in memory meanwhile."""

Submit: TypeAlias = Callable[[rq.Request], "Future[Any]"]
Wanted: TypeAlias = Archive | DropArchive


class Archives:
    """One thread, of a leader or a standby.

    Args:
        store: where archives lie.
        deployment: under whose name.
        rules: what the deployment allows.
        submit: takes requests to the coordinator; None for a standby, who only reads.
        encode: encodes a finished workflow; None comes out where it has changed.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        deployment: str,
        rules: Rules = ANY,
        submit: Submit | None = None,
        encode: "Callable[[Archive], Future[Encoded | None]] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._folder = archive_folder(deployment)
        self._rules = rules
        self._submit = submit
        self._encode = encode
        self._clock = clock
        self._changed = threading.Condition()
        self._asked: deque[tuple[Submission, Archived]] = deque()
        self._wanted: deque[Wanted] = deque()
        self._again: list[tuple[float, int, Wanted]] = []
        self._numbers = count()
        self._stopping = False
        self._stopped: Future[None] = Future()
        self._ready: OrderedDict[FileVersion, Deployment] = OrderedDict()

    def answer(self, submission: Submission, archived: Archived) -> None:
        """Take over a request about an archived workflow, whose answer is already awaited."""
        with self._changed:
            if not self._stopping and len(self._asked) < WAITING_MAX:
                self._asked.append((submission, archived))
                self._changed.notify_all()
                return
        if self._stopping:
            _refuse(submission)
        else:
            message = f"More than {WAITING_MAX} requests about archived workflows wait already."
            submission.answer.set_exception(TooLarge(message, hint="try again in a second"))

    def ask(self, wanted: Wanted) -> None:
        """Queue something to do."""
        with self._changed:
            self._wanted.append(wanted)
            self._changed.notify_all()

    def run(self) -> None:
        """Do what is asked for, until `stop`."""
        while (one := self._next()) is not None:
            if isinstance(one, tuple):
                self._answer(*one)
            elif isinstance(one, Archive):
                self._tried(one, self._put_aside)
            else:
                self._tried(one, self._drop)

    def stop(self) -> None:
        """Make `run` return soon, and refuse what nobody will answer."""
        with self._changed:
            if not self._stopping:
                self._stopping = True
                self._stopped.set_result(None)
            asked = list(self._asked)
            self._asked.clear()
            self._changed.notify_all()
        for submission, _ in asked:
            _refuse(submission)

    def _next(self) -> tuple[Submission, Archived] | Wanted | None:
        """Wait for what is to be done next, None at the end."""
        with self._changed:
            while not self._stopping:
                if self._asked:
                    return self._asked.popleft()
                if self._wanted:
                    return self._wanted.popleft()
                wait_s = self._again[0][0] - self._clock() if self._again else None
                if wait_s is not None and wait_s <= 0:
                    return heappop(self._again)[2]
                self._changed.wait(wait_s)
        return None

    def _answer(self, submission: Submission, archived: Archived) -> None:
        """Answer a request, at once or, where it changes something, once the workflow is back."""
        request, answer = submission.request, submission.answer
        try:
            if isinstance(request, rq.Arrive) and request.instead_of:
                answer.set_result(None)  # what was seen in passing brings nothing back
            elif _only_reads(request):
                answer.set_result(handle(Decision(self._read(archived), self._rules), request))
            else:
                self._bring_back(archived)
                self._pass_on(submission)
        except GaiaError as error:
            answer.set_exception(_in_words(archived, error))

    def _read(self, archived: Archived) -> Deployment:
        """Return a deployment that holds just the one workflow.

        Raises:
            Unavailable: it cannot be read.
        """
        found = self._ready.pop(archived.file, None)
        if found is None:
            found = Deployment()
            found.adopt(decode_archived(self._load(archived.file)).workflow)
            found.now_ms = archived.summary.updated_ms
        self._ready[archived.file] = found
        while len(self._ready) > READY_MAX or (
            len(self._ready) > 1 and sum(file.size_bytes for file in self._ready) > READY_BYTES_MAX
        ):
            self._ready.popitem(last=False)
        return found

    def _load(self, file: FileVersion) -> bytes:
        """Return an archive's bytes.

        Raises:
            StoreError: it cannot be read, or is not what was written.
        """
        data = b"".join(self._store.open(None, file.key, file.version))
        if hashlib.sha256(data).digest() != file.sha256:
            raise StoreError(f"The archive {file.key!r} is not what was written.")
        return data

    def _bring_back(self, archived: Archived) -> None:
        """Have the coordinator take the workflow back; somebody else's request may have done so already."""
        data = self._load(archived.file)
        restored = Restored(data, decode_archived, decode_archived(data))
        self._ask(rq.Revive(archived.uid, archived.file, restored))

    def _pass_on(self, submission: Submission) -> None:
        """Submit a request again, for the same answer."""
        assert self._submit is not None
        self._submit(submission.request).add_done_callback(lambda done: _hand_on(done, submission))

    def _tried(self, wanted: Any, work: Callable[[Any], None]) -> None:
        try:
            work(wanted)
        except GaiaError as error:
            log.warning("could not keep archives; trying again", extra={"cause": error.message})
            heappush(self._again, (self._clock() + AGAIN_S, next(self._numbers), wanted))

    def _put_aside(self, wanted: Archive) -> None:
        """Put a finished workflow into the store, and let it leave memory once it is read back as it was."""
        assert self._encode is not None
        encoded = self._await(self._encode(wanted))
        if encoded is None:
            return
        stored = self._store.put_bytes(None, f"{self._folder}{wanted.uid}", encoded.data)
        digest = hashlib.sha256(encoded.data).digest()
        file = FileVersion(stored.path, stored.version, stored.size_bytes, digest)
        self._load(file)
        if not self._ask(rq.Archived(wanted.uid, wanted.updated_ms, file, encoded.sequence, encoded.rest)):
            self._drop(DropArchive(file))

    def _drop(self, wanted: DropArchive) -> None:
        self._ready.pop(wanted.file, None)
        self._store.delete_version(None, wanted.file.key, wanted.file.version)

    def _ask(self, request: rq.Request) -> Any:
        assert self._submit is not None
        return self._await(self._submit(request))

    def _await(self, answer: "Future[Any]") -> Any:
        """Return what comes of something.

        Raises:
            Unavailable: this server leaves office, or nothing comes.
            GaiaError: what became of it instead.
        """
        wait((answer, self._stopped), ANSWER_S, FIRST_COMPLETED)
        if not answer.done():
            raise Unavailable("The coordinator does not answer, or is shutting down.")
        return answer.result()


def _only_reads(request: rq.Request) -> bool:
    """Tell whether a request can be answered without bringing the workflow back."""
    if isinstance(request, rq.SetCommands):
        return not request.commands
    return not isinstance(request, rq.Mutation | rq.Internal)


def _hand_on(done: "Future[Any]", submission: Submission) -> None:
    error = done.exception()
    if error is not None:
        submission.answer.set_exception(error)
    else:
        submission.answer.set_result(done.result())


def _in_words(archived: Archived, error: GaiaError) -> GaiaError:
    """Return what whoever asked is told."""
    if not isinstance(error, StoreError | SnapshotDamaged):
        return error
    message = f"The archived workflow {archived.name!r} cannot be read: {error.message}"
    return Unavailable(message, hint="try again in a moment")


def _refuse(submission: Submission) -> None:
    submission.answer.set_exception(Unavailable("The coordinator is shutting down."))
