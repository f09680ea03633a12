"""The process that takes snapshots beside a server, from both sides: how it is started, and what it does.

`python -m gaia_core.snapshot_process BACKING BELOW`, with the server's settings as a line of JSON on its standard
input. It only reads the journal, needs no lock, gives way to others, and ends with the server, at the latest. A
composition root.
"""

import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

from gaia_core import logs
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.config import Config, load
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.taking import Taken, take
from gaia_core.errors import GaiaError, Unavailable
from gaia_core.ports import Journal, Store

EMBEDDED: Final = "embedded"
CLUSTER: Final = "cluster"

NICENESS: Final = 10
"""It may take its time; whoever runs beside it should not notice."""


class SnapshotProcess:
    """Takes snapshots for one leader.

    Args:
        backing: EMBEDDED or CLUSTER.
        config: of the server.
    """

    def __init__(self, backing: str, config: Config) -> None:
        self._backing = backing
        self._settings = json.dumps(_document(config)).encode()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def take(self, below: int) -> Taken:
        """Take one below a journal offset, and wait for it.

        Raises:
            Unavailable: none was taken.
        """
        process = self._start(below)
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(self._settings + b"\n")
                process.stdin.flush()
            said = process.stdout.read()  # its input stays open meanwhile: it ends when that is closed
            with suppress(BrokenPipeError):
                process.stdin.close()
        if process.returncode or not said:
            raise Unavailable(f"The process that takes snapshots ended with {process.returncode}.")
        answer = json.loads(said)
        if "error" in answer:
            raise Unavailable(answer["error"])
        return Taken(**answer)

    def stop(self) -> None:
        """End it, and let it take no more; from any thread."""
        with self._lock:
            self._stopping = True
            if self._process is not None:
                self._process.terminate()

    def _start(self, below: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", __name__, self._backing, str(below)]
        with self._lock:
            if self._stopping:
                raise Unavailable("The server is shutting down.")
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            return self._process


@contextmanager
def _opened(backing: str, config: Config) -> Iterator[tuple[Journal, Snapshots]]:
    """Open what the server has open, to read the journal and to write a snapshot."""
    from gaia_core import app  # noqa: PLC0415 - which imports this module

    if backing == EMBEDDED:
        journal: Journal = SqliteJournal(app.embedded_journal(config))
        store: Store = app.embedded_store(config)
    else:
        journal = KafkaJournal(app.kafka_settings(config))
        store = app.s3_store(config)
    with closing(journal):
        yield journal, app.snapshots_in(store, config if backing == CLUSTER else None)


def main() -> None:
    """Take one, and tell what there is then in JSON."""
    backing, below = sys.argv[1], int(sys.argv[2])
    os.nice(NICENESS)
    gc.disable()  # what it makes it needs until its end
    logs.configure()
    config = load({}, {}, json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    try:
        with _opened(backing, config) as (journal, snapshots):
            answer: dict[str, Any] = take(journal, snapshots, below)._asdict()
    except GaiaError as error:
        answer = {"error": error.message}
    sys.stdout.write(json.dumps(answer))


def _end_with_the_server() -> None:
    """End when the server does: nobody would cut the journal, and the next one takes its own."""
    while os.read(0, 1):  # not through sys.stdin, whose lock this thread would hold when the process ends
        pass
    os._exit(1)


def _document(config: Config) -> dict[str, Any]:
    """Return settings as a file would give them, those left out that are as they are by default."""
    default = asdict(Config())
    given = {name: value for name, value in asdict(config).items() if value != default[name]}
    return {
        name: value if isinstance(value, dict) else list(value) if isinstance(value, tuple) else str(value)
        for name, value in given.items()
    }


if __name__ == "__main__":
    main()
