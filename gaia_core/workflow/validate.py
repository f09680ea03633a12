"""Whether Commands and Steps may enter a workflow: every Problem with its place, all at once, nothing changed.

What has unknown parts, or is wrong, is still checked as far as it is understood; one mistake is told once. Called by
the client and the service before they ask the machine, and by the machine.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple

from gaia_core.errors import Problem
from gaia_core.workflow.composite import TOO_DEEP, composite_problems, is_too_deep, spread
from gaia_core.workflow.draft import PROBLEMS_MAX, Draft
from gaia_core.workflow.expand import expand
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.interface import interface_problems, suggestion, var_problems
from gaia_core.workflow.leaf import leaf_problems
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.outline import outline
from gaia_core.workflow.rules import ANY, Rules
from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.unknown import UNKNOWN

__all__ = [
    "ANY", "PROBLEMS_MAX", "Draft", "Judged", "Rules", "check", "command_problems", "draft_commands", "draft_steps",
    "judge_commands",
]  # fmt: skip

STEPS_NAMED_MAX: Final = 100
"""A change that breaks more Steps than this names so many, and counts the rest."""


class Judged(NamedTuple):
    """Commands that were looked at one by one.

    Attributes:
        commands: all there will be, by name; of two of one name the last.
        spoilt: names of those that are wrong, and of composites that contain them.
        problems: what is wrong with those given, but for their form.
    """

    commands: Mapping[str, Command]
    spoilt: Collection[str] = ()
    problems: Sequence[Problem] = ()


def check(commands: Reading[Command], steps: Reading[StepSpec]) -> list[Problem]:
    """Return the problems of a new workflow of these Commands and Steps, but for those of their form."""
    judged = judge_commands(commands, {})
    return [*judged.problems, *draft_steps(None, judged if commands.is_list else None, steps).problems]


def judge_commands(given: Reading[Command], known: Mapping[str, Command]) -> Judged:
    """Look at Commands one by one, whatever Steps will use them.

    Args:
        given: the Commands, as far as they are understood.
        known: those of the workflow.
    """
    commands = {**known, **{command.name: command for command in given.items}}
    commands.pop(UNKNOWN, None)
    found = [list(command_problems(one, commands, f"commands[{n}]")) for n, one in enumerate(given.items)]
    wrong = {one.name for n, one in enumerate(given.items) if found[n] or n in given.unsound}
    return Judged(commands, spread(wrong, commands) if wrong else (), list(chain.from_iterable(found)))


def command_problems(command: Command, commands: Mapping[str, Command], place: str) -> Iterator[Problem]:
    """Yield what is wrong with one Command, whatever Steps will use it.

    Args:
        command: the Command.
        commands: all Commands there will be; inner Steps of a composite use them.
        place: of the Command in the request.
    """
    for name in command.vars:
        if name != UNKNOWN and (name in command.inputs or name in command.outputs):
            yield Problem(f"{place}.vars.{name}", f"{name!r} is both a var and an input or output")
    yield from composite_problems(command, commands, place) if command.steps else leaf_problems(command, place)


def draft_steps(
    workflow: WorkflowState | None,
    judged: Judged | None,
    steps: Reading[StepSpec],
    *,
    prune: bool = False,
    rules: Rules = ANY,
) -> Draft:
    """Lay Steps beside a workflow and find every problem.

    Args:
        workflow: what they would enter, or None for a new one.
        judged: all Commands there will be; None where nothing is known of them.
        steps: the Steps, as far as they are understood.
        prune: elements of these sweeps that are not made any more go.
        rules: what the deployment allows.
    """
    draft = Draft()
    seen = {UNKNOWN}
    for number, spec in enumerate(steps.items):
        if len(draft.problems) >= PROBLEMS_MAX:
            break
        place = f"steps[{number}]"
        named = spec if spec.name not in seen else replace(spec, name=place)
        seen.add(spec.name)
        flats = _lay(draft, judged, named, place, rules, is_sound=number not in steps.unsound)
        draft.flats += [(place, flat) for flat in flats]
    draft.judge(workflow, rules, steps.items if prune else ())
    return draft


def _lay(
    draft: Draft, judged: Judged | None, spec: StepSpec, place: str, rules: Rules, *, is_sound: bool
) -> list[FlatStep]:
    """Return the Steps that a spec makes, or their outlines where something keeps it from being expanded."""
    command = judged.commands.get(spec.command) if judged is not None else None
    if judged is not None and command is not None:
        if is_sound and command.name not in judged.spoilt:
            flats = expand(spec, judged.commands, place, draft.problems, rules.sweep_steps_max)
            if flats:
                return flats
        else:
            draft.problems += [*interface_problems(spec, command, place), *var_problems(spec, command, place)]
    elif judged is not None and spec.command != UNKNOWN:
        message = f"there is no Command {spec.command!r}{suggestion(spec.command, judged.commands)}"
        draft.problems.append(Problem(f"{place}.command", message))
    draft.outlined.append(spec.name)
    return outline(spec, command, place, draft.problems, rules.sweep_steps_max)


def draft_commands(workflow: WorkflowState, given: Reading[Command], judged: Judged, rules: Rules) -> Draft:
    """Lay changed Commands beside a workflow: the Steps that use them, expanded anew, and all that would break.

    Args:
        workflow: the workflow.
        given: Commands; those that are as they were change nothing.
        judged: all Commands there will be.
        rules: what the deployment allows.
    """
    places = {
        command.name: f"commands[{number}]"
        for number, command in enumerate(given.items)
        if workflow.commands.get(command.name) != command
    }
    draft = Draft()
    broken = dict(_broken_composites(workflow, given.items, judged.commands))
    draft.problems += chain.from_iterable(broken.values())
    broken_too = spread(broken, judged.commands) if broken else set()
    named = unnamed = 0
    for spec, owned in workflow.specs_using(places):
        place = next(places[name] for step in owned.values() for name in step.commands if name in places)
        flats, found = _anew(spec, owned, judged, broken_too, rules)
        if not found:
            draft.flats += [(place, flat) for flat in flats if flat.element in owned]
        elif named < STEPS_NAMED_MAX:
            named += 1
            draft.problems += [_would_break(f"Step {spec.name!r}", place, problem) for problem in found]
        else:
            unnamed += 1
    if unnamed:
        draft.problems.append(Problem("commands", f"{unnamed} more Steps would become invalid"))
    draft.judge(workflow, rules)
    return draft


def _anew(
    spec: StepSpec, owned: Iterable[str], judged: Judged, broken: Collection[str], rules: Rules
) -> tuple[list[FlatStep], list[Problem]]:
    """Return what a spec of the workflow stands for with the Commands there will be, and what is wrong with that.

    Args:
        spec: the Step as written.
        owned: names of the elements it defines.
        judged: all Commands.
        broken: composites that would become invalid.
        rules: what the deployment allows.
    """
    command = judged.commands[spec.command]
    if command.name in broken:
        return [], [Problem("", f"its Command {command.name!r} would")]
    found: list[Problem] = []
    if command.name in judged.spoilt:
        return [], [*interface_problems(spec, command, ""), *var_problems(spec, command, "")]
    flats = expand(spec, judged.commands, "", found, rules.sweep_steps_max)
    return flats, found or list(_renamed(owned, flats))


def _would_break(what: str, place: str, problem: Problem) -> Problem:
    """Return a problem of what is in the workflow as one of the change that leads to it."""
    within = Problem(problem.place.lstrip("."), problem.message)
    return Problem(place, f"{what} would become invalid: {within}")


def _renamed(owned: Iterable[str], flats: Iterable[FlatStep]) -> Iterator[Problem]:
    """Yield the elements of a sweep that would get another name: a value splices what the Command gives a var."""
    made = {flat.element for flat in flats}
    gone = next((element for element in owned if element not in made), None)
    if gone is not None:
        message = f"{gone!r} would get another name, as values of its vars splice a default; remove it, then merge anew"
        yield Problem(".vars", message)


def _broken_composites(
    workflow: WorkflowState, given: Sequence[Command], commands: Mapping[str, Command]
) -> Iterator[tuple[str, list[Problem]]]:
    """Yield composites of the workflow that would not fit the given Commands any more, and why."""
    news = {command.name: number for number, command in enumerate(given)}
    for command in workflow.commands.values():
        if command.name in news:
            continue
        what = f"Command {command.name!r}"
        inner = next((step.command for step in command.steps if step.command in news), None)
        if inner is not None:
            found = list(composite_problems(command, commands, ""))
            if found:
                yield command.name, [_would_break(what, f"commands[{news[inner]}]", problem) for problem in found]
        elif is_too_deep(command, commands):
            yield command.name, [Problem("commands", f"{what} would become invalid: {TOO_DEEP}")]
