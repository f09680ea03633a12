"""Simulated schedules with fresh seeds, and the bugs that they must find."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice

import pytest

from tests.chaos.planted import BY_RULE, PLANTS
from tests.chaos.simulate import fresh_seed, simulate

FRESH: int = 1_200
"""Schedules of every run of the tests; `make chaos` goes on for as long as wanted."""

PLANTED_SEED: int = 10_000
PLANTED_MOST: int = 3_000
"""Within so many schedules each planted bug is found; most of them within a few dozen."""


def test_no_promise_is_broken_in_any_schedule() -> None:
    """Whatever fails, whenever it does, the auditor finds everything in order; a failing seed names its replay."""
    first = fresh_seed()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(simulate, range(first, first + FRESH), chunksize=25))
    found = [f"{violation} ({one.command})" for one in outcomes for violation in one.violations]
    assert not found, "\n".join(found)
    assert sum(one.completions for one in outcomes) > FRESH


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    """Broken code does not pass: the simulation can tell, and not because the plant no longer fits the product."""
    with PLANTS[name]():
        seeds = islice(count(PLANTED_SEED), PLANTED_MOST)
        runs = (simulate(seed).violations for seed in seeds)
        found = next((one for one in runs if any(BY_RULE.get(name, rule) == rule for rule, _ in one)), [])
    assert found
    assert not any(misfit in str(found) for misfit in ("TypeError", "AttributeError", "NameError"))


def test_a_seed_tells_the_same_story_each_time() -> None:
    """A failure can be looked at again: nothing depends on the process, on real time, or on the order of sets."""
    story = simulate(4711).story
    assert len(story) > 20
    assert simulate(4711).story == story
    for hash_seed in ("1", "2"):
        again = subprocess.run(
            [sys.executable, "-m", "tests.chaos.simulate", "--seed", "4711", "--story"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert again.stdout.splitlines()[:-1] == "\n".join(story).splitlines()
