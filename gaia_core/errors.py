"""Every error of Gaia, in a tree whose branches say who must act.

*RequestError*: the caller; nothing was changed. *Unavailable*: our surroundings; worth trying again. *Bug*: nobody
can go on; crash loudly. A failure of a user's program is no exception but data (`gaia_core.workflow.model.Failure`).
The client raises the same classes as the server. This module imports nothing.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple


class Problem(NamedTuple):
    """One thing wrong with a request.

    Attributes:
        place: where, as a path into the request: `steps[3].inputs.genome`.
        message: what, in words for the person who wrote it.
    """

    place: str
    message: str

    def __str__(self) -> str:
        """Render as one line."""
        return f"{self.place}: {self.message}" if self.place else self.message


class GaiaError(Exception):
    """Base of all errors of Gaia; its class attributes are the codes of the three interfaces."""

    grpc_code: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        """Keep the message, what to try next, and the single problems behind it."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """Render message, problems and hint for a person."""
        lines = [self.message, *(f"  {problem}" for problem in self.problems)]
        return "\n".join([*lines, f"hint: {self.hint}"] if self.hint else lines)


class RequestError(GaiaError):
    """The caller must change the request; the state is untouched."""

    grpc_code = "INVALID_ARGUMENT"
    http_status = 400
    exit_code = 2


class InvalidWorkflow(RequestError):
    """The request breaks rules of workflows; `problems` holds all of them."""

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> "InvalidWorkflow":
        """Build the error from its problems, each told once; the message counts them."""
        found = tuple(dict.fromkeys(problems))
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        return cls(f"The request has {count}; nothing was changed.", problems=found)


class UnknownName(RequestError):
    """A name stands for nothing: a workflow, Step or Key that does not exist."""

    grpc_code = "NOT_FOUND"
    http_status = 404
    exit_code = 3


class AlreadyExists(RequestError):
    """The name is taken."""

    grpc_code = "ALREADY_EXISTS"
    http_status = 409
    exit_code = 4


class NotAllowedNow(RequestError):
    """The request is fine but not in this state."""

    grpc_code = "FAILED_PRECONDITION"
    http_status = 409
    exit_code = 4


class NoLongerKept(RequestError):
    """What is asked for was there and is gone; the message names the oldest that is left."""

    grpc_code = "OUT_OF_RANGE"
    http_status = 410
    exit_code = 4


class TooLarge(RequestError):
    """A limit is exceeded; the message names it."""

    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 413
    exit_code = 2


class NotAuthorized(RequestError):
    """The token is missing or wrong."""

    grpc_code = "UNAUTHENTICATED"
    http_status = 401
    exit_code = 4


class ConfigError(RequestError):
    """A setting is unknown, malformed or contradicts another."""


class Unavailable(GaiaError):
    """Our surroundings do not answer: a server, Kafka, the store, the engine. Worth trying again.

    Attributes:
        retry_s: after how many seconds.
    """

    grpc_code = "UNAVAILABLE"
    http_status = 503
    exit_code = 5
    retry_s: ClassVar[int] = 1


class Overloaded(Unavailable):
    """Too much waits already; the same request, sent again in a moment, may be taken."""

    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 429


class NotLeading(Unavailable):
    """Only the leader can do this, and it is another server.

    Attributes:
        leader: its address; "" where it is not known.
    """

    def __init__(self, message: str, *, leader: str = "", hint: str = "", problems: Sequence[Problem] = ()) -> None:
        """Keep who leads, beside what every error keeps."""
        super().__init__(message, hint=hint, problems=problems)
        self.leader = leader


class InboxLost(Unavailable):
    """Orders were deleted before their worker read them; it has to begin anew as another incarnation."""


class StoreError(Unavailable):
    """The object store refused or stayed away."""


class ObjectMissing(StoreError):
    """No object, or no such version of it, lies in the store."""


class Bug(GaiaError):
    """Nobody can go on."""


class JournalCorrupt(Bug):
    """A journal record carries our mark but cannot be read; offset and cause are in the message."""


class InvariantBroken(Bug):
    """The state contradicts itself."""


BY_NAME: dict[str, type[GaiaError]] = {
    error.__name__: error
    for error in (
        RequestError,
        InvalidWorkflow,
        UnknownName,
        AlreadyExists,
        NotAllowedNow,
        NoLongerKept,
        TooLarge,
        NotAuthorized,
        ConfigError,
        Unavailable,
        Overloaded,
        NotLeading,
        InboxLost,
        StoreError,
        ObjectMissing,
        Bug,
        JournalCorrupt,
        InvariantBroken,
    )
}
