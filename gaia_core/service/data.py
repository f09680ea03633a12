"""Files of a data space, for clients: put, find, open, list. Blocking; called from threads."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from gaia_core.coordinator import sightings
from gaia_core.errors import InvalidWorkflow, Problem, UnknownName
from gaia_core.ports import Store
from gaia_core.wire.manifests import decode_manifest
from gaia_core.workflow.keys import location, split_bucket
from gaia_core.workflow.model import FileVersion, Publication

LISTED_MAX: Final = 10_000


class DataSpace:
    """The store as clients see it: only what was published or has arrived."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, workflow: str, key: str, source: Path, expected_sha256: bytes) -> Publication:
        """Store a file under a Key and return what is to arrive.

        Raises:
            InvalidWorkflow: the file is not what its sender says.
        """
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
        if sha256 != expected_sha256:
            raise InvalidWorkflow.of([Problem("end.sha256", "the file arrived damaged; nothing was stored")])
        stored = self._store.put_file(*location(workflow, key), source)
        return Publication(key, (FileVersion(key, stored.version, stored.size_bytes, sha256),))

    def lying(self, workflow: str, keys: Sequence[str]) -> list[Publication]:
        """Return what lies under Keys now.

        Raises:
            UnknownName: nothing lies under some; `problems` names them all.
        """
        found = [sightings.find(self._store, workflow, key) for key in keys]
        missing = [
            Problem(f"keys[{number}]", f"nothing lies under {key!r} of {workflow!r}")
            for number, key in enumerate(keys)
            if found[number] is None
        ]
        if missing:
            raise UnknownName("Nothing was announced.", problems=missing, hint="put the files first")
        return [one for one in found if one is not None]

    def find(self, published: Iterable[Publication], key: str) -> FileVersion | None:
        """Return the file of a Key among what was published."""
        return next((file for file in self._files(published) if file.key == key), None)

    def list(self, published: Iterable[Publication], prefix: str) -> tuple[list[FileVersion], bool]:
        """Return files whose Key begins with a prefix, by Key, and whether there are more."""
        files = {file.key: file for file in self._files(published) if file.key.startswith(prefix)}
        ordered = [files[key] for key in sorted(files)]
        return ordered[:LISTED_MAX], len(ordered) > LISTED_MAX

    def open(self, workflow: str, file: FileVersion) -> Iterator[bytes]:
        """Yield a file's content in chunks."""
        return self._store.open(*location(workflow, file.key), file.version)

    def _files(self, published: Iterable[Publication]) -> Iterator[FileVersion]:
        """Yield every file, those of manifests included."""
        for one in published:
            yield from one.files
            if one.manifest is not None:
                bucket, path = split_bucket(one.manifest.key)
                data = b"".join(self._store.open(bucket, path, one.manifest.version))
                yield from decode_manifest(data)
