"""Inbox records: what the coordinator tells one worker, as bytes and back.

Called by the coordinator (encode) and by workers (decode). `parse_inbox` and `order_from_proto` are the two halves of
decoding, for a worker that wants to look at an order before it pays for the whole Execution.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from gaia.v1 import worker_pb2
from gaia_core.errors import RequestError
from gaia_core.machine.orders import Cancel, Dispatch, Drain, Inbox, Order
from gaia_core.wire.fields import embedded
from gaia_core.wire.files import fence_from_proto, fence_to_proto, publication_to_proto, publications_from_proto
from gaia_core.wire.model import resources_from_proto, resources_to_proto
from gaia_core.workflow.model import Execution, Input, Output


def encode_inbox(inbox: Inbox) -> bytes:
    """Encode one inbox record."""
    return encode_entries(inbox.worker, inbox.incarnation, inbox.term, map(encode_order, inbox.orders))


def encode_entries(worker: str, incarnation: str, term: int, entries: Iterable[bytes]) -> bytes:
    """Return one inbox record of entries that are encoded already."""
    record = worker_pb2.InboxRecord(worker=worker, incarnation=incarnation, term=term)
    number = worker_pb2.InboxRecord.ENTRIES_FIELD_NUMBER
    return record.SerializeToString() + b"".join(embedded(number, entry) for entry in entries)


def encode_order(order: Order) -> bytes:
    """Return an order as an entry of a record."""
    return order_to_proto(order).SerializeToString()


def decode_inbox(data: bytes) -> Inbox:
    """Decode one inbox record; orders of a kind that this version does not know are left out.

    Raises:
        RequestError: the bytes are no inbox record.
    """
    record = parse_inbox(data)
    orders = (order_from_proto(entry) for entry in record.entries)
    return Inbox(record.worker, record.incarnation, record.term, tuple(order for order in orders if order is not None))


def parse_inbox(data: bytes) -> worker_pb2.InboxRecord:
    """Return the protobuf message of an inbox record.

    Raises:
        RequestError: the bytes are no inbox record.
    """
    try:
        record = worker_pb2.InboxRecord.FromString(data)
    except DecodeError as problem:
        raise RequestError(f"undecodable inbox record of {len(data)} bytes: {problem}") from problem
    if not record.worker:
        raise RequestError(f"inbox record of {len(data)} bytes names no worker")
    return record


def order_to_proto(order: Order) -> worker_pb2.InboxEntry:
    """Encode one order."""
    if isinstance(order, Dispatch):
        return worker_pb2.InboxEntry(dispatch=execution_to_proto(order.execution))
    if isinstance(order, Cancel):
        return worker_pb2.InboxEntry(cancel=worker_pb2.Cancel(fence=fence_to_proto(order.fence), reason=order.reason))
    return worker_pb2.InboxEntry(drain=worker_pb2.Drain(reason=order.reason))


def order_from_proto(entry: worker_pb2.InboxEntry) -> Order | None:
    """Decode one order; None for a kind that this version does not know."""
    match entry.WhichOneof("order"):
        case "dispatch":
            return Dispatch(execution_from_proto(entry.dispatch))
        case "cancel":
            return Cancel(fence_from_proto(entry.cancel.fence), entry.cancel.reason)
        case "drain":
            return Drain(entry.drain.reason)
    return None


def execution_to_proto(execution: Execution) -> worker_pb2.Dispatch:
    """Encode everything a worker needs for one attempt."""
    message = worker_pb2.Dispatch(
        fence=fence_to_proto(execution.fence),
        workflow=execution.workflow,
        step_name=execution.step,
        command_name=execution.command,
        image=execution.image,
        argv=execution.argv,
        inputs=[_input_to_proto(item) for item in execution.inputs],
        outputs=[worker_pb2.Output(name=item.name, key=item.key, path=item.path) for item in execution.outputs],
        stdout=execution.stdout,
        timeout_s=execution.timeout_s,
        network=execution.network,
        env=execution.env,
        workdir=execution.workdir,
        entrypoint=execution.entrypoint,
        resources=resources_to_proto(execution.resources),
        keep=execution.keep,
        inputs_by_rpc=execution.inputs_by_rpc,
        reuse=execution.reuse,
    )
    if execution.secrets:  # an empty map costs as much as three other fields
        message.secrets.update(execution.secrets)
    if execution.keeps_entrypoint:
        message.keep_entrypoint = True
    return message


def execution_from_proto(message: worker_pb2.Dispatch) -> Execution:
    """Decode everything a worker needs for one attempt."""
    return Execution(
        fence=fence_from_proto(message.fence),
        workflow=message.workflow,
        step=message.step_name,
        command=message.command_name,
        image=message.image,
        argv=tuple(message.argv),
        inputs=tuple(_input_from_proto(item) for item in message.inputs),
        outputs=tuple(Output(item.name, item.key, item.path) for item in message.outputs),
        stdout=message.stdout,
        timeout_s=message.timeout_s,
        network=message.network,
        env=dict(message.env),
        workdir=message.workdir,
        entrypoint=tuple(message.entrypoint),
        resources=resources_from_proto(message.resources),
        keep=message.keep,
        inputs_by_rpc=message.inputs_by_rpc,
        secrets=dict(message.secrets),
        keeps_entrypoint=message.keep_entrypoint,
        reuse=message.reuse,
    )


def _input_to_proto(item: Input) -> worker_pb2.Input:
    sources = [publication_to_proto(source) for source in item.sources]
    return worker_pb2.Input(name=item.name, key=item.key, path=item.path, sources=sources)


def _input_from_proto(message: worker_pb2.Input) -> Input:
    return Input(message.name, message.key, message.path, publications_from_proto(message.sources))
