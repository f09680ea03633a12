"""What a worker is told of an attempt, as it reads it."""

from gaia_core.machine.orders import Dispatch
from gaia_core.wire.dispatches import DispatchEncoder
from gaia_core.wire.inbox import decode_inbox, encode_entries
from gaia_core.workflow.model import Execution
from gaia_core.workflow.state import Step, WorkflowState


def execution_of(workflow: WorkflowState, step: Step, term: int) -> Execution:
    """Return what the order of a Step's latest attempt says once it is read."""
    record = encode_entries("w", "i", term, [DispatchEncoder(term).entry(workflow, step)])
    (order,) = decode_inbox(record).orders
    assert isinstance(order, Dispatch)
    return order.execution
