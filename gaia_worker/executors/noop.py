"""The executor that runs nothing: every attempt completes at once without outputs. For benchmarks and tests."""

import threading
from collections.abc import Mapping

from gaia_worker.executors.base import Exit, Exited, Sink, Task


class NoopExecutor:
    """Completes every attempt at once; the agent answers for it without a thread."""

    name = "noop"
    instant = True

    def describe(self) -> str:
        """Return one line for logs."""
        return "noop: Steps complete at once; no program is run and nothing is written"

    def trouble(self) -> str:
        """Find nothing wrong."""
        return ""

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:  # noqa: ARG002 - a protocol's method
        """Pretend that the program ended well."""
        return Exited(0)

    def cleanup(self, labels: Mapping[str, str]) -> int:  # noqa: ARG002 - a protocol's method
        """Find nothing to clean up."""
        return 0

    def close(self) -> None:
        """Hold nothing to release."""
