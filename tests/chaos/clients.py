"""A simulated client: makes up requests, and asks again with the same id until it has an answer."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from gaia_core.errors import AlreadyExists, GaiaError, NotLeading, RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import remembered
from gaia_core.workflow.model import Command, FileVersion, Options, Publication, Resources, StepSpec
from tests.chaos.audit import IS_NOT_THERE, IS_THERE, Acknowledged
from tests.chaos.servers import Server
from tests.chaos.surroundings import SimStore
from tests.chaos.workers import ENDLESS
from tests.chaos.world import Process, World

PATIENCE_S: Final = 15.0
"""How long a client waits for an answer before it asks another server."""

FLOWS: Final = ("a", "a", "a", "b", "b", "c")
"""Most requests are about the same workflows."""

OUTSIDE: Final = "outside/x"

COMMANDS: Final = (
    Command("make", "image", ("make",), {}, {"out": "/out"}),
    Command("copy", "image", ("cp",), {"in": "/in"}, {"out": "/out"}),
    Command("tree", "image", ("mk",), {}, {"out": "/out/"}),
    Command("list", "image", ("ls",), {"in": "/in/"}, {"out": "/out"}),
    Command(ENDLESS, "image", ("sleep",), {}, {"out": "/out"}),
)


PROPERTIES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"max_parallel": 1},
    {"on_error": "stop"},
    {"retention_s": 1},
    {"retention_s": 2, "max_parallel": 2},
    {"retention_s": 8, "on_error": "stop"},
)
"""Some workflows leave memory as soon as they are finished."""


class Put(NamedTuple):
    """Put a file from outside."""

    workflow: str
    data: bytes


class Client(Process):
    """One client, which makes one request after the other.

    Attributes:
        acknowledged: the answers it got.
        left: requests it has still to make.
    """

    def __init__(self, world: World, name: str, servers: list[Server], store: SimStore, requests: int) -> None:
        super().__init__(world, name)
        self.acknowledged: list[Acknowledged] = []
        self.left = requests
        self.is_done = False
        self._servers, self._store = servers, store
        self._number = 0
        self._tries = 0
        self._asked_s = 0.0
        self._server = servers[0]
        self.born()

    def start(self) -> None:
        """Make the first request soon."""
        self.later(self.world.soon(3.0), self._next)

    def turn_to(self, server: Server) -> None:
        """Ask this server from now on."""
        self._server = server

    def _next(self) -> None:
        """Make the next request."""
        if not self.left:
            self.is_done = True
            return
        self.left -= 1
        self._number += 1
        if self.world.happens(0.3):
            self._server = self.world.random.choice(self._servers)
        self._asked_s = self.world.now_s
        request = self._make_up()
        if isinstance(request, Put):
            self.tell(f"puts {OUTSIDE} into {request.workflow}")
        else:
            self.tell(f"asks {request.request.id}: {describe(request)}")
        self._ask(request)

    def _ask(self, request: Any) -> None:
        self._tries += 1
        self._server.later(self.world.soon(), partial(self._submit, request, self._server, self._tries))
        self.later(PATIENCE_S, partial(self._unanswered, request, self._tries))

    def _submit(self, request: Any, server: Server, tried: int) -> None:
        """Hand the request over, in the server's time, unless its client has hung up by then."""
        if tried != self._tries:
            return
        try:
            answer = server.submit(self._stored(request) if isinstance(request, Put) else request)
        except GaiaError as error:
            self._reply(request, tried, error, None)
        else:
            answer.add_done_callback(lambda done: self._answered(request, tried, done))

    def _answered(self, request: Any, tried: int, done: "Future[Any]") -> None:
        error = done.exception()
        self._reply(request, tried, error, done.result() if error is None else None)

    def _reply(self, request: Any, tried: int, error: BaseException | None, answer: Any) -> None:
        if not self.world.happens(0.05):  # else the connection breaks
            self.later(self.world.soon(), partial(self._hear, request, tried, error, answer))

    def _hear(self, request: Any, tried: int, error: BaseException | None, answer: Any) -> None:
        if tried != self._tries:
            return
        if error is None or isinstance(error, RequestError):
            self._tries += 1
            self._note(request, error, answer)
            self.later(self.world.soon(6.0), self._next)
        elif isinstance(error, Unavailable):
            named = [
                server for server in self._servers if isinstance(error, NotLeading) and error.leader == server.name
            ]
            self._server = named[0] if named else self.world.random.choice(self._servers)
            self._tries += 1
            self.later(0.5 + self.world.soon(1.0), partial(self._ask, request))
        else:
            raise AssertionError(f"not an answer: {error!r}")

    def _unanswered(self, request: Any, tried: int) -> None:
        if tried == self._tries:
            self._server = self.world.random.choice(self._servers)
            self._ask(request)

    def _note(self, request: Any, error: BaseException | None, answer: Any) -> None:
        if isinstance(request, Put):
            return
        identity, said = request.request, None
        if error is None:
            self.tell(f"has the answer to {identity.id}")
            said = remembered(answer)
        else:
            self.tell(f"is refused {identity.id}: {error}")
        self.acknowledged.append(
            Acknowledged(
                identity.id, error is not None, said, request.workflow, _why(error), self._asked_s, self.world.now_s
            )
        )

    # ---- what it wants

    def _make_up(self) -> Any:
        random = self.world.random
        flow = random.choice(FLOWS) if self._number > 1 else self.name[-1:].translate({48: "a", 49: "b"})
        names = tuple(random.sample([f"s{number}" for number in range(6)], random.randint(1, 2)))
        make: list[tuple[int, Callable[[], Any]]] = [
            (100 if self._number == 1 else 2, lambda: rq.Upload(flow, self._properties(), COMMANDS, self._steps())),
            (5, lambda: rq.Merge(flow, self._steps(), only_changed=random.random() < 0.5)),
            (2, lambda: rq.SetCommands(flow, (self._command(),))),
            (3, lambda: rq.Expire(flow, names)),
            (2, lambda: rq.Halt(flow)),
            (3, lambda: rq.Run(flow)),
            (2, lambda: rq.Remove(flow, names)),
            (2, lambda: rq.Delete(flow, data=random.random() < 0.7)),
            (2, lambda: Put(flow, f"{self.name} {self._number}".encode())),
        ]
        request = random.choices([each for _, each in make], [weight for weight, _ in make])[0]()
        if isinstance(request, Put):
            return request
        identity = rq.RequestId(f"{self.name}-{self._number}", str(self._number).encode())
        return replace(request, request=identity)

    def _properties(self) -> dict[str, Any]:
        return self.world.random.choice(PROPERTIES)

    def _command(self) -> Command:
        return replace(self.world.random.choice(COMMANDS), image=f"image:{self._number}")

    def _steps(self) -> tuple[StepSpec, ...]:
        """Return a few Steps that depend on each other."""
        random = self.world.random
        first = random.choice((0, 0, 3))
        return tuple(self._step(number) for number in range(first, first + random.randint(1, 5)))

    def _step(self, number: int) -> StepSpec:
        random = self.world.random
        cpus = random.choice((None, None, 0.5, 1.0, 2.0))
        resources = Resources(cpus=cpus) if cpus else None
        name, options = f"s{number}", Options(retries=random.choice((0, 1, 3)), resources=resources)
        kind = random.choice(("make", "copy", "copy", "copy", "sweep", "tree", "list", ENDLESS))
        source = random.choice([OUTSIDE, *(f"k{one}" for one in range(number))] if number else [OUTSIDE, "k9"])
        if kind in ("make", ENDLESS):
            return StepSpec(name, kind, {}, {"out": f"k{number}"}, options=options)
        if kind == "sweep":
            values = {"N": tuple(range(random.randint(1, 3)))}
            return StepSpec(name, "copy", {"in": source}, {"out": f"k{number}/{{{{N}}}}"}, values, options)
        if kind == "tree":
            return StepSpec(name, kind, {}, {"out": f"t{number}/"}, options=options)
        if kind == "list" and number:
            return StepSpec(
                name,
                kind,
                {"in": f"{random.choice('tk')}{random.randrange(number)}/"},
                {"out": f"k{number}"},
                options=options,
            )
        return StepSpec(name, "copy", {"in": source}, {"out": f"k{number}"}, options=options)

    def _stored(self, put: Put) -> rq.Arrive:
        """Put a file into the store, as the service does, and return what the machine is told of it."""
        stored = self._store.put_bytes(None, f"{put.workflow}/{OUTSIDE}", put.data)
        file = FileVersion(OUTSIDE, stored.version, stored.size_bytes, b"\0" * 32)
        return rq.Arrive(put.workflow, (Publication(OUTSIDE, (file,)),))


def _why(error: BaseException | None) -> str:
    """Say whether a request was refused because a workflow is there, or is not."""
    if isinstance(error, AlreadyExists):
        return IS_THERE
    return IS_NOT_THERE if str(error).startswith("There is no workflow") else ""


def describe(request: Any) -> str:
    """Say what a request is about, in a few words."""
    names = [*getattr(request, "names", ()), *(step.name for step in getattr(request, "steps", ()))]
    return " ".join([type(request).__name__, request.workflow, *names])
