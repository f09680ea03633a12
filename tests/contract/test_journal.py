"""The Journal port, over every backend; and what single backends promise beyond it."""

import subprocess
import sys
from pathlib import Path

import pytest

from gaia_core.backends import sqlite as module
from gaia_core.backends.folder_lock import lock_folder
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.memory import MemoryJournal
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.errors import JournalCorrupt, NotAllowedNow, Unavailable
from gaia_core.ports import Record
from tests.contract.conftest import JournalRig

HOLDER = "import sys; from pathlib import Path; from gaia_core.backends.folder_lock import lock_folder\n"


def test_an_empty_journal_starts_and_ends_at_zero(journals: JournalRig) -> None:
    """A new journal has no record, and reading it from its start to its end yields none."""
    journal = journals.open()
    assert journal.bounds() == (0, 0)
    assert list(journal.read(0, 0)) == []


def test_appended_records_are_read_back_in_order(journals: JournalRig) -> None:
    """Offsets grow, and each record lies at the offset that its append returned."""
    journal = journals.open()
    first = journal.append([b"a", b"", b"c\x00"])
    second = journal.append([b"d"])
    assert first + second == [0, 1, 2, 3]
    assert list(journal.read(0, 4)) == [Record(0, b"a"), Record(1, b""), Record(2, b"c\x00"), Record(3, b"d")]


def test_appending_nothing_changes_nothing(journals: JournalRig) -> None:
    """An append of no records is acknowledged with no offsets."""
    journal = journals.open()
    assert journal.append([]) == []
    assert journal.bounds() == (0, 0)


def test_reading_stops_at_the_end_asked_for(journals: JournalRig) -> None:
    """Records at the end offset and behind it are not yielded."""
    journal = journals.open()
    journal.append([b"a", b"b", b"c", b"d"])
    assert [record.value for record in journal.read(1, 3)] == [b"b", b"c"]


def test_reading_may_be_given_up_half_way(journals: JournalRig) -> None:
    """A reader that stops early does not spoil the next reading."""
    journal = journals.open()
    journal.append([b"a", b"b", b"c"])
    assert next(iter(journal.read(0, 3))) == Record(0, b"a")
    assert [record.value for record in journal.read(0, 3)] == [b"a", b"b", b"c"]


def test_two_readings_at_once_do_not_disturb_each_other(journals: JournalRig) -> None:
    """Readings of one journal are independent, whatever the order they are advanced in."""
    journal = journals.open()
    journal.append([b"a", b"b", b"c"])
    one, other = iter(journal.read(0, 3)), iter(journal.read(1, 3))
    assert [next(one).value, next(other).value, next(one).value] == [b"a", b"b", b"b"]
    assert [record.value for record in one] == [record.value for record in other] == [b"c"]


def test_reading_ends_where_the_last_offset_has_no_record(journals: JournalRig) -> None:
    """A gap at the end of what is read neither hangs the reader nor yields anything."""
    journal = journals.open()
    journal.append([b"a"])
    journals.gap()
    first, end = journal.bounds()
    assert (first, end) == (0, 3)
    assert [record.value for record in journal.read(0, end)] == [b"a", b"foreign"]
    assert list(journal.read(2, end)) == []


def test_append_tells_true_offsets_when_somebody_else_has_written(journals: JournalRig) -> None:
    """A writer that was deposed without knowing shows as a jump of the offsets, and its record is readable."""
    leader, deposed = journals.open(), journals.open()
    assert leader.append([b"mine"]) == [0]
    assert deposed.append([b"stray"]) == [1]
    assert leader.append([b"mine too"]) == [2]
    assert list(leader.read(1, 2)) == [Record(1, b"stray")]


def test_append_goes_on_behind_a_gap(journals: JournalRig) -> None:
    """Offsets without a record are passed over by writer and reader."""
    journal = journals.open()
    journal.append([b"a"])
    journals.gap()
    assert journal.append([b"b"]) == [3]
    assert [record.value for record in journal.read(0, 4)] == [b"a", b"foreign", b"b"]


def test_a_failed_append_ends_the_journal_but_not_the_log(journals: JournalRig) -> None:
    """After a failure the object takes nothing more, while a new one finds everything acknowledged and goes on."""
    broken = journals.open()
    broken.append([b"a"])
    record = journals.fail_next(broken)
    with pytest.raises(Unavailable):
        broken.append([record])
    with pytest.raises(Unavailable, match="takes nothing more"):
        broken.append([b"b"])
    fresh = journals.open()
    assert fresh.append([b"c"]) == [1]
    assert [entry.value for entry in fresh.read(0, 2)] == [b"a", b"c"]


def test_a_failed_journal_can_still_be_read(journals: JournalRig) -> None:
    """What was acknowledged before the failure is readable through the same object."""
    broken = journals.open()
    broken.append([b"a"])
    with pytest.raises(Unavailable):
        broken.append([journals.fail_next(broken)])
    assert list(broken.read(0, 1)) == [Record(0, b"a")]


