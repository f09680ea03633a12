"""What a program writes to stdout and stderr: into files, and the end of it kept for the report of a failure."""

from pathlib import Path
from typing import BinaryIO, Final

from gaia_worker.executors.base import STDERR, STDOUT, Sink
from gaia_worker.masking import NO_MASKS, Masking, Masks

TAIL_LINES_MAX: Final = 100
TAIL_BYTES_MAX: Final = 16 * 1024
"""Enough to see why a program failed, little enough to travel in a report."""


class LogTail:
    """The last lines of a stream, whatever its length."""

    def __init__(self) -> None:
        """Begin empty."""
        self._kept = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        """Append data, forgetting what is too old. Cost is O(data)."""
        self._kept += data[-TAIL_BYTES_MAX:]
        self._cut = self._cut or len(data) > TAIL_BYTES_MAX
        if len(self._kept) > 4 * TAIL_BYTES_MAX:
            del self._kept[:-TAIL_BYTES_MAX]
            self._cut = True

    def text(self) -> str:
        """Return the last lines; a line whose beginning was forgotten is left out unless it is all there is."""
        kept = bytes(self._kept[-TAIL_BYTES_MAX:])
        if self._cut or len(kept) < len(self._kept):
            kept = kept.partition(b"\n")[2] or kept
        return "\n".join(kept.decode("utf-8", "replace").split("\n")[-TAIL_LINES_MAX - 1 :])[-TAIL_BYTES_MAX:]


def _nowhere(_stream: int, _data: bytes) -> None:
    """Keep nothing."""


class Capture:
    """Where the output of one program goes. Used by one thread at a time; to be closed.

    Secrets are masked in all that people read: the log, the tail in a failure, `>` and `>>`. What a Command routes by
    `stdout` is data, and stays as it is.
    """

    def __init__(self, stdout: Path | None, both: Path | None, log: Sink = _nowhere, masks: Masks = NO_MASKS) -> None:
        """Open the files.

        Args:
            stdout: receives standard output alone.
            both: receives stdout and stderr together, as they came.
            log: receives both, each piece with its stream.
            masks: the values to keep out.
        """
        self._tail = LogTail()
        self._log = log
        self._masking = {STDOUT: Masking(masks), STDERR: Masking(masks)}
        self._stdout: BinaryIO | None = stdout.open("wb") if stdout is not None else None
        self._both: BinaryIO | None = both.open("wb") if both is not None else None

    def write(self, stream: int, data: bytes) -> None:
        """Take what the program wrote; a `gaia_worker.executors.base.Sink`."""
        if self._stdout is not None and stream == STDOUT:
            self._stdout.write(data)
            self._stdout.flush()
        self._show(stream, self._masking[stream].pass_on(data))

    def _show(self, stream: int, data: bytes) -> None:
        """Take what people may read."""
        if not data:
            return
        self._tail.add(data)
        self._log(stream, data)
        if self._both is not None:
            self._both.write(data)
            self._both.flush()  # whoever follows a log wants to see it while the program runs

    def tail(self) -> str:
        """Return the last lines the program wrote."""
        return self._tail.text()

    def close(self) -> None:
        """Finish the files; safe to call twice."""
        for stream, masking in self._masking.items():
            self._show(stream, masking.rest())
        for file in (self._stdout, self._both):
            if file is not None:
                file.close()


def frame(body: Path, header: list[str], footer: list[str], target: Path) -> None:
    """Write a log with a header and a footer around what a program wrote.

    Args:
        body: what it wrote; may be missing when it never ran.
        header: lines to put before it.
        footer: lines to put after it.
        target: file to make.
    """
    with target.open("wb") as out:
        out.write(_comment(header))
        last = b"\n"
        if body.exists():
            with body.open("rb") as source:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
                    last = chunk[-1:]
        out.write((b"" if last == b"\n" else b"\n") + _comment(footer))


def _comment(lines: list[str]) -> bytes:
    return "".join(f"# {line}\n" for text in lines for line in text.splitlines()).encode("utf-8", "replace")
