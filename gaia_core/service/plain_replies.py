"""Answers of the machine as the original's clients know them: those of the Python client, and Commands as a map."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gaia_core.machine.requests import WorkerView
from gaia_core.service.replies import debug_message, status_message, summary_message
from gaia_core.wire import plain
from gaia_core.workflow.model import Command
from gaia_core.workflow.parse import command_to_plain
from gaia_core.workflow.views import Status, StepView, Summary


def commands_by_name(commands: Iterable[Command]) -> dict[str, Any]:
    """Return Commands as users write them, by name."""
    return {command.name: _command(command) for command in commands}


def summary_plain(line: Summary) -> dict[str, Any]:
    """Return one line of the list of workflows, with the number of its Steps."""
    return {**plain.workflow(summary_message(line)), "step-count": sum(line.steps.values())}


def status_plain(status: Status) -> dict[str, Any]:
    """Return how a workflow stands, its Commands by name."""
    bare = plain.status(status_message(replace(status, commands=())))
    return {**bare, "commands": commands_by_name(status.commands)}


def debug_plain(steps: Sequence[StepView], next_page_start: int, workers: Sequence[WorkerView]) -> dict[str, Any]:
    """Return a page of Steps, and the workers."""
    return plain.debug(debug_message(steps, next_page_start, workers))


def _command(command: Command) -> dict[str, Any]:
    """Return a Command in which the maps that the original documents are always there."""
    found = command_to_plain(command)
    if command.image:
        for field in ("inputs", "outputs", "vars"):
            found.setdefault(field, {})
    return found
