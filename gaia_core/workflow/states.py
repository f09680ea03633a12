"""The states of Steps and workflows, and the one rule that derives the latter from counts."""

from collections.abc import Sequence
from enum import IntEnum, StrEnum


class StepState(IntEnum):
    """Where a Step stands; also its place in `WorkflowState.counts`."""

    WAITING = 0
    """Some input is not there."""
    READY = 1
    """Every input is there; a worker has yet to be found."""
    RUNNING = 2
    """An attempt was dispatched and its end is not known."""
    RETRYING = 3
    """An attempt failed and the next waits for its backoff."""
    COMPLETE = 4
    FAILED = 5

    @property
    def word(self) -> str:
        """Return the state as users read it."""
        return self.name.lower()


class FlowState(StrEnum):
    """How a workflow stands as a whole."""

    HALTED = "halted"
    INITIALIZED = "initialized"
    RUNNING = "running"
    ERROR = "error"
    COMPLETE = "complete"


ALLOWED: dict[StepState, frozenset[StepState]] = {
    StepState.WAITING: frozenset({StepState.WAITING, StepState.READY}),
    StepState.READY: frozenset({StepState.WAITING, StepState.READY, StepState.RUNNING, StepState.FAILED}),
    StepState.RUNNING: frozenset(
        {StepState.WAITING, StepState.READY, StepState.RETRYING, StepState.COMPLETE, StepState.FAILED}
    ),
    StepState.RETRYING: frozenset({StepState.WAITING, StepState.READY}),
    StepState.COMPLETE: frozenset({StepState.WAITING, StepState.READY}),
    StepState.FAILED: frozenset({StepState.WAITING, StepState.READY}),
}
"""Which state may follow which: only a dispatch makes RUNNING, only a running attempt completes, and a Step fails by
its attempt or, where its time in the queue is limited, for want of a worker."""


def flow_state(halted: bool, counts: Sequence[int], stops_on_error: bool = False) -> tuple[FlowState, bool]:
    """Return (state, stalled) of a workflow: the first rule that holds, by the number of Steps in each state.

    Args:
        halted: it was halted.
        counts: number of Steps by StepState.
        stops_on_error: nothing new starts once a Step has failed, so ready Steps no longer make it running.
    """
    if halted:
        return FlowState.HALTED, False
    if not any(counts):
        return FlowState.INITIALIZED, False
    if counts[StepState.RUNNING]:
        return FlowState.RUNNING, False
    if stops_on_error and counts[StepState.FAILED]:
        return FlowState.ERROR, False
    if counts[StepState.READY] or counts[StepState.RETRYING]:
        return FlowState.RUNNING, False
    if counts[StepState.FAILED]:
        return FlowState.ERROR, False
    if counts[StepState.WAITING]:
        return FlowState.RUNNING, True
    return FlowState.COMPLETE, False
