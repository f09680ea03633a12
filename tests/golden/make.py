"""Writes the golden files of this version: python -m tests.golden.make."""

from gaia_core.coordinator.entries import EntryReader
from gaia_core.machine.public import Announcer
from gaia_core.version import VERSION
from gaia_core.wire.snapshot import encode_snapshot
from tests.golden.files import FOLDER, go_on, save_journal, text_of
from tests.golden.run import MIDDLE, snapshot_of, write


def main() -> None:
    """Write journal, snapshot and text."""
    log = write()
    save_journal(FOLDER / f"{VERSION}.journal", log)
    (FOLDER / f"{VERSION}.snapshot").write_bytes(b"".join(encode_snapshot(snapshot_of(log, MIDDLE))))
    announcer = Announcer()
    told = go_on(announcer, EntryReader(), log, 0)
    (FOLDER / f"{VERSION}.txt").write_text(text_of(announcer, told))


if __name__ == "__main__":
    main()
