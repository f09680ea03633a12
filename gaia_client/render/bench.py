"""What `gaia bench` found, as a person reads it."""

from collections.abc import Mapping
from typing import Any

from gaia_client.bench.crew import NOTHING_RUNS
from gaia_client.progress import amount
from gaia_client.render.blocks import Block, Grid, Text, counted


def bench(reply: Mapping[str, Any]) -> list[Block]:
    """Show the figures, and with how many Steps in flight they were reached."""
    wide, chain, arrivals = reply["wide"], reply["chain"], reply["arrivals"]
    rate, per_step, latency = amount(wide["steps-per-s"]), chain["ms-per-step"], arrivals["ms"]
    rows = (
        ("side by side", f"{wide['steps']:,}", f"{rate} Steps/s", f"in {wide['seconds']:.3g} s"),
        ("one after the other", f"{chain['steps']:,}", f"{amount(per_step['median'])} ms per Step",
         f"median; 90 % within {amount(per_step['p90'])} ms"),
        ("arriving", f"{arrivals['steps']:,}", f"{amount(latency['p50'])} ms each",
         f"median; 99 % within {amount(latency['p99'])} ms, at {amount(arrivals['steps-per-s'])} Steps/s"),
    )  # fmt: skip
    again = wide["attempts"] - wide["steps"]
    notes = [Text(f"{counted(again, 'attempt')} of the Steps side by side had to be made again", "yellow")]
    return [
        Grid(("HOW", "STEPS", "RESULT", ""), rows, frozenset({"STEPS", "RESULT"})),
        Text(_credit_words(reply), "dim"),
        *(notes if again else []),
    ]


def crew_words(executors: Mapping[str, int]) -> str:
    """Return "3 workers (2 docker, 1 noop, which runs no programs)"."""
    kinds = [name if len(executors) == 1 else f"{count} {name}" for name, count in executors.items()]
    nothing = ", which runs no programs" if NOTHING_RUNS in executors else ""
    kinds.sort(key=lambda words: words.endswith(NOTHING_RUNS))
    return f"{counted(sum(executors.values()), 'worker')} ({', '.join(kinds)}{nothing})"


def _credit_words(reply: Mapping[str, Any]) -> str:
    slots, prefetch = reply["credit"]["slots"], reply["credit"]["prefetch"]
    words = f"at most {slots + prefetch:,} in flight: {counted(slots, 'slot')} and {prefetch:,} more on their way"
    return f"{words}, with {crew_words(reply['executors'])}"
