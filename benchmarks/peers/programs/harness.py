"""What every peer's program shares: where it is, what it is asked for, its clock, and the JSON line that it prints.

Programs run in virtual environments of their own, so nothing of Gaia and no library may be imported here. Workers
import this too, and are told the same by their environment.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["PEER_FOLDER"])
SERVER = os.environ["PEER_SERVER"]
"""The address of the server that the peer stands on; empty if there is none."""

MODE = os.environ["PEER_MODE"]
"""Which variant of the program is asked for; empty if there is one only."""

LOOK_S = 0.002
"""How often is asked whether all is done; this is the error of a clock that ends with such a question."""

DEADLINE_S = 150.0
WARM_TASKS = 50


def arguments() -> argparse.Namespace:
    """Return how many tasks are wanted: side by side, and in a chain."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wide", type=int, required=True)
    parser.add_argument("--chain", type=int, required=True)
    return parser.parse_args()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def await_that(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds, or fail."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(LOOK_S)


def expect(what: str, found: int, wanted: int) -> None:
    """Fail unless as many tasks ran as were asked for."""
    if found != wanted:
        raise RuntimeError(f"{what}: {found}, not {wanted}")


def tell(
    distribution: str,
    wide: Mapping[str, Any],
    chain: Mapping[str, Any] | None = None,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Print the figures.

    Args:
        distribution: the peer's name in the package index, whose version counts.
        wide: `tasks`, `seconds` and, if work was handed in before the clock started, the seconds of that as `submit_s`.
        chain: `tasks`, `seconds`; None for a peer that has no chains.
        versions: of further parts.
    """
    versions = {distribution: version(distribution), **(versions or {})}
    print(json.dumps({"versions": versions, "wide": wide, "chain": chain}), flush=True)
