"""What the sandbox wants of whoever holds a program to its limits: a few constants and one protocol.

`sandbox_cgroups` leaves it to the kernel, `sandbox_polling` looks for itself where the kernel is not ours to ask.
"""

from typing import Final, Protocol

PIDS_MAX: Final = 4096
"""Processes of one program: many for a program, few for a fork bomb. The same as in a container."""

POLL_S: Final = 0.1
"""How long a cancel or the end of the time may wait to be noticed while the program is silent."""


class Limits(Protocol):
    """Holds one program, with all that it starts, to its limits."""

    pause_s: float
    """How often `exceeded` wants to be asked."""

    def begin(self, pid: int) -> None:
        """Hold a process, which has not started the program yet.

        Raises:
            OSError: that cannot be done.
        """

    def exceeded(self) -> bool:
        """Tell whether the program must be killed now because it went over a limit."""

    def out_of_memory(self) -> bool:
        """Tell, once the program has ended, whether something of it was killed for want of memory."""

    def end(self) -> None:
        """Let go, and leave nothing behind."""
