"""The way to the workers: effects become inbox records, and what became of each record is remembered.

An attempt's entry in `sent` is the offset of its latest order, None while the delivery is open; it is missing when the
delivery failed or an earlier leader ordered it. Heartbeats are judged by that.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from gaia_core.machine.effects import Effect, SendCancels, SendDispatches, SendDrain
from gaia_core.machine.orders import Cancel, Drain, Inbox
from gaia_core.ports import CoordinatorBus
from gaia_core.scheduling.fleet import AttemptId, Fleet, Worker
from gaia_core.wire.dispatches import DispatchEncoder
from gaia_core.wire.frame import RECORD_BYTES_MAX
from gaia_core.wire.inbox import encode_entries, encode_inbox, encode_order
from gaia_core.workflow.model import Fence

ORDERS_PER_RECORD_MAX: Final = 500
"""A dispatch without large input lists takes 0.3 to 1 KiB; a record may hold 512 KiB."""

FRAMING_BYTES: Final = 6
"""What an order takes in a record beside its own bytes, at most."""

ORDERS_BYTES_FULL: Final = RECORD_BYTES_MAX - 1024
"""What the orders of one record may take together; the rest is for the worker's name and incarnation."""

ORDER_BYTES_MAX: Final = 960_000
"""Of one order alone: Kafka's client takes records below 1,000,000 bytes. Limits on requests keep orders far below."""


Ordered: TypeAlias = tuple[AttemptId | None, bytes]
"""An encoded order and the attempt that it is about; None for one about the worker itself."""


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
        self._encoder = DispatchEncoder(term)
        self._open: dict[str, deque[tuple[AttemptId, ...]]] = {}
        self.sent: dict[str, dict[AttemptId, int | None]] = {}

    def perform(self, effects: Iterable[Effect]) -> list[Unsent]:
        """Send what effects ask for: one record per worker, or several small ones; return what cannot be sent."""
        for name in self.sent.keys() - self._fleet.workers.keys():
            del self.sent[name]
        self._encoder.begin()
        unsent: list[Unsent] = []
        orders: dict[str, list[Ordered]] = {}
        for effect in effects:
            if isinstance(effect, SendDispatches | SendCancels):
                orders.setdefault(effect.worker, []).extend(self._orders(effect, unsent))
            elif isinstance(effect, SendDrain):
                orders.setdefault(effect.worker, []).append((None, encode_order(Drain())))
        for name, ordered in orders.items():
            worker = self._fleet.workers.get(name)
            if worker is not None:
                for record in _records(ordered):
                    self._send(worker, record)
        if orders:
            self._bus.flush()
        return unsent

    def dismiss(self, name: str, incarnation: str, partition: int, held: Iterable[Fence], reason: str) -> None:
        """Tell one life of a worker that is not wanted to end what it holds, and to leave."""
        cancels = [Cancel(fence._replace(term=self._term), reason) for fence in held]
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
                yield AttemptId(effect.uid, index, number), encode_order(Cancel(fence, effect.reason))
            return
        worker = self._fleet.workers.get(effect.worker)
        if worker is None:
            return
        for step in effect.steps:
            attempt = AttemptId(effect.workflow.uid, step.index, step.attempt)
            if worker.held.get(attempt) is False:
                try:
                    order = self._encoder.entry(effect.workflow, step)
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one Step, the others go on
                    unsent.append(Unsent(worker, attempt, repr(error)))
                    continue
                if len(order) > ORDER_BYTES_MAX:
                    unsent.append(Unsent(worker, attempt, f"it takes {len(order):,} bytes"))
                else:
                    yield attempt, order

    def _send(self, worker: Worker, ordered: list[Ordered]) -> None:
        """Send orders in one record."""
        orders = [order for _, order in ordered]
        attempts = tuple(attempt for attempt, _ in ordered if attempt is not None)
        self.sent.setdefault(worker.name, {}).update(dict.fromkeys(attempts))
        self._open.setdefault(worker.name, deque()).append(attempts)
        record = encode_entries(worker.name, worker.incarnation, self._term, orders)
        self._bus.send(worker.name, worker.partition, record)


def _records(ordered: Iterable[Ordered]) -> Iterator[list[Ordered]]:
    """Yield orders in groups that fit into a record each; one that is larger than that goes alone."""
    group: list[Ordered] = []
    size_bytes = 0
    for one in ordered:
        order_bytes = len(one[1]) + FRAMING_BYTES
        is_full = len(group) == ORDERS_PER_RECORD_MAX or size_bytes + order_bytes > ORDERS_BYTES_FULL
        if group and is_full:
            yield group
            group, size_bytes = [], 0
        group.append(one)
        size_bytes += order_bytes
    if group:
        yield group
