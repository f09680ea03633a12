"""One decision in the making: events are applied as they are decided, and what is to be done about them is gathered."""

from gaia_core.machine.effects import Effect, SendCancels
from gaia_core.machine.events import Event, stop_reason
from gaia_core.machine.state import Deployment
from gaia_core.workflow.cascade import Cascade
from gaia_core.workflow.events import StepsReset
from gaia_core.workflow.state import Consequences, Step, WorkflowState
from gaia_core.workflow.validate import ANY, Rules


class Decision:
    """The events and effects of one input (or of one batch), with the state they lead to.

    A handler refuses before it emits its first event, so that a refusal changes nothing.

    Attributes:
        rules: what the deployment allows; settings, asked when requests are checked.
    """

    __slots__ = ("effects", "events", "rules", "state")

    def __init__(self, state: Deployment, rules: Rules = ANY) -> None:
        self.state = state
        self.rules = rules
        self.events: list[Event] = []
        self.effects: list[Effect] = []

    def emit(self, event: Event) -> Consequences:
        """Apply an event and keep it for the journal; attempts that it stops will be told so."""
        followed = self.state.apply(event)
        self.events.append(event)
        if followed.stopped:
            self._cancel(event.uid, followed, stop_reason(event))  # type: ignore[union-attr]
        return followed

    def reset(self, workflow: WorkflowState, cascade: Cascade, reason: str) -> list[Step]:
        """Make the Steps of a cascade run again; return those, by index.

        Args:
            workflow: where they are.
            cascade: the Steps, each with its cause.
            reason: of those that have one of their own.
        """
        ordered = sorted(cascade, key=lambda step: step.index)
        if ordered:
            causes = [cascade[step].upstream for step in ordered]
            upstream = tuple(step.index if step is not None else None for step in causes) if any(causes) else ()
            self.emit(StepsReset(workflow.uid, tuple(step.index for step in ordered), reason, upstream))
        return ordered

    def _cancel(self, uid: int, followed: Consequences, reason: str) -> None:
        by_worker: dict[str, list[tuple[int, int]]] = {}
        for step, attempt, worker in followed.stopped:
            by_worker.setdefault(worker, []).append((step.index, attempt))
        self.effects += [SendCancels(worker, uid, tuple(ends), reason) for worker, ends in by_worker.items()]
