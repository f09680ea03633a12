"""What readers are told of a workflow: plain values made from its state, of bounded size and cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gaia_core.workflow.model import Command, Failure
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

INPUTS_SHOWN_MAX: Final = 1_000
FAILED_SHOWN_MAX: Final = 100
PAGE_STEPS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list of workflows.

    Attributes:
        archived: it has left memory; whatever needs more than this line takes longer.
    """

    name: str
    owner: str
    state: str
    properties: Mapping[str, Any]
    steps: Mapping[str, int]
    created_ms: int
    updated_ms: int
    revision: int
    archived: bool = False


@dataclass(frozen=True, slots=True)
class FailedStep:
    """A Step that failed, where, and why."""

    step: str
    attempt: int
    worker: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class StepView:
    """One Step in full."""

    name: str
    command: str
    state: str
    attempt: int
    worker: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    missing: int
    image_digest: str


@dataclass(frozen=True, slots=True)
class Status:
    """How a workflow stands.

    Attributes:
        steps: number of Steps by state.
        waiting_inputs: Keys that are read and not there, those that no Step will produce first; at most 1,000.
        missing_inputs: only those that no Step will produce; at most 1,000.
        failed: at most 100.
        remarks: what keeps ready Steps from running and will not pass by itself; of the deployment, not of these.
    """

    state: str
    stalled: bool
    commands: tuple[Command, ...]
    steps: Mapping[str, int]
    waiting_inputs: tuple[str, ...]
    waiting_inputs_count: int
    missing_inputs: tuple[str, ...]
    failed: tuple[FailedStep, ...]
    revision: int
    remarks: tuple[str, ...] = ()


def counts(workflow: WorkflowState) -> dict[str, int]:
    """Return the number of Steps by the word of their state."""
    return {state.word: workflow.counts[state] for state in StepState}


def summary(workflow: WorkflowState) -> Summary:
    """Return the line that the list of workflows shows."""
    return Summary(
        workflow.name,
        workflow.owner,
        workflow.flow_state[0].value,
        workflow.properties,
        counts(workflow),
        workflow.created_ms,
        workflow.updated_ms,
        workflow.revision,
    )


def status(workflow: WorkflowState) -> Status:
    """Return how a workflow stands; cost does not grow with its Steps."""
    state, stalled = workflow.flow_state
    missing = tuple(key.name for key in islice(workflow.graph.missing, INPUTS_SHOWN_MAX))
    awaited = (key.name for key in islice(workflow.graph.awaited, INPUTS_SHOWN_MAX - len(missing)))
    return Status(
        state.value,
        stalled,
        tuple(workflow.commands.values()),
        counts(workflow),
        (*missing, *awaited),
        len(workflow.graph.missing) + len(workflow.graph.awaited),
        missing,
        tuple(
            FailedStep(step.name, step.attempt, step.worker, step.failure)
            for step in islice(workflow.members[StepState.FAILED] or (), FAILED_SHOWN_MAX)
            if step.failure is not None
        ),
        workflow.revision,
    )


def step_views(steps: Iterable[Step]) -> list[StepView]:
    """Return Steps in full."""
    return [
        StepView(
            step.name,
            step.command,
            step.state.word,
            step.attempt,
            step.worker,
            dict(zip(step.input_names, (key.name for key in step.inputs), strict=True)),
            dict(zip(step.output_names, (key.name for key in step.outputs), strict=True)),
            step.missing if step.state is StepState.WAITING else 0,
            step.image_digest,
        )
        for step in steps
    ]
