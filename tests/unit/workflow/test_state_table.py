"""Every state of a Step with every input: one table, in which no pair is missing.

The Step `s` reads a Key from outside and one that the Step `up` writes. It is brought into a state, its worker then
takes nothing new, so what follows is what the input alone did; `a worker has room` is an input of its own.
"""

from collections.abc import Callable
from typing import Final

import pytest

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import SendCancels
from gaia_core.workflow.model import Command, Failure, FailureClass, Options, StepSpec
from gaia_core.workflow.states import ALLOWED, StepState
from tests.unit.machine.deployment import COMMANDS, Driver, make, published

JOIN: Final = Command("join", "image", ("x",), {"a": "/a", "b": "/b"}, {"out": "/out"})
OTHER: Final = Command("join", "image:2", ("x",), {"a": "/a", "b": "/b"}, {"out": "/out"})
OPTIONS: Final = Options(retries=1, queue_timeout_s=60)

SEEN: Final = published("outside", "v1")
GONE: Final = "gone"

TABLE: Final = """
                                     | waiting | ready   | running  | retrying | complete | failed
its attempt completes                | .       | .       | complete | .        | .        | .
it fails by its own fault            | .       | .       | retrying | .        | .        | .
it fails for good                    | .       | .       | failed   | .        | .        | .
it fails by its surroundings         | .       | .       | retrying | .        | .        | .
its worker is lost                   | .       | .       | ready    | .        | .        | .
its worker says goodbye              | .       | .       | ready    | .        | .        | .
its worker starts anew               | .       | running | running  | .        | .        | .
its worker does not know the attempt | .       | .       | ready    | .        | .        | .
its worker gave the attempt up       | .       | .       | ready    | .        | .        | .
its worker never started the attempt | .       | .       | ready    | .        | .        | .
a worker has room                    | .       | running | .        | .        | .        | .
it is expired                        | .       | ready   | ready    | ready    | ready    | ready
its outside Key is expired           | .       | waiting | waiting  | waiting  | waiting  | waiting
its writer is expired                | .       | waiting | waiting  | waiting  | waiting  | waiting
an expiry is planned                 | .       | .       | .        | .        | .        | .
it is merged again                   | .       | ready   | ready    | ready    | ready    | ready
it is merged again, only if changed  | .       | .       | .        | .        | .        | .
it is merged with another input      | .       | waiting | waiting  | waiting  | waiting  | waiting
its writer is merged elsewhere       | .       | waiting | waiting  | waiting  | waiting  | waiting
its Command changes                  | .       | ready   | ready    | ready    | ready    | ready
its Command is given again           | .       | .       | .        | .        | .        | .
it is removed                        | gone    | gone    | gone     | gone     | gone     | gone
its writer is removed                | .       | waiting | waiting  | waiting  | waiting  | waiting
the workflow is deleted              | gone    | gone    | gone     | gone     | gone     | gone
the workflow is halted               | .       | .       | ready    | ready    | .        | .
the workflow is run                  | .       | .       | .        | .        | .        | ready
its outside Key arrives anew         | ready   | ready   | ready    | ready    | ready    | ready
its outside Key arrives as it was    | ready   | .       | .        | .        | .        | .
another Key arrives                  | .       | .       | .        | .        | .        | .
a moment passes                      | .       | .       | .        | .        | .        | .
a minute passes                      | .       | failed  | .        | ready    | .        | .
"""
"""Below each state the one that follows; a dot where it stays."""


def step() -> StepSpec:
    """The Step under test."""
    return StepSpec("s", "join", {"a": "outside", "b": "made"}, {"out": "o"}, options=OPTIONS)


def report(driver: Driver, *said: rp.Report) -> None:
    """Let the worker report, whatever it holds."""
    driver.say("w", *said)


def fail(driver: Driver, kind: FailureClass) -> None:
    """Report that the latest attempt failed."""
    report(driver, rp.Failed(latest(driver), Failure(kind, "it failed")))


def latest(driver: Driver) -> rp.Fence:
    """Return the fence of the latest attempt, or of the first before there is one."""
    return driver.fence("s", attempt=max(1, driver.step("s").attempt))


def pass_time(driver: Driver, milliseconds: int) -> None:
    """Let time pass."""
    driver.now_ms += milliseconds
    driver.ask(rq.Tick())


def not_known(driver: Driver) -> None:
    """Give the latest attempt up, as a heartbeat without it tells."""
    fence = latest(driver)
    driver.ask(rq.LoseAttempts("w", "i1", ((fence.workflow_uid, fence.step, fence.attempt),)))


