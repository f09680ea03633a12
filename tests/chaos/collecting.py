"""A simulated sweeper: the real code in the time of its server, which may be stopped between question and deletion."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gaia_core.coordinator.sweeping import Sweeper
from gaia_core.errors import GaiaError, Unavailable
from gaia_core.machine.requests import Request
from gaia_core.ports import StoredVersion
from tests.chaos.surroundings import DEPLOYMENT, WALL_S, SimStore

if TYPE_CHECKING:
    from tests.chaos.servers import Server

SWEEP_S: Final = 12.0
KEPT_S: Final = 25.0
"""How long a version stays that nobody refers to, at least."""


class _Patience:
    """Waits for nothing: nobody else needs the store's time here."""

    def wait(self, seconds: float) -> bool:
        return False


class SweptStore:
    """The store as the sweeper of one server sees it."""

    def __init__(self, server: "Server", store: SimStore) -> None:
        self._server, self._store = server, store
        self.open, self.mark_of, self.clear_unfinished = store.open, store.mark_of, store.clear_unfinished

    def list_versions(self, bucket: str | None, prefix: str) -> Iterator[StoredVersion]:
        found = list(self._store.list_versions(bucket, prefix))
        self._server.meet("after listing")
        return iter(found)

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        self._server.meet("before collecting")
        self._server.tell(f"collects {path} {version}")
        self._store.delete_version(bucket, path, version)


class SimSweeper(Sweeper):
    """The real sweeper of one leader."""

    def __init__(self, server: "Server", store: SimStore) -> None:
        world = server.world
        super().__init__(
            SweptStore(server, store),  # type: ignore[arg-type]
            server.ask_now,
            DEPLOYMENT,
            SWEEP_S,
            KEPT_S,
            lambda: int((WALL_S + world.now_s) * 1000),
            lambda: world.now_s,
        )
        self._stopping = _Patience()  # type: ignore[assignment]
        self._server = server
        self._again()

    def _ask(self, request: Request) -> Any:
        """Ask; what is archived is read at once, since nobody can be waited for here."""
        answer = self._submit(request)
        while not answer.done() and self._server.archives is not None and self._server.archives._asked:
            self._server.archives._take_one()
        if not answer.done():
            raise Unavailable("Nobody answers.")
        return answer.result()

    def _again(self) -> None:
        self._server.later(SWEEP_S / 2 + self._server.world.soon(SWEEP_S), partial(self._sweep))

    def _sweep(self) -> None:
        if self._server.sweeper is self:
            with suppress(GaiaError):
                self.sweep()
            self._again()
