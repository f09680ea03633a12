"""What released versions wrote is read for ever, and means what it meant."""

from typing import get_args

import pytest

from gaia_core.backends.memory import MemoryJournal
from gaia_core.coordinator.entries import EntryReader, follow
from gaia_core.machine import events as own
from gaia_core.machine.public import Announcer
from gaia_core.version import VERSION
from gaia_core.wire.snapshot import digest, encode_snapshot
from gaia_core.workflow import invariants
from tests.golden.files import FOLDER, go_on, load_journal, load_snapshot, text_of
from tests.golden.run import MIDDLE, snapshot_of, write

VERSIONS = sorted(path.stem for path in FOLDER.glob("*.journal"))

NOT_IN_THE_RUN: frozenset[type] = frozenset()
"""Kinds of events that the run leaves out, each for a reason."""


def test_there_are_files_of_this_version() -> None:
    """They are made by `python -m tests.golden.make`."""
    assert VERSION in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_journal_gives_what_it_gave(version: str) -> None:
    """State and public events, to the last field."""
    announcer = Announcer()
    told = go_on(announcer, EntryReader(), load_journal(FOLDER / f"{version}.journal"), 0)
    assert text_of(announcer, told) == (FOLDER / f"{version}.txt").read_text()
    for workflow in announcer.state.workflows.values():
        invariants.check(workflow)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_snapshot_and_what_follows_give_the_same(version: str) -> None:
    """Whoever begins from it ends where a replay of the whole journal ends, public events included."""
    log = load_journal(FOLDER / f"{version}.journal")
    whole, snapshot = Announcer(), load_snapshot(FOLDER / f"{version}.snapshot")
    told = go_on(whole, EntryReader(), log, 0)
    reader = EntryReader.behind(snapshot.place.opening_offset, snapshot.place.offset, snapshot.place.entry_id)
    rest = go_on(snapshot.announcer, reader, log, snapshot.place.offset + 1)
    assert rest
    assert told[-len(rest) :] == rest
    assert snapshot.recent[-1] == told[-len(rest) - 1]
    ends = [digest(one.state, one.sequences, one.rests) for one in (whole, snapshot.announcer)]
    assert ends[0] == ends[1]


def test_the_files_of_this_version_are_what_it_writes() -> None:
    """While nothing is released they are made anew whenever the schema changes.

    The bytes of a journal are not compared: protobuf writes maps in any order.
    """
    log = write()
    announcer = Announcer()
    told = go_on(announcer, EntryReader(), log, 0)
    assert text_of(announcer, told) == (FOLDER / f"{VERSION}.txt").read_text()
    snapshot = b"".join(encode_snapshot(snapshot_of(log, MIDDLE)))
    assert snapshot == (FOLDER / f"{VERSION}.snapshot").read_bytes()


def test_the_run_has_every_kind_of_event_in_it() -> None:
    """Whoever adds one adds it to the run."""
    log = write()
    found = {
        type(event)
        for _, entry in follow(MemoryJournal(log), EntryReader(), 0, log.bounds()[1])
        if entry is not None
        for event in entry.events
    }
    assert found == set(get_args(own.Event)) - NOT_IN_THE_RUN
