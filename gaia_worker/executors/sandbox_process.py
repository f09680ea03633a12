"""One run of bubblewrap: how it is told what to do, what it tells, and how it is ended.

bubblewrap gets an environment of its own and reads what the program shall get from a file without a name: the
program's variables must not act on bubblewrap itself, which runs outside the sandbox (LD_PRELOAD), nor be seen in the
list of processes. It waits before it starts the program, so that limits can be set.

Source: bwrap(1); its child is the first process of the sandbox, whose end is that of all others in it.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from gaia_worker.executors.sandbox_guard import VARIABLE
from gaia_worker.executors.sandbox_limits import POLL_S
from gaia_worker.executors.sandbox_polling import children
from gaia_worker.executors.sandbox_seccomp import seccomp_filter

START_S: Final = 30.0
"""Making the namespaces takes milliseconds; who takes so long is stuck."""

END_S: Final = 10.0
STATUS_BYTES: Final = 64 * 1024
UMASK: Final = 0o022
"""As in a container, whatever the worker's own is."""

OOM_SCORE: Final = b"500"
"""Where the whole machine runs out of memory, programs should go before the worker and what else runs there."""

ISOLATION: Final = (
    *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
    *("--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"),
)


class Bubblewrap:
    """A sandbox that is being made and then runs a program. A context manager; in the end nothing of it is left."""

    def __init__(
        self, program: Path, mark: str, arguments: Sequence[str], argv: Sequence[str], *, network: bool
    ) -> None:
        """Start making a sandbox.

        Args:
            program: path of bwrap.
            mark: by which the sandbox is found if this process is killed.
            arguments: of bwrap, what the program shall see and get.
            argv: the program.
            network: leave it the host's network.

        Raises:
            OSError, ValueError: bwrap cannot be started like that.
        """
        self._said = b""
        self.child: int | None = None
        self.exit_code: int | None = None
        with ExitStack() as stack:
            given, blocker, status = _file_with(_lines(arguments)), os.pipe(), os.pipe()
            for descriptor in (given, blocker[0], status[1]):
                stack.callback(os.close, descriptor)
            options = ["--args", str(given), "--block-fd", str(blocker[0]), "--json-status-fd", str(status[1])]
            passed = [given, blocker[0], status[1]]
            if (rules := seccomp_filter()) is not None:
                passed.append(_file_with(rules))
                stack.callback(os.close, passed[-1])
                options += ["--seccomp", str(passed[-1])]
            if network:
                options.append("--share-net")
            # In the list of processes, for the guard to see, but not among the program's variables.
            marked = ["--setenv", VARIABLE, mark, "--unsetenv", VARIABLE]
            self._status, self._blocker = status[0], blocker[1]
            self._left = ExitStack()
            self._left.callback(os.close, self._status)
            with ExitStack() as failing:
                failing.callback(os.close, self._blocker)
                failing.push(self._left)
                self.process = subprocess.Popen(  # noqa: S603 - running what users ask for is what an executor is for
                    [str(program), *ISOLATION, *marked, *options, "--", *argv],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env={},
                    cwd="/",
                    umask=UMASK,
                    pass_fds=passed,
                    start_new_session=True,  # Ctrl-C in the terminal is for the worker, which lets programs finish
                )
                failing.pop_all()

    def __enter__(self) -> "Bubblewrap":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._release()
        self.wait(END_S)
        self.process.kill()  # of no effect unless it hangs
        self.process.__exit__(None, None, None)
        self._left.close()

    def wait_ready(self) -> bool:
        """Wait until the sandbox's first process is there, blocked; tell whether it is. Otherwise bwrap has ended."""
        deadline = time.monotonic() + START_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            while self.child is None and time.monotonic() < deadline:
                if selector.select(POLL_S) and not self.read_status():
                    break
        return self.child is not None

    def start(self) -> None:
        """Let the program start."""
        with suppress(OSError):
            Path(f"/proc/{self.child}/oom_score_adj").write_bytes(OOM_SCORE)
        os.write(self._blocker, b"\n")
        self._release()

    def ask_to_end(self) -> bool:
        """Send SIGTERM to the program itself; bwrap would die of it without passing it on."""
        self.read_status()
        programs = children(self.child, self.child) if self.child is not None else []
        for program in programs:
            with suppress(ProcessLookupError):
                os.kill(program, signal.SIGTERM)
        return bool(programs)

    def kill(self) -> None:
        """Kill the sandbox with all that is in it; bwrap, its parent, then ends by itself."""
        if self.process.poll() is not None:
            return
        if self.child is None:
            self.process.kill()
        else:
            with suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of bwrap; tell whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        return self.process.poll() is not None

    def read_status(self) -> bool:
        """Take in what bwrap has said of the program, its pid and its exit code; return False if it says no more."""
        os.set_blocking(self._status, False)
        try:
            data = os.read(self._status, STATUS_BYTES)
        except BlockingIOError:
            return True
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            self.child = said.get("child-pid", self.child)
            self.exit_code = said.get("exit-code", self.exit_code)
        return bool(data)

    def _release(self) -> None:
        blocker, self._blocker = self._blocker, -1
        if blocker >= 0:
            os.close(blocker)


def _lines(arguments: Sequence[str]) -> bytes:
    """Return arguments as `--args` reads them.

    Raises:
        ValueError: one has a null byte in it, which would make two of it.
    """
    if any("\0" in argument for argument in arguments):
        raise ValueError("embedded null byte")
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)


def _file_with(data: bytes) -> int:
    """Return the descriptor of a file without a name, to be read from its beginning."""
    descriptor = os.memfd_create("gaia-sandbox")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
