"""Simulated archives: the real code, one thing after another in simulated time, over a store that may fail.

Junctures: "before archiving", "archive", "after archiving", "read an archive", "drop an archive".
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from gaia_core.coordinator.archives import AGAIN_S, Archives, Wanted
from gaia_core.coordinator.encoding import Encoded, Encoding
from gaia_core.coordinator.intake import Submission
from gaia_core.errors import StoreError
from gaia_core.machine.archived import Archived
from gaia_core.machine.effects import Archive
from gaia_core.machine.public import Announcer
from gaia_core.ports import Stored
from tests.chaos.surroundings import DEPLOYMENT, SimStore
from tests.chaos.world import Process

if TYPE_CHECKING:
    from tests.chaos.servers import Server


class ArchiveStore:
    """The store as one process sees it that writes or reads archives."""

    def __init__(self, process: Process, store: SimStore) -> None:
        self._process, self._store = process, store

    def put_bytes(self, bucket: str | None, path: str, data: bytes) -> Stored:
        process = self._process
        process.meet("before archiving")
        fault = process.meet("archive")
        if fault is not None and fault.kind == "refused":
            raise StoreError("The store does not answer.")
        found = self._store.put_bytes(bucket, path, data)
        process.tell(f"stores the archive {path} {found.version}")
        if fault is not None:
            raise StoreError("The store did not say that it took the archive.")
        process.meet("after archiving")
        return found

    def open(self, bucket: str | None, path: str, version: str) -> Iterator[bytes]:
        if self._process.meet("read an archive") is not None:
            raise StoreError("The store does not answer.")
        return self._store.open(bucket, path, version)

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        if self._process.meet("drop an archive") is not None:
            raise StoreError("The store does not answer.")
        self._process.tell(f"drops the archive {path} {version}")
        self._store.delete_version(bucket, path, version)


class SimArchives(Archives):
    """The real archives of one role of a server.

    Args:
        between: has something done with the publisher's state; None for a standby, who only reads.
    """

    def __init__(
        self, server: "Server", store: SimStore, between: Callable[[Callable[[Announcer], None]], None] | None = None
    ) -> None:
        super().__init__(
            ArchiveStore(server, store),  # type: ignore[arg-type]
            DEPLOYMENT,
            submit=server.ask_now if between is not None else None,
            encode=self._take_encoded,
        )
        self._server, self._between = server, between
        self._encoded: dict[Archive, Future[Encoded | None]] = {}

    def _take_encoded(self, wanted: Archive) -> "Future[Encoded | None]":
        return self._encoded.pop(wanted)

    def answer(self, submission: Submission, archived: Archived) -> None:
        super().answer(submission, archived)
        self._soon(self._take_one)

    def ask(self, wanted: Wanted) -> None:
        super().ask(wanted)
        self._soon(self._take_one)

    def _soon(self, act: Callable[[], object]) -> None:
        self._server.later(self._server.world.soon(0.5), act)

    def _take_one(self) -> None:
        """Do what waits for longest, as `run` does; what is to be put aside is encoded first."""
        if self._stopping:
            return
        if self._asked:
            self._answer(*self._asked.popleft())
        elif self._wanted:
            wanted = self._wanted.popleft()
            if isinstance(wanted, Archive):
                self._encode_first(wanted)
            else:
                self._try(wanted, self._drop)

    def _encode_first(self, wanted: Archive) -> None:
        assert self._between is not None
        outcome = Encoding(wanted, self._between).outcome
        outcome.add_done_callback(lambda done: self._soon(partial(self._put_aside_soon, wanted, done)))

    def _put_aside_soon(self, wanted: Archive, encoded: "Future[Encoded | None]") -> None:
        if not self._stopping:
            self._encoded[wanted] = encoded
            self._try(wanted, self._put_aside)

    def _try(self, wanted: Wanted, work: Callable[[Any], None]) -> None:
        self._tried(wanted, work)
        for _, _, again in self._again:
            self._server.later(AGAIN_S, partial(self._ask_again, again))
        self._again.clear()

    def _ask_again(self, wanted: Wanted) -> None:
        if not self._stopping:
            self.ask(wanted)

    def _await(self, answer: "Future[Any]") -> Any:
        assert answer.done(), "nobody can be waited for here"
        return answer.result()
