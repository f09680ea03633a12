"""The workflows that a measure makes, and takes away again however it ends."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

from gaia_client.bench import flows
from gaia_client.client import Gaia
from gaia_core.errors import GaiaError, UnknownName

SENDERS: Final = 8
"""Merges that may be on their way at a time: one that is answered late holds up none of those after it."""


class Made:
    """Changes workflows in threads of its own, so that whoever is interrupted still knows what was made of them.

    A context manager: at its end every change that was begun is over, and the workflows are deleted with their data.

    Attributes:
        names: of what was made.
        left: what could not be deleted, or was to be kept: name → why.
    """

    def __init__(self, flow: Gaia, owner: str, name_of: Callable[[str], str], *, keep: bool) -> None:
        """Make nothing yet.

        Args:
            flow: the client.
            owner: of the workflows.
            name_of: gives the name of a workflow for a word.
            keep: leave them behind.
        """
        self.names: list[str] = []
        self.left: dict[str, str] = {}
        self._flow = flow
        self._owner = owner
        self._name_of = name_of
        self._keep = keep
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="bench")

    def upload(self, what: str, commands: Iterable[flows.Plain], steps: Iterable[flows.Plain]) -> str:
        """Make a workflow; return its name."""
        name = self._name_of(what)
        self.names.append(name)
        properties = flows.properties(self._owner)
        self._senders.submit(self._flow.upload, name, properties, list(commands), list(steps)).result()
        return name

    def merge(self, name: str, steps: Iterable[flows.Plain]) -> Future[Any]:
        """Begin to merge Steps."""
        return self._senders.submit(self._flow.merge, name, list(steps))

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what was begun come to its end, then delete: a merge that comes later would make its workflow anew."""
        self.left = dict.fromkeys(self.names, "")
        self._senders.shutdown(cancel_futures=True)
        if not self._keep:
            for name in self.names:
                self._delete(name)

    def _delete(self, name: str) -> None:
        try:
            self._flow.delete(name, data=True)
        except UnknownName:
            pass
        except GaiaError as error:
            self.left[name] = error.message
            return
        del self.left[name]
