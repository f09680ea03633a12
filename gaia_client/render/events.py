"""Events in words: one line each, for the live view and for pipes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gaia_client.render.blocks import STYLES, Text, counted, moment, names_in_short

Event = dict[str, Any]

KEYS_SHOWN: Final = 3

_CHANGES: Final = {
    "complete": "is complete",
    "error": "is in error",
    "stalled": "is stalled",
    "commands": "has new Commands",
    "steps": "has new Steps",
    "removed": "has lost Steps",
}


def line(event: Event, with_workflow: bool) -> Text:
    """Return an event as one line of a log: time, workflow if there are several, number, words.

    Args:
        event: as `Gaia.watch` yields it.
        with_workflow: whether to name the workflow.
    """
    number = str(event["sequence"] or "-")
    workflow = f"  {event['workflow'] or '-'}" if with_workflow else ""
    return Text(f"{moment(event['time'])}{workflow}  {number:>5}  {words(event)}", style(event))


def short_line(event: Event, with_workflow: bool) -> Text:
    """Return an event as one line of the live view: the time of day and words."""
    workflow = f"  {event['workflow'] or '-'}" if with_workflow else ""
    return Text(f"{moment(event['time'])[11:]}{workflow}  {words(event)}", style(event))


def words(event: Event) -> str:
    """Return what happened."""
    tell = _WORDS.get(event["kind"])
    return " ".join(tell(event).split()) if tell else event["kind"]


def style(event: Event) -> str:
    """Return how a terminal shows an event: as the state that it leads to."""
    if event["kind"] == "workflow_changed":
        return STYLES.get(event["change"], "bold")
    return _STYLES.get(event["kind"], "")


def _workflow_changed(event: Event) -> str:
    change = _CHANGES.get(event["change"], f"was {event['change']}")
    return f"workflow {change}" + (f" {names_in_short(event['names'], event['count'])}" if event["count"] else "")


def _expired(event: Event) -> str:
    return f"expired {event['step']}" + (f": {event['reason']}" if event["reason"] != "expired" else "")


def _completed(event: Event) -> str:
    seconds = f", {event['run-ms'] / 1000:.1f} s"
    return f"completed {event['step']} ({_attempt(event)}{seconds}){_keys(event['outputs'])}"


def _failed(event: Event) -> str:
    return f"failed {event['step']} ({event['class']}, {_attempt(event)}): {event['message']}"


def _retrying(event: Event) -> str:
    when = moment(event["not-before"])[11:]
    return f"retrying {event['step']} at {when} ({event['class']}, attempt {event['attempt']}): {event['message']}"


def _worker_changed(event: Event) -> str:
    more = f": {event['reason']}" if event["reason"] else f" (pool {event['pool']})" if event["pool"] else ""
    return f"worker {event['worker']} {event['change']}{more}"


def progress(said: Mapping[str, Any]) -> str:
    """Return how far an attempt is: "3/10", "42%", "mapping reads", "3/10 mapping reads"."""
    done, total = said["done"], said["total"]
    number = "" if not total else f"{done}%" if total == 100 else f"{done:,}/{total:,}"
    return f"{number} {said['message']}".strip()


def _attempt(event: Event) -> str:
    return f"attempt {event['attempt']}" + (f" on {event['worker']}" if event["worker"] else "")


def _keys(outputs: Sequence[Mapping[str, Any]]) -> str:
    """Return what was written: ": a.txt b.txt and 3 more keys"."""
    if not outputs:
        return ""
    shown = " ".join(each["key"] for each in outputs[:KEYS_SHOWN])
    more = len(outputs) - KEYS_SHOWN
    return f": {shown} and {counted(more, 'more key')}" if more > 0 else f": {shown}"


_WORDS: Final[Mapping[str, Callable[[Event], str]]] = {
    "workflow_changed": _workflow_changed,
    "step_started": lambda event: f"started {event['step']} ({_attempt(event)})",
    "step_progress": lambda event: f"{event['step']} ({_attempt(event)}) is at {progress(event)}",
    "step_completed": _completed,
    "step_failed": _failed,
    "step_retrying": _retrying,
    "step_cancelled": lambda event: f"cancelled {event['step']} (attempt {event['attempt']}): {event['reason']}",
    "step_expired": _expired,
    "key_available": lambda event: f"key {event['key']} is there",
    "key_forgotten": lambda event: f"key {event['key']} is looked up anew",
    "worker_changed": _worker_changed,
}

KINDS: Final = tuple(_WORDS)
"""Every kind of event there is."""

_STYLES: Final = {
    "step_started": "cyan",
    "step_progress": "dim",
    "step_completed": "green",
    "step_failed": "bold red",
    "step_retrying": "yellow",
    "step_cancelled": "yellow",
    "step_expired": "yellow",
    "worker_changed": "dim",
}
