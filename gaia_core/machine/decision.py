"""One decision in the making: events are applied as they are decided, and what is to be done about them is gathered."""

from collections.abc import Iterable

from gaia_core.machine.effects import Effect, SendCancels
from gaia_core.machine.events import Event
from gaia_core.machine.state import Deployment
from gaia_core.workflow.events import StepsReset
from gaia_core.workflow.state import Consequences, Step, WorkflowState


class Decision:
    """The events and effects of one input (or of one batch), with the state they lead to.

    A handler refuses before it emits its first event, so that a refusal changes nothing.
    """

    __slots__ = ("effects", "events", "state")

    def __init__(self, state: Deployment) -> None:
        self.state = state
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def emit(self, event: Event) -> Consequences:
        """Apply an event and keep it for the journal; attempts that it stops will be told so."""
        followed = self.state.apply(event)
        self.events.append(event)
        if followed.stopped:
            self._cancel(event.uid, followed, getattr(event, "reason", "halted"))  # type: ignore[union-attr]
        return followed

    def reset(self, workflow: WorkflowState, steps: Iterable[Step], reason: str) -> list[Step]:
        """Make Steps run again; return those, by index."""
        ordered = sorted(steps, key=lambda step: step.index)
        if ordered:
            self.emit(StepsReset(workflow.uid, tuple(step.index for step in ordered), reason))
        return ordered

    def _cancel(self, uid: int, followed: Consequences, reason: str) -> None:
        by_worker: dict[str, list[tuple[int, int]]] = {}
        for step, attempt, worker in followed.stopped:
            by_worker.setdefault(worker, []).append((step.index, attempt))
        self.effects += [SendCancels(worker, uid, tuple(ends), reason) for worker, ends in by_worker.items()]
