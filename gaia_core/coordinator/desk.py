"""Where the interfaces hand requests in: whoever answers them now, a leader or a standby, and nobody in between."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Unavailable
from gaia_core.machine.requests import Request

Submit: TypeAlias = Callable[[Request], "Future[Any]"]


class Role(Protocol):
    """What a server is to its shard: the leader or a standby."""

    watchers: WatchHub

    def submit(self, request: Request) -> "Future[Any]":
        """Take a request; its answer or refusal comes through the future.

        Raises:
            GaiaError: it is not taken.
        """

    def settled(self) -> "Future[None]":
        """Return what is done once watchers were told of all that was answered until now."""


class Desk:
    """The one place that knows who answers."""

    def __init__(self) -> None:
        self._role: Role | None = None

    def seat(self, role: Role | None) -> None:
        """Have requests answered by a role, or by nobody."""
        self._role = role

    def submit(self, request: Request) -> "Future[Any]":
        """Hand a request to whoever answers now.

        Raises:
            Unavailable: nobody does.
            GaiaError: it is not taken.
        """
        return self.present.submit(request)

    @property
    def present(self) -> Role:
        """Return whoever answers now.

        Raises:
            Unavailable: nobody does.
        """
        role = self._role
        if role is None:
            raise Unavailable("The server is starting, or changing its role.", hint="ask again in a moment")
        return role
