"""Counts of the calls that the gRPC interface answered; on its event loop's thread alone."""

from collections import Counter

from gaia_core.coordinator.meter import SECONDS, Tally
from gaia_core.errors import GaiaError

OK = "OK"
CANCELLED = "CANCELLED"


class CallMeter:
    """How many calls ended how, and how long those took that are no streams."""

    def __init__(self) -> None:
        self.seconds = Tally(SECONDS)
        self._counts: Counter[tuple[str, str]] = Counter()

    def ended(self, method: str, error: BaseException | None) -> None:
        """Count a call by the status that its error stands for.

        Args:
            method: its whole path, /gaia.v1.Gaia/Status.
            error: None where it was answered.
        """
        self._counts[method.rpartition("/")[2], _code_of(error)] += 1

    def counts(self) -> dict[tuple[str, ...], float]:
        """Return the number of calls by (method, code)."""
        return {key: float(count) for key, count in list(self._counts.items())}


def _code_of(error: BaseException | None) -> str:
    if error is None:
        return OK
    if isinstance(error, GaiaError):
        return error.grpc_code
    return "INTERNAL" if isinstance(error, Exception) else CANCELLED
