"""A deployment whose finished workflows leave memory, as the shell has it done, but all in one thread."""

import hashlib
from typing import Any

from gaia_core.coordinator.archives import _only_reads
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Archived, IsArchived, Restored
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Archive, DropArchive
from gaia_core.machine.handle import handle
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.machine.state import Deployment
from gaia_core.wire.journal import Entry, decode_entry, encode_entry
from gaia_core.wire.snapshot import decode_archived, digest, encode_workflow
from gaia_core.wire.snapshot_workflow import Kept
from gaia_core.workflow.model import FileVersion
from tests.unit.machine.deployment import Driver


class Attic(Driver):
    """Puts workflows aside, reads them there, and brings them back.

    Attributes:
        objects: path → version → bytes of what lies in the store.
        told: every announcement so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, bytes]] = {}
        self.announcer = Announcer()
        self.told: list[Announcement] = []
        self._versions = 0

    def ask(self, request: rq.Request) -> Any:
        """Carry out a request, also about a workflow that is aside."""
        try:
            return super().ask(request)
        except IsArchived as away:
            if _only_reads(request):
                return handle(Decision(self.read(away.archived), self.rules), request)
            self.revive(away.archived)
            return super().ask(request)

    def encode(self, uid: int) -> rq.Archived:
        """Put a workflow into the store, and return what is said of that."""
        workflow = self.announcer.state.by_uid[uid]
        sequence, rest = self.announcer.sequences.get(uid, 0), self.announcer.rests.get(uid, "")
        data = b"".join(encode_workflow(Kept(workflow, sequence, rest)))
        self._versions += 1
        version, path = f"v{self._versions}", f".gaia/gaia/archive/{uid}"
        self.objects.setdefault(path, {})[version] = data
        file = FileVersion(path, version, len(data), hashlib.sha256(data).digest())
        return rq.Archived(uid, workflow.updated_ms, file, sequence, rest)

    def retire(self) -> list[str]:
        """Let time act, put aside what is to be, and return the names of that."""
        super().ask(rq.Tick())
        names = []
        for effect in self.effects:
            if isinstance(effect, Archive):
                name = self.state.by_uid[effect.uid].name
                if super().ask(self.encode(effect.uid)):
                    names.append(name)
        return names

    def revive(self, archived: Archived) -> bool:
        """Bring a workflow back."""
        data = self.objects[archived.file.key][archived.file.version]
        restored = Restored(data, decode_archived, decode_archived(data))
        answer: bool = super().ask(rq.Revive(archived.uid, archived.file, restored))
        return answer

    def revive_all(self) -> None:
        """Bring every workflow back."""
        for archived in list(self.state.archived.values()):
            self.revive(archived)

    def read(self, archived: Archived) -> Deployment:
        """Return a deployment that holds just the one workflow."""
        found = Deployment()
        found.adopt(decode_archived(self.objects[archived.file.key][archived.file.version]).workflow)
        return found

    @property
    def digest(self) -> bytes:
        """Return the digest of what is in memory, announcements included."""
        return digest(self.state, self.announcer.sequences, self.announcer.rests)

    def _finish(self, decision: Decision) -> None:
        super()._finish(decision)
        entry = decode_entry(encode_entry(Entry(0, 0, self.now_ms, tuple(decision.events))))
        self.told += self.announcer.follow(self.now_ms, entry.events)
        assert digest(self.announcer.state) == digest(self.state)
        for effect in self.effects:
            if isinstance(effect, DropArchive):
                del self.objects[effect.file.key][effect.file.version]
