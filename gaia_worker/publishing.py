"""Stores what an attempt leaves as new versions, and says what each of its Keys then stands for.

Nothing is published by that: only an accepted completion makes readers look here. Called by `gaia_worker.attempt`.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gaia_core.workflow.keys import manifest_location
from gaia_core.workflow.model import Execution, FileVersion, Output, Publication
from gaia_worker.transfer import Transfers, upload_of

INLINE_FILES_MAX: Final = 100
"""A tree of more files is published by a manifest: reports and journal entries stay small."""

INLINE_BYTES_MAX: Final = 128 * 1024
"""Of all outputs of an attempt together; a record holds 512 KiB."""

_FILE_BYTES: Final = 64
"""What a file takes in a message beside its Key and version: digest, size, tags."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of one output.

    Attributes:
        index: position among the outputs of the Execution.
        files: Keys with places on the host, in Key order.
    """

    index: int
    output: Output
    files: list[tuple[str, Path]]


class Publisher:
    """Stores the outputs of one attempt."""

    def __init__(
        self, transfers: Transfers, execution: Execution, mark: str, scratch: Path, stopped: threading.Event
    ) -> None:
        """Store for one attempt.

        Args:
            transfers: move the files.
            execution: of the attempt.
            mark: tells which attempt stored a version.
            scratch: folder of the attempt; all files lie in it.
            stopped: ends the storing.
        """
        self._transfers = transfers
        self._execution = execution
        self._mark = mark
        self._scratch = scratch
        self._stopped = stopped

    def publish(self, found: Sequence[Found]) -> tuple[Publication, ...]:
        """Upload the files of several outputs at once; return what their Keys stand for, in the order of the outputs.

        Raises:
            StoreError: the store refused or stayed away.
            Interrupted: the attempt was stopped.
            OSError: something that is no file lies in a file's place.
        """
        made_by = (self._execution.workflow, self._mark, self._scratch)
        jobs = [upload_of(key, path, *made_by) for one in found for key, path in one.files]
        versions = iter(self._transfers.upload(jobs, self._stopped))
        stored = {one.index: (one.output, tuple(next(versions) for _ in one.files)) for one in found}
        left_bytes = INLINE_BYTES_MAX
        published = []
        for index in sorted(stored):
            output, files = stored[index]
            size_bytes = _listed_bytes(files)
            if size_bytes <= left_bytes and len(files) <= INLINE_FILES_MAX:
                left_bytes -= size_bytes
                published.append(Publication(output.key, files))
            else:
                published.append(self._listed_apart(index, output, files))
        return tuple(published)

    def _listed_apart(self, index: int, output: Output, files: tuple[FileVersion, ...]) -> Publication:
        """Return a publication whose files a manifest lists."""
        fence = self._execution.fence
        place = manifest_location(self._execution.workflow, fence.workflow_uid, fence.step, fence.attempt, index)
        manifest = self._transfers.write_manifest(place, files, self._mark, self._stopped)
        return Publication(output.key, manifest=manifest)


def _listed_bytes(files: Sequence[FileVersion]) -> int:
    """Return about how many bytes a list of files takes in a message."""
    return sum(len(file.key.encode()) + len(file.version) + _FILE_BYTES for file in files)
