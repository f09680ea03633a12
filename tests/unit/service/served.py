"""A whole server in this process, on a journal, events and a store in memory: everything real but what it stands on."""

import gc
import threading
from typing import Any, Self

from gaia.client import Gaia
from gaia_core.app import Server
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.config import Config
from gaia_core.coordinator.office import Backing
from gaia_core.coordinator.watching import WatchHub
from gaia_core.ports import Store
from gaia_core.service.reception import Reception
from tests.integration.gaia_processes import free_address
from tests.support.launcher import FakeLauncher


class Served:
    """One server; `again` makes the next one on the same journal and address."""

    def __init__(self, store: Store | None = None, **settings: Any) -> None:
        self.config = Config(listen=free_address(), http_listen=free_address(), **settings)
        self.log, self.events, self.store = MemoryLog(), MemoryEvents(), store or MemoryStore()
        self.logs = InProcessLogs()
        self.launcher = FakeLauncher()
        self.server: Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def hub(self) -> WatchHub:
        """Return what its watchers read."""
        assert self.server is not None
        return self.server._desk.present.watchers

    @property
    def reception(self) -> Reception:
        """Return where its requests are read."""
        assert self.server is not None
        return self.server.reception

    def client(self) -> Gaia:
        """Return a client of it."""
        return Gaia({"gaia_host": self.config.listen})

    @classmethod
    def on(cls, other: "Served") -> "Served":
        """Return one on the journal, events and store of another that has stopped, at another address."""
        made = cls()
        made.log, made.events, made.store = other.log, other.events, other.store
        return made

    def again(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def start(self) -> Self:
        """Start it and wait until it answers."""
        ready = threading.Event()
        self.bus = InProcessBus()
        backing = Backing(
            open_journal=lambda: MemoryJournal(self.log),
            open_bus=lambda: self.bus,
            open_event_log=lambda: MemoryEventLog(self.events),
            open_election=None,
            store=self.store,
            own_bucket="gaia",
            buckets=None,
            log_tap=self.logs,
        )

        def serve() -> None:
            try:
                self.server = Server(self.config, backing, lambda _: self.launcher)
                self.server.run(lambda _: ready.set())
            except BaseException as problem:  # noqa: BLE001 - raised again by whoever stops it
                self._failure = problem
                ready.set()

        self._thread = threading.Thread(target=serve)
        self._thread.start()
        assert ready.wait(30)
        return self

    def stop(self) -> None:
        """Stop it."""
        assert self.server is not None
        assert self._thread is not None
        self.server.stop()
        self._thread.join(30)
        self.server = None
        assert not self._thread.is_alive()
        # What a server does for its own process' sake must not reach the other tests.
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