def test_a_start_that_was_cut_away_is_refused(journals: JournalRig) -> None:
    """Reading from below the first record kept fails and says so, instead of leaving records out."""
    journal = journals.open()
    journal.append([b"a", b"b", b"c"])
    journals.cut(2)
    assert journal.bounds() == (2, 3)
    with pytest.raises(Unavailable, match="was cut: it starts at offset 2, and 1 is gone"):
        list(journal.read(1, 3))
    assert list(journal.read(2, 3)) == [Record(2, b"c")]


def test_a_start_beyond_the_end_is_refused(journals: JournalRig) -> None:
    """A journal that ends before what was already known has lost records, and reading it on fails."""
    journal = journals.open()
    journal.append([b"a"])
    with pytest.raises(Unavailable, match="ends at offset 1, before 5"):
        list(journal.read(5, 6))


def test_a_cut_drops_what_lies_below(journals: JournalRig) -> None:
    """Records from the offset on stay where they are, others see them too, and appends go on."""
    leader, follower = journals.open(), journals.open()
    leader.append([b"a", b"b", b"c", b"d"])
    leader.cut(2)
    assert leader.bounds() == follower.bounds() == (2, 4)
    assert list(follower.read(2, 4)) == [Record(2, b"c"), Record(3, b"d")]
    assert leader.append([b"e"]) == [4]
    assert [record.value for record in leader.read(2, 5)] == [b"c", b"d", b"e"]


def test_a_cut_of_what_is_gone_changes_nothing(journals: JournalRig) -> None:
    """A cut may be asked for twice, and below where the journal begins."""
    journal = journals.open()
    journal.append([b"a", b"b", b"c"])
    for before in (2, 2, 1, 0):
        journal.cut(before)
        assert journal.bounds() == (2, 3)


def test_everything_may_be_cut(journals: JournalRig) -> None:
    """A journal that was cut to its end goes on from there."""
    journal = journals.open()
    journal.append([b"a", b"b"])
    journal.cut(2)
    assert journal.bounds() == (2, 2)
    assert journal.append([b"c"]) == [2]


def test_offsets_are_never_used_twice(journals: JournalRig) -> None:
    """The end stays where it is when every record was cut away."""
    journal = journals.open()
    journal.append([b"a", b"b"])
    journals.cut(2)
    assert journal.bounds() == (2, 2)
    assert journal.append([b"c"]) == [2]


def test_a_closed_journal_takes_nothing_and_closes_again(journals: JournalRig) -> None:
    """Closing twice is harmless, and an append afterwards is refused."""
    journal = journals.open()
    journal.append([b"a"])
    journal.close()
    journal.close()
    with pytest.raises(Unavailable, match="closed"):
        journal.append([b"b"])


def test_large_records_come_back_whole(journals: JournalRig) -> None:
    """Records of the largest size that Gaia writes, 512 KiB, fit, several in one append."""
    journal = journals.open()
    records = [bytes([number]) * 2**19 for number in range(5)]
    journal.append(records)
    assert [record.value for record in journal.read(0, 5)] == records


def test_memory_can_lose_only_the_acknowledgement() -> None:
    """The fake journal can fail with its records written, as a broker that dies before it answers."""
    journal = MemoryJournal()
    journal.fail_next(written=True)
    with pytest.raises(Unavailable):
        journal.append([b"a"])
    assert list(MemoryJournal(journal.log).read(0, 1)) == [Record(0, b"a")]


def test_sqlite_shows_everything_when_opened_again(tmp_path: Path) -> None:
    """Acknowledged records outlive the object that wrote them."""
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    journal.append([b"%d" % number for number in range(200)])
    journal.close()
    again = SqliteJournal(path, synchronous="NORMAL")
    assert [record.value for record in again.read(0, 200)] == [b"%d" % number for number in range(200)]
    assert again.append([b"next"]) == [200]
    again.close()


def test_sqlite_lets_appends_through_while_it_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut is done in small transactions, so the loop never waits for the whole of it."""
    monkeypatch.setattr(module, "BYTES_PER_CUT", 100)
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append([b"x" * 40] * 3 + [b"y" * 1_000] + [b"z"] * 5)
    steps = []
    while journal._cut_some(8):
        steps.append(journal.bounds()[0])
        journal.append([b"new"])
    assert steps == [2, 3, 4, 8]
    assert journal.bounds() == (8, 13)
    journal.close()


def test_sqlite_stays_as_small_as_what_it_keeps(tmp_path: Path) -> None:
    """What a cut frees is used again: over many cuts the file does not grow."""
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path, synchronous="NORMAL")
    sizes = []
    for _ in range(6):
        end = journal.append([b"x" * 50_000] * 100)[-1] + 1
        sizes.append(path.stat().st_size)
        journal.cut(end)
    journal.append([b"x"])
    assert max(sizes) <= 2 * 5_000_000
    assert path.stat().st_size <= 2 * 5_000_000
    journal.close()


def test_sqlite_that_is_cut_while_it_is_read_says_so(tmp_path: Path) -> None:
    """A reader that is overtaken by a cut learns it, instead of passing over what it missed."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    journal.append([b"x"] * (3 * module.ROWS_PER_READ))
    reading = iter(journal.read(0, 3 * module.ROWS_PER_READ))
    assert next(reading).offset == 0
    journal.cut(2 * module.ROWS_PER_READ)
    with pytest.raises(Unavailable, match="was cut"):
        list(reading)
    journal.close()


