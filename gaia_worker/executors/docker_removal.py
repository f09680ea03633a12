"""Containers that are to go, removed apart from the attempts: nobody waits for it, and no failure makes it forget one.

A container whose program has ended takes the engine as long to remove as a good part of the next one's start; a slot
need not wait for that. What the engine did not remove is tried again whenever it is found to be well.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Final

from docker.errors import APIError, NotFound  # type: ignore[import-untyped,unused-ignore]

from gaia_worker.executors.docker_engine import ENGINE_ERRORS, Engine, words_of

log = logging.getLogger(__name__)

THREADS: Final = 2
PENDING_MAX: Final = 64
"""So many may wait to be removed; then attempts wait too."""

SOUGHT_S: Final = 600.0
"""How long a container is looked for whose creation timed out: as long as an engine may yet get to it."""

CLOSE_S: Final = 15.0
CONFLICT: Final = 409


class Removals:
    """Removes containers of one engine in the background; to be closed."""

    def __init__(self, engine: Engine) -> None:
        """Remove containers of this engine."""
        self._engine = engine
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker-remove")
        self._room = threading.Semaphore(PENDING_MAX)
        self._guard = threading.Lock()
        self._pending: set[Future[None]] = set()
        self._failed: set[str] = set()
        self._sought: dict[tuple[str, str], float] = {}

    def remove(self, container: str, then: Callable[[], None] | None = None) -> None:
        """Have a container killed and removed, by id; `then` is called afterwards, also where that failed."""
        self._room.acquire()
        future = self._threads.submit(self._try, container, then)
        with self._guard:
            self._pending.add(future)
        future.add_done_callback(self._done)

    def seek(self, name: str, deployment: str) -> None:
        """Have removed what a creation that timed out may make yet, if it is this deployment's."""
        with self._guard:
            self._sought[name, deployment] = time.monotonic() + SOUGHT_S

    def now(self, container: str) -> None:
        """Kill and remove a container before returning; raises one of ENGINE_ERRORS where that fails."""
        self._engine.knock()
        with suppress(NotFound):
            try:
                self._engine.api.remove_container(container, v=True, force=True)
            except APIError as problem:
                if problem.status_code != CONFLICT:
                    raise
                # It is on its way out already, and its name is taken until then.
                self._engine.api.wait(container, condition="removed")

    def now_if_ours(self, name: str, deployment: str) -> bool:
        """Kill and remove a container by name if this deployment made it; tell whether there was such a one."""
        self._engine.knock()
        try:
            found = self._engine.api.inspect_container(name)
        except NotFound:
            return False
        if (found["Config"]["Labels"] or {}).get("gaia.deployment") != deployment:
            return False
        self.now(found["Id"])
        return True

    def try_again(self) -> None:
        """Remove what could not be removed before; called now and then while the engine is well."""
        with self._guard:
            failed, self._failed = self._failed, set()
            sought = dict(self._sought)
        for container in failed:
            self._try(container, None)
        for (name, deployment), until_s in sought.items():
            with suppress(*ENGINE_ERRORS):
                if self.now_if_ours(name, deployment) or time.monotonic() > until_s:
                    with self._guard:
                        self._sought.pop((name, deployment), None)

    def close(self) -> None:
        """Wait for what is being removed, within reason; safe to call twice."""
        with self._guard:
            pending = set(self._pending)
        wait(pending, CLOSE_S)
        if (self._failed or self._sought) and self._engine.look():
            self.try_again()
        if self._failed:
            log.warning("containers were not removed", extra={"count": len(self._failed)})
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: "Future[None]") -> None:
        self._room.release()
        with self._guard:
            self._pending.discard(future)

    def _try(self, container: str, then: Callable[[], None] | None) -> None:
        try:
            self.now(container)
        except ENGINE_ERRORS as problem:
            log.warning("a container was not removed", extra={"container": container, "cause": words_of(problem)})
            with self._guard:
                self._failed.add(container)
        if then is not None:
            then()
