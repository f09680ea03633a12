"""What waits for the loop: requests with the futures of their answers, and reports. Bounded; thread-safe."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from gaia_core.errors import Overloaded, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.requests import Request
from gaia_core.ports import ReportBatch
from gaia_core.workflow.elements import count_elements
from gaia_core.workflow.model import StepSpec

REQUESTS_WAITING_MAX: Final = 4_096
"""More than clients have in flight that wait for their answers. Large requests are counted by their bytes before they
come here (`gaia_core.service.reception`); so many small ones have less than 256 MiB."""

REPORT_BATCHES_WAITING_MAX: Final = 16
"""Each holds up to a few thousand records; beyond that the bus is made to wait."""

REPORT_BYTES_AT_ONCE: Final = 64 * 1024
"""Of reports in one batch: some two thousand ends of Steps, a twentieth of a second. More would gain little, and keep
waiting what comes meanwhile."""

REPORT_BYTES_BESIDE_REQUESTS: Final = 16 * 1024
"""The same while somebody waits for an answer."""

STEPS_BESIDE_OTHERS_MAX: Final = 1_000
"""A request with more Steps is a batch of its own, so that what came before it need not wait for it."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request and where its answer goes.

    Attributes:
        is_large: it is a batch of its own.
    """

    request: Request
    answer: "Future[Any]" = field(default_factory=Future)
    is_large: bool = False


@dataclass(slots=True)
class Batch:
    """What was waiting when the loop came by."""

    submissions: list[Submission] = field(default_factory=list)
    reports: list[ReportBatch] = field(default_factory=list)


class Intake:
    """The one queue in front of the loop."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._submissions: deque[Submission] = deque()
        self._reports: deque[ReportBatch] = deque()
        self._failure: Exception | None = None
        self._closed = False
        self._woken = False

    def submit(self, request: Request) -> "Future[Any]":
        """Queue a request; its answer or refusal comes through the future.

        Raises:
            Overloaded: too many requests wait already.
            Unavailable: the loop has ended.
        """
        submission = Submission(request, is_large=_is_large(request))
        with self._changed:
            if self._closed:
                raise Unavailable("The coordinator is shutting down.")
            if len(self._submissions) >= REQUESTS_WAITING_MAX:
                words = f"The server has too much to do: {REQUESTS_WAITING_MAX:,} requests wait already."
                raise Overloaded(words, hint="ask again in a moment")
            self._submissions.append(submission)
            self._changed.notify_all()
        return submission.answer

    def put_reports(self, batch: ReportBatch) -> None:
        """Queue reports, waiting while too many batches wait already."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._reports) < REPORT_BATCHES_WAITING_MAX or self._closed)
            self._reports.append(batch)
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """Return how many requests wait."""
        return len(self._submissions)

    def fail(self, error: Exception) -> None:
        """Make the next drain raise: the reports cannot be read any more."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def wake(self) -> None:
        """Make a waiting drain return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> Batch:
        """Return what waits, waiting at most timeout_s for the first: all of it, unless it is much.

        Raises:
            Exception: what `fail` was told.
        """
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            if self._failure is not None:
                raise self._failure
            self._woken = False
            submissions = self._take_submissions()
            batch = Batch(submissions, self._take_reports(bool(submissions)))
            self._changed.notify_all()
        return batch

    def _take_submissions(self) -> list[Submission]:
        """Take all up to the next large one, or that alone where it is the first."""
        taken: list[Submission] = []
        while self._submissions and not (taken and (taken[-1].is_large or self._submissions[0].is_large)):
            taken.append(self._submissions.popleft())
        return taken

    def _take_reports(self, somebody_waits: bool) -> list[ReportBatch]:
        """Take as many reports as one batch is to have."""
        left_bytes = REPORT_BYTES_BESIDE_REQUESTS if somebody_waits else REPORT_BYTES_AT_ONCE
        taken: list[ReportBatch] = []
        while self._reports and left_bytes > 0:
            batch = self._reports.popleft()
            count = 0
            while count < len(batch.records) and left_bytes > 0:
                left_bytes -= len(batch.records[count])
                count += 1
            left = batch.records[count:]
            if left:
                self._reports.appendleft(ReportBatch(left, batch.next_offset))
            taken.append(ReportBatch(batch.records[:count], batch.next_offset - len(left)))
        return taken

    def close(self) -> list[Submission]:
        """Take nothing more; return the submissions that nobody will answer."""
        with self._changed:
            self._closed = True
            left = list(self._submissions)
            self._submissions.clear()
            self._changed.notify_all()
        return left

    def _has_news(self) -> bool:
        return bool(self._submissions or self._reports or self._failure or self._woken or self._closed)


def _is_large(request: Request) -> bool:
    """Tell whether a request is about very many Steps."""
    if isinstance(request, rq.Upload | rq.Merge):
        specs: Sequence[StepSpec] = request.steps
    elif isinstance(request, rq.CheckUpload | rq.CheckSteps):
        specs = request.steps.items
    else:
        return False
    return len(specs) > STEPS_BESIDE_OTHERS_MAX or sum(map(count_elements, specs)) > STEPS_BESIDE_OTHERS_MAX
