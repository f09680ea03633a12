"""Reads journal and public events back after a run and counts: a figure stands only if nothing was lost or doubled."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gaia.v1 import events_pb2
from gaia_core.coordinator.entries import EntryReader
from gaia_core.errors import GaiaError
from gaia_core.ports import Journal
from gaia_core.wire.journal import Entry
from gaia_core.workflow import events as ev


class BenchmarkFailed(Exception):
    """What was measured is not what was asked for."""


@dataclass
class JournalCount:
    """What the journal says of one workflow.

    Attributes:
        dispatches, completions: attempts in dispatch and completion entries.
        doubled: attempts that were completed more than once.
        failed: attempts that failed or were lost.
        entries: journal entries that hold a dispatch or a completion of it.
    """

    dispatches: int = 0
    completions: int = 0
    doubled: int = 0
    failed: int = 0
    entries: int = 0


@dataclass
class JournalContent:
    """All entries of a journal, and what it weighs."""

    entries: list[Entry] = field(default_factory=list)
    bytes: int = 0
    void: int = 0


def read_journal(journal: Journal) -> JournalContent:
    """Read a whole journal as a follower would.

    Raises:
        BenchmarkFailed: it cannot be read.
    """
    content, reader = JournalContent(), EntryReader()
    try:
        for record in journal.read(*journal.bounds()):
            content.bytes += len(record.value)
            entry = reader.feed(record)
            if entry is not None:
                content.entries.append(entry)
    except GaiaError as error:
        raise BenchmarkFailed(f"the journal cannot be read back: {error.message}") from error
    content.void = reader.void
    return content


def count_journal(entries: Iterable[Entry], workflow: str) -> JournalCount:
    """Count what the journal says of one workflow."""
    return count_journals(entries).get(workflow, JournalCount())


def count_journals(entries: Iterable[Entry]) -> dict[str, JournalCount]:
    """Count what the journal says of each workflow, by name; a name is taken to have been used once."""
    names: dict[int, str] = {}
    counts: defaultdict[int, JournalCount] = defaultdict(JournalCount)
    completed: defaultdict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for entry in entries:
        touched: set[int] = set()
        for event in entry.events:
            if isinstance(event, ev.WorkflowCreated):
                names[event.uid] = event.name
            elif isinstance(event, ev.StepsDispatched):
                counts[event.uid].dispatches += len(event.steps)
                touched.add(event.uid)
            elif isinstance(event, ev.StepsCompleted):
                counts[event.uid].completions += len(event.steps)
                completed[event.uid].update(zip(event.steps, event.attempts, strict=True))
                touched.add(event.uid)
            elif isinstance(event, ev.AttemptFailed):
                counts[event.uid].failed += 1
                touched.add(event.uid)
        for uid in touched:
            counts[uid].entries += 1
    for uid, attempts in completed.items():
        counts[uid].doubled = sum(times > 1 for times in attempts.values())
    return {name: counts[uid] for uid, name in names.items()}


def check(steps: Sequence[str], journal: JournalCount, events: Sequence[events_pb2.Event]) -> None:
    """Compare the Steps that were uploaded with what journal and events say.

    Args:
        steps: the names of all Steps, each as often as it had to run.
        journal: what the journal says of the workflow.
        events: its public events, in the order in which a consumer gets them.

    Raises:
        BenchmarkFailed: with everything that is wrong.
    """
    wanted_of = Counter(steps)
    told = Counter(event.step_completed.step for event in events if event.HasField("step_completed"))
    numbers = [event.sequence for event in events]
    last = events[-1].workflow_changed.change if events else ""
    problems = [
        f"{what}: {found}, not {wanted}"
        for what, found, wanted in (
            ("step_completed events", told.total(), len(steps)),
            ("step_completed events that were asked for", (told & wanted_of).total(), len(steps)),
            ("dispatches in the journal", journal.dispatches, len(steps) + journal.failed),
            ("completions in the journal", journal.completions, len(steps)),
            ("attempts completed twice in the journal", journal.doubled, 0),
            ("failed attempts in the journal", journal.failed, 0),
            ("last event", last, "complete"),
        )
        if found != wanted
    ]
    if numbers != list(range(1, len(events) + 1)):
        wrong = next(place for place, number in enumerate(numbers, 1) if number != place)
        problems.append(f"sequence numbers: place {wrong} has number {numbers[wrong - 1]}")
    if problems:
        raise BenchmarkFailed("; ".join(problems))
