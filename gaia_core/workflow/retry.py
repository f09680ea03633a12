"""Whether a failed attempt is tried again, and when. Pure: the jitter is a function of the attempt's identity."""

from typing import Final
from zlib import crc32

from gaia_core.workflow.model import Command, Failure, FailureClass
from gaia_core.workflow.state import OWN_FAULTS, Step

BACKOFF_FIRST_MS: Final = 1_000
BACKOFF_MAX_MS: Final = 60_000

DISTURBANCES_MAX: Final = {
    FailureClass.STORE: 5,
    FailureClass.LOST: 5,
    FailureClass.ENGINE: 5,
    FailureClass.INPUT_CHANGED: 1,
}

PASSING_IMAGE_MAX: Final = 5
"""The same for an image whose registry does not answer; an image that is refused or not there is final."""
"""How often Gaia itself tries again after failures of the surroundings; classes not named are final."""


def retry_delay_ms(uid: int, step: Step, command: Command, failure: Failure) -> int | None:
    """Return how long to wait before the next attempt, or None when there is none.

    Args:
        uid: of the workflow; spreads the jitter.
        step: its counters do not yet include this failure.

    Returns:
        Milliseconds; exponential with a cap, half of it jitter. A first loss of a worker is made good at once.
    """
    if failure.kind in OWN_FAULTS:
        tried, most = step.faults, step.options.over(command.options).retries or 0
    else:
        tried, most = step.disturbances, _tries_again(failure)
    if tried >= most:
        return None
    if failure.kind is FailureClass.LOST and not tried:
        return 0
    full = min(BACKOFF_FIRST_MS << min(tried, 16), BACKOFF_MAX_MS)
    share = crc32(f"{uid}/{step.index}/{step.attempt}".encode()) / 2**32
    return int(full * (1 + share) / 2)


def _tries_again(failure: Failure) -> int:
    """Return how often Gaia itself tries again after a failure."""
    if failure.kind is FailureClass.IMAGE and failure.is_passing:
        return PASSING_IMAGE_MAX
    return DISTURBANCES_MAX.get(failure.kind, 0)
