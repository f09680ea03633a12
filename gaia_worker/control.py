"""The one switch of a running attempt: whether it must stop, and how its end is then reported."""

import threading

from gaia_core.machine.reports import Cancelled, Failed
from gaia_core.workflow.model import Failure, FailureClass, Fence
from gaia_worker.failing import AttemptFailed


class Control:
    """Tells one attempt to stop. Anyone may ask, from any thread; the first to ask decides what is reported.

    Attributes:
        stopped: set once it must stop.
        halted: set once its program must end, be it that the attempt must stop or that the program did too much.
        problem: what its program did, if that ended it.
        has_started: its program was started; for the attempt alone to say.
    """

    def __init__(self) -> None:
        """Begin with nobody having asked."""
        self.stopped = threading.Event()
        self.halted = threading.Event()
        self.problem: AttemptFailed | None = None
        self.has_started = False
        self._lost_because = ""

    def cancel(self) -> None:
        """Stop the attempt because the coordinator wants so."""
        self.stopped.set()
        self.halted.set()

    def abandon(self, reason: str) -> None:
        """Stop the attempt because the worker leaves; somebody else shall run it again."""
        if not self.stopped.is_set():
            self._lost_because = reason
            self.stopped.set()
            self.halted.set()

    def end_program(self, problem: AttemptFailed) -> None:
        """End the program, and let the attempt fail for this."""
        self.problem = problem
        self.halted.set()

    def end(self, fence: Fence) -> Cancelled | Failed:
        """Return the report of an attempt that was stopped."""
        if not self._lost_because:
            return Cancelled(fence)
        return lost(fence, self._lost_because, unstarted=not self.has_started)


def lost(fence: Fence, reason: str, *, unstarted: bool) -> Failed:
    """Return the report of an attempt that this worker gives back, to be run elsewhere."""
    return Failed(fence, Failure(FailureClass.LOST, reason), unstarted=unstarted)
