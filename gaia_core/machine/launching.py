"""Launches of workers, as far as the state has a say: whose names are free, and that a retry starts nothing twice."""

from collections.abc import Collection, Sequence
from typing import Final

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem
from gaia_core.machine import answers
from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.workflow.parse import name_problems

NAMES_MAX: Final = 1_000
"""Names in one request that are looked at; no server starts so many workers."""


def launch(decision: Decision, request: rq.Launch) -> rq.Launched:
    """Let workers be started.

    Raises:
        InvalidWorkflow: a name is none or is taken, or something else is wrong with the request.
        NotAllowedNow: the server cannot start them.
    """
    taken = {*decision.state.fleet.workers, *request.starting}
    problems = [*names_problems(request.names, taken), *request.problems]
    if problems:
        raise InvalidWorkflow.of(problems)
    if request.objection:
        raise NotAllowedNow(request.objection, hint="start them with: gaia worker")
    return rq.Launched(request.names)


def launch_failed(decision: Decision, failed: rq.LaunchFailed) -> None:
    """Remember that a launch failed in place of its answer."""
    request = failed.request
    if request.id:
        refused = answers.remembered(answers.Refused(failed.why))
        decision.emit(own.RequestAnswered(request.id, request.digest, refused))


def names_problems(names: Sequence[str], taken: Collection[str]) -> list[Problem]:
    """Return what is wrong with the names of workers to be started.

    Args:
        names: of the new workers.
        taken: names of those that there are.
    """
    if not names:
        return [Problem("names", "name at least one worker")]
    if len(names) > NAMES_MAX:
        return [Problem("names", f"has more than {NAMES_MAX:,} names")]
    problems = []
    seen = set(taken)
    for number, name in enumerate(names):
        place = f"names[{number}]"
        wrong = name_problems(name, place)
        problems += wrong
        if not wrong and name in seen:
            problems.append(Problem(place, f"a worker is named {name!r} already"))
        seen.add(name)
    return problems