def test_sqlite_can_be_read_by_another_process_while_it_is_written(tmp_path: Path) -> None:
    """Who takes snapshots reads beside the server, and needs no lock."""
    path = tmp_path / "journal.sqlite"
    script = (
        "import sys; from pathlib import Path; from gaia_core.backends.sqlite import SqliteJournal\n"
        "journal = SqliteJournal(Path(sys.argv[1]))\n"
        "print(len(list(journal.read(*journal.bounds()))), flush=True); sys.stdin.read()"
    )
    journal = SqliteJournal(path)
    journal.append([b"a", b"b"])
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "2\n"
        assert journal.append([b"c"]) == [2]
        journal.cut(2)
        reader.communicate()
    assert reader.returncode == 0
    journal.close()


def test_sqlite_syncs_every_commit_unless_told_otherwise(tmp_path: Path) -> None:
    """An acknowledged append survives a power cut: synchronous is FULL (2) on the writing connection."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert journal._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()


def test_sqlite_keeps_the_words_of_the_disk(tmp_path: Path) -> None:
    """A full disk is told in SQLite's words with a hint, and nothing of the append is left behind."""
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    journal._writer.execute("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable, match=r"database or disk is full\.\nhint: Make room"):
        journal.append([b"small", b"x" * 100_000])
    journal.close()
    again = SqliteJournal(path)
    assert again.bounds() == (0, 0)
    again.close()


def test_sqlite_refuses_what_is_no_database(tmp_path: Path) -> None:
    """A file with other content is never written to."""
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"something else entirely, " * 100)
    with pytest.raises(JournalCorrupt, match="not a database"):
        SqliteJournal(path)
    assert path.read_bytes().startswith(b"something else")


def test_sqlite_in_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    """A file that cannot be opened is named."""
    with pytest.raises(Unavailable, match=r"missing/journal\.sqlite: unable to open"):
        SqliteJournal(tmp_path / "missing" / "journal.sqlite")


def test_one_gaia_per_data_folder(tmp_path: Path) -> None:
    """A second process is refused and told who holds the folder; once that one has ended, however, it gets in."""
    script = f"{HOLDER}lock = lock_folder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(NotAllowedNow, match=rf"data is in use by another Gaia \(pid {holder.pid}\)"):
            lock_folder(tmp_path / "data")
        holder.kill()
    lock_folder(tmp_path / "data").close()


def test_a_released_folder_can_be_locked_again(tmp_path: Path) -> None:
    """Closing the lock, twice too, frees the folder; the lock file stays."""
    with lock_folder(tmp_path) as lock, pytest.raises(NotAllowedNow):
        lock_folder(tmp_path)
    lock.close()
    lock_folder(tmp_path).close()
    assert (tmp_path / "gaia.lock").exists()


def test_kafka_that_is_away_fails_the_append() -> None:
    """An append without an answer fails when its time is over, names the address, and ends the journal."""
    journal = KafkaJournal(KafkaSettings("127.0.0.1:1"), append_s=0.2)
    with pytest.raises(Unavailable, match=r"Kafka at 127\.0\.0\.1:1 did not append to gaia\.journal\.0"):
        journal.append([b"a"])
    with pytest.raises(Unavailable, match="takes nothing more"):
        journal.append([b"b"])
    journal.close()


def test_kafka_acknowledgement_without_an_offset_is_none(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated record whose first answer was lost is acknowledged at offset -1: where it lies is unknown."""
    ensure_topics(kafka_settings)
    journal = KafkaJournal(kafka_settings, append_s=5)
    real = journal._producer

    class Forgetful:
        def produce(self, *arguments: object, on_delivery: object, **settings: object) -> None:
            real.produce(*arguments, on_delivery=lambda error, _: on_delivery(error, Unplaced()), **settings)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    class Unplaced:
        def offset(self) -> int:
            return -1001

    monkeypatch.setattr(journal, "_producer", Forgetful())
    with pytest.raises(Unavailable, match="no acknowledgement with an offset"):
        journal.append([b"a"])
    journal.close()
