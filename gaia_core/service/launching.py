"""Starting workers for clients: each request once, however often it comes, and what fails at once is told in words.

The machine says whether workers of these names may be started, and remembers the request; this starts them after that
and waits for their first words. Lives on the interfaces' event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from gaia_core.errors import ConfigError, GaiaError, NotAllowedNow, Problem, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.ports import Launched, Launcher

LOOK_EVERY_S: Final = 0.2

Ask = Callable[[rq.Request], Awaitable[Any]]


class NoLauncher:
    """Starts no workers."""

    takes_s = 0.0

    def objection(self, count: int) -> str:  # noqa: ARG002 - none, however few
        """Return that none are started here."""
        return "This server starts no workers (GAIA_LAUNCHER=none)."

    def launch(self, name: str, metadata: Mapping[str, Any]) -> Launched:  # noqa: ARG002
        """Refuse to start a worker."""
        raise ConfigError(self.objection(1))

    def close(self) -> None:
        """Have nothing to end."""


class Launching:
    """Launches that are under way on one server.

    Args:
        launcher: starts workers.
        ask: has the leader answer a request.
    """

    def __init__(self, launcher: Launcher, ask: Ask) -> None:
        self._launcher = launcher
        self._ask = ask
        self._under_way: dict[rq.RequestId, asyncio.Task[None]] = {}
        self._starting: set[str] = set()

    async def launch(
        self, names: Sequence[str], metadata: Mapping[str, Any], request: rq.RequestId, problems: Iterable[Problem]
    ) -> None:
        """Start workers and return once each has said hello, or lives and takes its time.

        It goes on when the caller goes away; one who asks again with the same id waits for the same end.

        Args:
            names: of the workers.
            metadata: kept with them.
            request: a launch that was carried out before is not carried out again.
            problems: what was found wrong with the request so far.

        Raises:
            InvalidWorkflow: a name is none, or is taken; nothing was started.
            NotAllowedNow: there is no launcher, no room, or a worker did not start, in words.
            Unavailable: this server does not lead.
        """
        task = self._under_way.get(request) if request.id else None
        if task is None:
            task = asyncio.ensure_future(self._carry_out(tuple(names), metadata, request, tuple(problems)))
            task.add_done_callback(lambda ended: self._forget(request, ended))
            self._under_way[request] = task
        await asyncio.shield(task)

    def _forget(self, request: rq.RequestId, ended: "asyncio.Task[None]") -> None:
        if self._under_way.get(request) is ended:
            del self._under_way[request]
        if not ended.cancelled():
            ended.exception()  # who asked may have gone

    async def _carry_out(
        self, names: tuple[str, ...], metadata: Mapping[str, Any], request: rq.RequestId, problems: tuple[Problem, ...]
    ) -> None:
        wanted = rq.Launch(names, request, frozenset(self._starting), problems, self._launcher.objection(len(names)))
        own = set(names) - self._starting
        self._starting |= own
        try:
            answer: rq.Launched = await self._ask(wanted)
            if answer.is_new:
                await self._start(names, metadata, request)
        finally:
            self._starting -= own

    async def _start(self, names: tuple[str, ...], metadata: Mapping[str, Any], request: rq.RequestId) -> None:
        """Start the workers; if one does not, remember that.

        Raises:
            NotAllowedNow: which did not, and why.
        """
        started: dict[str, Launched] = {}
        failed: dict[str, str] = {}
        for name in names:
            try:
                started[name] = await asyncio.to_thread(self._launcher.launch, name, metadata)
            except GaiaError as error:
                failed[name] = error.message
        failed |= await self._ends_before_hello(started)
        if failed:
            why = "; ".join(f"the worker {name!r} did not start: {cause}" for name, cause in failed.items())
            rest = ", ".join(repr(name) for name in names if name not in failed)
            why = why[0].upper() + why[1:] + (f"; started: {rest}" if rest else "")
            await self._ask(rq.LaunchFailed(request, why))
            raise NotAllowedNow(why)

    async def _ends_before_hello(self, started: Mapping[str, Launched]) -> dict[str, str]:
        """Wait until every worker has said hello or ended; return why, by name, of those that ended first."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._launcher.takes_s
        silent, ended = dict(started), dict[str, str]()
        while silent and loop.time() < end:
            ends = {name: await asyncio.to_thread(worker.ended) for name, worker in silent.items()}
            try:
                heard = {view.name for view in await self._ask(rq.ListWorkers())}
            except Unavailable:  # no longer ours to tell; whoever leads now hears them
                break
            silent = {name: worker for name, worker in silent.items() if name not in heard and not ends[name]}
            ended |= {name: why for name, why in ends.items() if why and name not in heard}
            if silent:
                await asyncio.sleep(LOOK_EVERY_S)
        return ended
