"""In which terms the attempts that workers hold can have been ordered. Kept in memory, by one leader for its term."""

from gaia_core.scheduling.fleet import AttemptId, Fleet
from gaia_core.workflow.model import Fence


class OrderedTerms:
    """Tells a report's true term from any other.

    What was held at the start of a term was ordered in an earlier one, or is ordered again in this one; everything
    else was ordered in this one.
    """

    def __init__(self, term: int, fleet: Fleet) -> None:
        self._term = term
        self._inherited = {attempt for worker in fleet.workers.values() for attempt in worker.held}

    def hold(self, fence: Fence) -> bool:
        """Tell whether an attempt can have been ordered in the fence's term."""
        if fence.term == self._term:
            return True
        attempt = AttemptId(fence.workflow_uid, fence.step, fence.attempt)
        return 0 <= fence.term < self._term and attempt in self._inherited
