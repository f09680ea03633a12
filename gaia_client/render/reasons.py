"""Why Steps run again, in words: chains of reasons that lead from a Step to the first cause."""

from collections.abc import Mapping, Sequence
from typing import Final

from gaia_client.render.blocks import Block, Grid, Text

Link = dict[str, str]

REASONS: Final = {
    "first": "it is new",
    "merged": "it was merged",
    "command changed": "its Command was changed",
    "expired": "it was expired",
    "removed": "a Step that wrote what it reads was removed",
    "input changed": "what it reads has changed",
    "upstream": "a Step before it runs again",
    "retried": "the attempt before failed",
    "worker lost": "its worker was lost",
    "run": "it had failed, and the workflow was run again",
}
"""Each reason as a sentence about the Step."""

LINKS_SHOWN: Final = 4
"""Of a longer chain a line shows the first links and the last one, which is the cause."""


def link_words(link: Link) -> str:
    """Return one link: "expired (a.txt)", or "reads a.txt of make-a"."""
    key = link.get("key", "")
    if "upstream" not in link:
        return f"{link['reason']} ({key})" if key else link["reason"]
    return f"reads {key} of {link['upstream']}" if key else f"depends on {link['upstream']}"


def chain_words(chain: Sequence[Link]) -> str:
    """Return a chain in one line: "reads b.txt of make-b ← reads a.txt of make-a ← expired"."""
    words = [link_words(link) for link in chain]
    if len(words) > LINKS_SHOWN:
        words[LINKS_SHOWN - 1 : -1] = [f"… {len(words) - LINKS_SHOWN} more …"]
    return " ← ".join(words)


def reasons(steps: Sequence[str], chains: Mapping[str, Sequence[Link]]) -> list[Block]:
    """Show why each of these Steps runs (again)."""
    if not steps:
        return []
    grid = Grid(("STEP", "WHY"), tuple((step, chain_words(chains.get(step, ()))) for step in steps))
    unexplained = sum(step not in chains for step in steps)
    return [grid, Text(f"… without reasons for {unexplained:,} of them", "dim")] if unexplained else [grid]
