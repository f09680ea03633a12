"""Encodes finished workflows on the state of the publisher, slice by slice, so that nobody else has to wait for it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Final, NamedTuple, TypeAlias

from gaia_core.machine.effects import Archive
from gaia_core.machine.public import Announcer
from gaia_core.wire.snapshot import encode_workflow
from gaia_core.wire.snapshot_workflow import Kept

SLICE_S: Final = 0.02
"""After so long what has happened meanwhile is followed and published first."""


class Encoded(NamedTuple):
    """A finished workflow as it is put into the store.

    Attributes:
        sequence: number of its latest public event.
        rest: the state that was told of last.
    """

    data: bytes
    sequence: int
    rest: str


Between: TypeAlias = Callable[[Callable[[Announcer], None]], None]
"""Has something done with an announcer once it has followed all that there is by now; see `Publisher.between`."""


class Encoding:
    """One workflow on its way; it is given up as soon as the workflow changes."""

    def __init__(self, wanted: Archive, between: Between) -> None:
        self.outcome: Future[Encoded | None] = Future()
        self._wanted = wanted
        self._between = between
        self._chunks: list[bytes] = []
        self._parts: Iterator[bytes] | None = None
        between(self._go_on)

    def _go_on(self, announcer: Announcer) -> None:
        """Encode the next part of it."""
        uid = self._wanted.uid
        workflow = announcer.state.by_uid.get(uid)
        if workflow is None or workflow.updated_ms != self._wanted.updated_ms:
            self.outcome.set_result(None)
            return
        kept = Kept(workflow, announcer.sequences.get(uid, 0), announcer.rests.get(uid, ""))
        if self._parts is None:
            self._parts = encode_workflow(kept)
        end_s = time.monotonic() + SLICE_S
        for part in self._parts:
            self._chunks.append(part)
            if time.monotonic() > end_s:
                self._between(self._go_on)
                return
        self.outcome.set_result(Encoded(b"".join(self._chunks), kept.sequence, kept.rest))