INPUTS: Final[dict[str, Callable[[Driver], object]]] = {
    "its attempt completes": lambda d: report(d, rp.Completed(latest(d))),
    "it fails by its own fault": lambda d: fail(d, FailureClass.COMMAND),
    "it fails for good": lambda d: fail(d, FailureClass.OUTPUT_MISSING),
    "it fails by its surroundings": lambda d: fail(d, FailureClass.STORE),
    "its worker is lost": lambda d: d.ask(rq.LoseWorker("w", "i1", "silent")),
    "its worker says goodbye": lambda d: report(d, rp.Goodbye()),
    "its worker starts anew": lambda d: d.join(incarnation="i2"),
    "its worker does not know the attempt": not_known,
    "its worker gave the attempt up": lambda d: report(d, rp.Cancelled(latest(d))),
    "its worker never started the attempt": lambda d: report(
        d, rp.Failed(latest(d), Failure(FailureClass.LOST, "drained"), unstarted=True)
    ),
    "a worker has room": lambda d: d.join("other"),
    "it is expired": lambda d: d.ask(rq.Expire("flow", ("s",))),
    "its outside Key is expired": lambda d: d.ask(rq.Expire("flow", ("outside",))),
    "its writer is expired": lambda d: d.ask(rq.Expire("flow", ("up",))),
    "an expiry is planned": lambda d: d.ask(rq.PlanExpire("flow", ("s",))),
    "it is merged again": lambda d: d.merge(step()),
    "it is merged again, only if changed": lambda d: d.ask(rq.Merge("flow", (step(),), only_changed=True)),
    "it is merged with another input": lambda d: d.merge(
        StepSpec("s", "join", {"a": "new", "b": "made"}, {"out": "o"})
    ),
    "its writer is merged elsewhere": lambda d: d.merge(make("up", "elsewhere")),
    "its Command changes": lambda d: d.ask(rq.SetCommands("flow", (OTHER,))),
    "its Command is given again": lambda d: d.ask(rq.SetCommands("flow", (JOIN,))),
    "it is removed": lambda d: d.ask(rq.Remove("flow", ("s",))),
    "its writer is removed": lambda d: d.ask(rq.Remove("flow", ("up",))),
    "the workflow is deleted": lambda d: d.ask(rq.Delete("flow")),
    "the workflow is halted": lambda d: d.ask(rq.Halt("flow")),
    "the workflow is run": lambda d: d.ask(rq.Run("flow")),
    "its outside Key arrives anew": lambda d: d.arrive("outside"),
    "its outside Key arrives as it was": lambda d: d.ask(rq.Arrive("flow", (SEEN,))),
    "another Key arrives": lambda d: d.arrive("elsewhere"),
    "a moment passes": lambda d: pass_time(d, 1),
    "a minute passes": lambda d: pass_time(d, 60_000),
}

OF_WORKERS: Final = frozenset(name for name in INPUTS if "attempt" in name or "worker" in name or "fails" in name)
"""Inputs by which an attempt ends by itself or begins; all others have to tell the worker to stop it."""


def rows() -> dict[str, list[str]]:
    """Return the table: input → the following states, in the order of the states."""
    lines = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    return {name: cells for name, *cells in lines}


def brought_into(state: StepState) -> Driver:
    """Return a deployment with the Step in this state, and a worker that takes nothing new."""
    driver = Driver()
    driver.join()
    driver.upload(make("up", "made"), step(), commands=[*COMMANDS, JOIN])
    driver.complete("up")
    if state is StepState.READY:
        drain(driver)
    if state is not StepState.WAITING:
        driver.ask(rq.Arrive("flow", (SEEN,)))
    match state:
        case StepState.RETRYING:
            fail(driver, FailureClass.COMMAND)
        case StepState.COMPLETE:
            driver.complete("s")
        case StepState.FAILED:
            fail(driver, FailureClass.OUTPUT_MISSING)
    drain(driver)
    assert driver.step("s").state is state
    return driver


def drain(driver: Driver) -> None:
    """Let the worker say that it takes nothing new."""
    report(driver, rp.Hello("default", 100, 0, 0, 0, "noop", "host", draining=True))


def state_now(driver: Driver) -> str:
    """Return the word for the Step's state."""
    flow = driver.state.workflows.get("flow")
    found = flow.by_name.get("s") if flow is not None else None
    return found.state.word if found is not None else GONE


@pytest.mark.parametrize("state", StepState, ids=lambda state: state.word)
@pytest.mark.parametrize("given", INPUTS)
def test_the_next_state(state: StepState, given: str) -> None:
    """An input leads from each state to the one in the table, and stops what runs where that no longer counts."""
    cell = rows()[given][state]
    expected = state.word if cell == "." else cell
    driver = brought_into(state)
    INPUTS[given](driver)
    assert state_now(driver) == expected
    cancelled = sum(len(effect.attempts) for effect in driver.effects if isinstance(effect, SendCancels))
    assert cancelled == (state is StepState.RUNNING and cell != "." and given not in OF_WORKERS)


def test_no_pair_is_missing() -> None:
    """The table has a column for every state and a row for every input."""
    head, *table = rows().items()
    assert head == ("", [state.word for state in StepState])
    assert [name for name, _ in table] == list(INPUTS)
    assert all(len(cells) == len(StepState) and all(cells) for _, cells in table)


def test_the_table_and_the_allowed_transitions_are_the_same() -> None:
    """What the table leads to is allowed, and what is allowed is in the table."""
    seen = {state: {state} if state in ALLOWED[state] else set() for state in StepState}
    for cells in list(rows().values())[1:]:
        for state, cell in zip(StepState, cells, strict=True):
            if cell not in (".", GONE, state.word):
                seen[state].add(StepState[cell.upper()])
    assert seen == ALLOWED
