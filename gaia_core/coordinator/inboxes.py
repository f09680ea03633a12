"""The way to the workers: effects become inbox records, and what became of each record is remembered.

An attempt's entry in `sent` is the offset of its latest order, None while the delivery is open; it is missing when the
delivery failed or an earlier leader ordered it. Heartbeats are judged by that.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from gaia_core.machine.effects import Effect, SendCancels, SendDispatches, SendDrain
from gaia_core.machine.orders import Cancel, Dispatch, Drain, Inbox, Order
from gaia_core.ports import CoordinatorBus
from gaia_core.scheduling.fleet import AttemptId, Fleet, Worker
from gaia_core.wire.frame import RECORD_BYTES_MAX
from gaia_core.wire.inbox import encode_inbox
from gaia_core.workflow.execution import execution_of
from gaia_core.workflow.model import Fence

ORDERS_PER_RECORD_MAX: Final = 500
"""A dispatch without large input lists takes 0.3 to 1 KiB; a record may hold 512 KiB."""

ORDER_BYTES_MAX: Final = 960_000
"""Of one order alone: Kafka's client takes records below 1,000,000 bytes. Limits on requests keep orders far below."""


Ordered: TypeAlias = tuple[AttemptId | None, Order]
"""An order and the attempt that it is about; None for one about the worker itself."""


class Unsent(NamedTuple):
    """An attempt whose order cannot be made: sending it again would change nothing."""

    worker: Worker
    attempt: AttemptId
    cause: str


class Inboxes:
    """Sends orders for one term."""

    def __init__(self, bus: CoordinatorBus, fleet: Fleet, term: int) -> None:
        self._bus = bus
        self._fleet = fleet
        self._term = term
        self._open: dict[str, deque[tuple[AttemptId, ...]]] = {}
        self.sent: dict[str, dict[AttemptId, int | None]] = {}

    def perform(self, effects: Iterable[Effect]) -> list[Unsent]:
        """Send what effects ask for: one record per worker, or several small ones; return what cannot be sent."""
        for name in self.sent.keys() - self._fleet.workers.keys():
            del self.sent[name]
        unsent: list[Unsent] = []
        orders: dict[str, list[Ordered]] = {}
        for effect in effects:
            if isinstance(effect, SendDispatches | SendCancels):
                orders.setdefault(effect.worker, []).extend(self._orders(effect, unsent))
            elif isinstance(effect, SendDrain):
                orders.setdefault(effect.worker, []).append((None, Drain()))
        for name, ordered in orders.items():
            worker = self._fleet.workers.get(name)
            if worker is not None:
                for at in range(0, len(ordered), ORDERS_PER_RECORD_MAX):
                    self._send(worker, ordered[at : at + ORDERS_PER_RECORD_MAX], unsent)
        if orders:
            self._bus.flush()
        return unsent

    def dismiss(self, name: str, incarnation: str, partition: int, held: Iterable[Fence], reason: str) -> None:
        """Tell one life of a worker that is not wanted to end what it holds, and to leave."""
        cancels = [Cancel(replace(fence, term=self._term), reason) for fence in held]
        inbox = Inbox(name, incarnation, self._term, (*cancels[: ORDERS_PER_RECORD_MAX - 1], Drain(reason)))
        self._open.setdefault(name, deque()).append(())
        self._bus.send(name, partition, encode_inbox(inbox))
        self._bus.flush()

    def note_deliveries(self) -> None:
        """Take in what became of records sent before."""
        for delivery in self._bus.deliveries():
            waiting = self._open.get(delivery.worker)
            if waiting:
                sent = self.sent.get(delivery.worker, {})
                for attempt in waiting.popleft():
                    if delivery.offset is None:
                        sent.pop(attempt, None)
                    elif attempt in sent:
                        sent[attempt] = delivery.offset

    def prune(self, worker: Worker) -> None:
        """Forget attempts that a worker no longer holds."""
        sent = self.sent.get(worker.name, {})
        self.sent[worker.name] = {attempt: offset for attempt, offset in sent.items() if attempt in worker.held}

    def _orders(self, effect: SendDispatches | SendCancels, unsent: list[Unsent]) -> Iterator[Ordered]:
        """Yield the orders of an effect; dispatches only of attempts that the worker still is to run."""
        if isinstance(effect, SendCancels):
            for index, number in effect.attempts:
                fence = Fence(effect.uid, index, number, self._term)
                yield AttemptId(effect.uid, index, number), Cancel(fence, effect.reason)
            return
        worker = self._fleet.workers.get(effect.worker)
        if worker is None:
            return
        for step in effect.steps:
            attempt = AttemptId(effect.workflow.uid, step.index, step.attempt)
            if worker.held.get(attempt) is False:
                try:
                    execution = execution_of(effect.workflow, step, self._term)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one Step, the others go on
                    unsent.append(Unsent(worker, attempt, repr(error)))
                else:
                    yield attempt, Dispatch(execution)

    def _send(self, worker: Worker, ordered: list[Ordered], unsent: list[Unsent]) -> None:
        """Send orders in one record, or in halves where that cannot be."""
        inbox = Inbox(worker.name, worker.incarnation, self._term, tuple(order for _, order in ordered))
        record, cause = _encoded(inbox)
        if cause and len(ordered) > 1:
            middle = len(ordered) // 2
            self._send(worker, ordered[:middle], unsent)
            self._send(worker, ordered[middle:], unsent)
            return
        attempts = tuple(attempt for attempt, _ in ordered if attempt is not None)
        if cause and (not record or len(record) > ORDER_BYTES_MAX):
            unsent += [Unsent(worker, attempt, cause) for attempt in attempts]
            return
        self.sent.setdefault(worker.name, {}).update(dict.fromkeys(attempts))
        self._open.setdefault(worker.name, deque()).append(attempts)
        self._bus.send(worker.name, worker.partition, record)


def _encoded(inbox: Inbox) -> tuple[bytes, str]:
    """Return a record and what is wrong with it, "" for nothing."""
    try:
        record = encode_inbox(inbox)
    except Exception as error:  # noqa: BLE001 - text that is no text, a number out of range: it comes from one order
        return b"", repr(error)
    return record, f"it takes {len(record):,} bytes" if len(record) > RECORD_BYTES_MAX else ""
