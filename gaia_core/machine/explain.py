"""Why a Step waits, runs, ran or will run: read from the state, nothing is kept for it but a reason per Step."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gaia_core.errors import UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.checks import find
from gaia_core.machine.diff import UPSTREAM, Affected
from gaia_core.machine.state import Deployment
from gaia_core.machine.unplaced import unplaced
from gaia_core.scheduling.amounts import demand_of
from gaia_core.scheduling.ready import POOL_DEFAULT
from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.model import Failure
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

STEPS_EXPLAINED_MAX: Final = 100
CHAIN_MAX: Final = 100
KEYS_SHOWN_MAX: Final = 100
WRITERS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A Key that is read and not there.

    Attributes:
        writers: (Step, state) of those that write it or a part of it and are not complete; () if nobody will.
    """

    key: str
    writers: tuple[tuple[str, str], ...]
    writers_count: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that is known of why one Step is where it is.

    Attributes:
        summary: one sentence.
        reason: why it has to run or ran last.
        chain: with the reason "upstream", the Steps that made it run, the nearest first.
        failure: why an attempt failed since it last had to run.
        retry_at_ms: when a RETRYING Step is tried again, else None.
        image_digest: of the image that a COMPLETE Step ran; "" where there are no images.
    """

    step: str
    state: str
    summary: str
    attempt: int
    worker: str
    reason: str
    chain: tuple[Affected, ...]
    waits_for: tuple[WantedKey, ...]
    waits_for_count: int
    failure: Failure | None
    retry_at_ms: int | None
    image_digest: str


def explain(state: Deployment, request: rq.Explain) -> tuple[tuple[Explanation, ...], bool]:
    """Explain the Steps that a name stands for; tell whether there are more than are explained.

    Raises:
        UnknownName: no such workflow or Step.
    """
    workflow = find(state, request.workflow)
    steps = workflow.steps_named(request.step)
    if not steps:
        near = suggestion(request.step, workflow.by_name) or "."
        raise UnknownName(f"There is no Step {request.step!r} in {workflow.name!r}{near}")
    told = tuple(_explanation(state, workflow, step) for step in steps[:STEPS_EXPLAINED_MAX])
    return told, len(steps) > STEPS_EXPLAINED_MAX


def in_a_sentence(state: Deployment, workflow: WorkflowState, step: Step) -> str:
    """Return where a Step stands, in words that follow on its name."""
    return _explanation(state, workflow, step).summary


def _explanation(state: Deployment, workflow: WorkflowState, step: Step) -> Explanation:
    lacking = [key for key in step.inputs if not key.is_there] if step.state is StepState.WAITING else []
    wanted = tuple(_wanted(workflow.graph, key) for key in lacking[:KEYS_SHOWN_MAX])
    return Explanation(
        step.name,
        step.state.word,
        _summary(state, workflow, step, wanted),
        step.attempt,
        step.worker,
        step.reason,
        tuple(_chain(workflow, step)),
        wanted,
        len(lacking),
        step.failure,
        step.retry_at_ms if step.state is StepState.RETRYING else None,
        step.image_digest,
    )


def _chain(workflow: WorkflowState, step: Step) -> Iterator[Affected]:
    """Yield the Steps that made one run again, the nearest first, each with the reason for which it did."""
    seen = {step}
    while step.cause is not None and len(seen) <= CHAIN_MAX:
        cause = workflow.steps.get(step.cause)
        if cause is None or cause in seen:
            break
        yield Affected(step.name, UPSTREAM, cause.name, _key_between(cause, step))
        step = cause
        seen.add(step)
    if len(seen) > 1:
        yield Affected(step.name, step.reason)


def _key_between(writer: Step, reader: Step) -> str:
    """Return the Key by which one Step depends on another now, or "" where it no longer does."""
    read = dict.fromkeys(reader.inputs)
    found = (fed for key in writer.outputs for fed in (key, *key.feeds) if fed in read)
    return next((key.name for key in found), "")


def _wanted(graph: Graph, key: Key) -> WantedKey:
    """Return who will write a Key that is not there."""
    writers = [other.writer for other in graph.all_over(key.name) if other.writer is not None and not other.available]
    shown = tuple((step.name, step.state.word) for step in islice(writers, WRITERS_SHOWN_MAX))
    return WantedKey(key.name, shown, len(writers))


def _summary(state: Deployment, workflow: WorkflowState, step: Step, wanted: tuple[WantedKey, ...]) -> str:
    """Return one sentence on where the Step stands."""
    match step.state:
        case StepState.WAITING:
            return f"waits for {_keys_in_words(wanted)}"
        case StepState.READY:
            return _why_not_running(state, workflow, step)
        case StepState.RUNNING:
            return f"attempt {step.attempt} is with worker {step.worker!r}"
        case StepState.RETRYING:
            return f"attempt {step.attempt} failed ({_failure_in_words(step)}) and is followed by another"
        case StepState.COMPLETE:
            return f"attempt {step.attempt} completed on worker {step.worker!r}"
        case StepState.FAILED:
            return f"failed ({_failure_in_words(step)})"


def _failure_in_words(step: Step) -> str:
    return f"{step.failure.kind.name}: {step.failure.message}" if step.failure is not None else "no cause is known"


def _keys_in_words(wanted: tuple[WantedKey, ...]) -> str:
    """Name the Keys that nobody will write, or else those of failed Steps, or else those that Steps will."""
    orphans = [one.key for one in wanted if not one.writers]
    if orphans:
        return f"{_listed(orphans)}, which no Step writes"
    failed = [one for one in wanted if one.writers[0][1] == StepState.FAILED.word]
    told = failed or wanted
    writers = _listed([one.writers[0][0] for one in told])
    return f"{_listed([one.key for one in told])}, which {writers} {'failed to' if failed else 'will'} write"


def _listed(names: list[str]) -> str:
    several = list(dict.fromkeys(names))
    more = f" and {len(several) - 3} more" if len(several) > 3 else ""
    return ", ".join(several[:3]) + more


def _why_not_running(state: Deployment, workflow: WorkflowState, step: Step) -> str:
    """Tell what a ready Step waits for: leave to start, or a worker."""
    if workflow.halted:
        return "is ready; the workflow is halted"
    if workflow.holds:
        return "is ready; a Step failed, and on_error is stop"
    most = workflow.properties.get("max_parallel")
    if most is not None and workflow.counts[StepState.RUNNING] >= most:
        return f"is ready; max_parallel lets {most} run at a time"
    options = step.options.over(workflow.commands[step.command].options)
    pool, demand = options.pool or POOL_DEFAULT, demand_of(options.resources)
    return f"is ready; {unplaced(state, pool, step, demand).words}"
