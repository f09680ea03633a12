"""Every benchmark, what it shows, and what it needs; the order in which they are run and told of."""

from typing import Final, NamedTuple


class Entry(NamedTuple):
    """One benchmark: a command of this folder that prints JSON lines.

    Attributes:
        name: of its module.
        claim: what it shows, as a heading.
        needs: services that it uses, shared by all that follow each other here and use the same.
        arguments: of the whole measurement.
        quick: of a look that takes a minute, and whose figures say little.
    """

    name: str
    claim: str
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--repetitions", "1")


KAFKA: Final = ("kafka", "minio")

ENTRIES: Final = (
    Entry(
        "throughput",
        "Durable no-op Steps beside the bare loop",
        KAFKA,
        ("--repetitions", "5"),
        ("--steps", "2000", "--chain-steps", "200", "--repetitions", "1"),
    ),
    Entry(
        "simulated",
        "One to a hundred workers",
        KAFKA,
        quick=("--workers", "1", "10", "--steps", "3000", "--repetitions", "1"),
    ),
    Entry(
        "small",
        "Ten thousand small workflows, a hundred clients, single Steps at half load",
        KAFKA,
        quick=("--workflows", "300", "--clients", "20", "--singles", "300", "--repetitions", "1"),
    ),
    Entry(
        "takeover",
        "A killed leader, and how far consumers of events are behind",
        KAFKA,
        quick=("--steps", "20000", "--repetitions", "1"),
    ),
    Entry(
        "files",
        "Files in and out",
        ("minio",),
        ("--repetitions", "5"),
        ("--mib", "64", "--files", "500", "--repetitions", "1"),
    ),
    Entry(
        "containers",
        "Containers a second",
        quick=("--steps", "8", "--reused", "20", "--runs", "8", "--repetitions", "1"),
    ),
    Entry("peers", "Beside other engines", quick=("--scale", "0.02", "--repetitions", "1")),
    Entry(
        "sizes",
        "Workflows of 10³ to 10⁶ Steps",
        quick=("--sizes", "1000", "10000", "--repetitions", "1"),
    ),
    Entry("restart", "A start with 10⁶ Steps", quick=("--steps", "20000", "--repetitions", "1")),
    Entry("stalls", "What the loop keeps waiting", quick=("--steps", "20000")),
    Entry(
        "watchers",
        "A thousand watchers",
        arguments=("--repetitions", "5"),
        quick=("--steps", "2000", "--streams", "100", "--repetitions", "1"),
    ),
    Entry(
        "fairness",
        "A small workflow beside a large one",
        arguments=("--repetitions", "5"),
        quick=("--large", "5000", "--repetitions", "1"),
    ),
    Entry("ageing", "An hour of short workflows", arguments=("--minutes", "60"), quick=("--minutes", "2.1")),
)
