"""The mutations that were answered, for retries of them: so long, so many, and no more than fit into so much memory."""

from collections import OrderedDict
from typing import Final, NamedTuple

KEPT_MS: Final = 24 * 3600 * 1000
"""Longer than any client retries."""

KEPT_MAX: Final = 100_000
"""Of short answers; some 100 MB."""

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of their texts; a busy deployment forgets the oldest before their day is over."""


class Answered(NamedTuple):
    """A mutation that was answered; the answer is JSON, which takes a tenth of the memory of what it means."""

    digest: bytes
    answer: str
    at_ms: int


class Answers(OrderedDict[str, Answered]):
    """Answers by request id, the oldest first.

    Attributes:
        weight: about how many bytes their texts have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = 0

    def remember(self, request_id: str, answered: Answered) -> None:
        """Keep an answer, and forget the oldest ones that are too old or too much."""
        self.forget(request_id)
        self[request_id] = answered
        self.weight += _weight(request_id, answered)
        while len(self) > KEPT_MAX or self.weight > KEPT_BYTES_MAX or self._is_over(answered.at_ms):
            self.forget(next(iter(self)))

    def forget(self, request_id: str) -> None:
        """Drop an answer, if it is there."""
        known = self.pop(request_id, None)
        if known is not None:
            self.weight -= _weight(request_id, known)

    def _is_over(self, now_ms: int) -> bool:
        """Tell whether the time of the oldest one is over."""
        return self[next(iter(self))].at_ms <= now_ms - KEPT_MS


def _weight(request_id: str, answered: Answered) -> int:
    return len(request_id) + len(answered.digest) + len(answered.answer)
