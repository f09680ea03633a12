"""Workflows as a person reads them: the list, how one stands, its Commands."""

from collections.abc import Sequence
from typing import Any, Final

from gaia_client.render import steps
from gaia_client.render.blocks import STYLES, Block, Grid, Text, moment
from gaia_client.render.workers import workers
from gaia_client.waiting import progress_words

INPUTS_SHOWN: Final = 20
FAILED_SHOWN: Final = 10


def workflows(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show the list of workflows."""
    if not reply:
        return [Text("No workflows.", "dim")]
    rows = tuple(
        (each["name"], each["owner"], each["state"], _share(each["steps"]), str(each["steps"]["failed"] or ""),
         moment(each["updated"]))
        for each in reply
    )  # fmt: skip
    columns = ("NAME", "OWNER", "STATE", "COMPLETE", "FAILED", "UPDATED")
    return [Grid(columns, rows, frozenset({"COMPLETE", "FAILED"}))]


def commands(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show Commands."""
    if not reply:
        return [Text("No Commands.", "dim")]
    rows = tuple(
        (each["name"], each.get("image", ""), " ".join(each.get("inputs", ())), " ".join(each.get("outputs", ())),
         " ".join(each.get("vars", ())))
        for each in reply
    )  # fmt: skip
    return [Grid(("NAME", "IMAGE", "INPUTS", "OUTPUTS", "VARS"), rows)]


def status(reply: dict[str, Any]) -> list[Block]:
    """Show how a workflow stands; its revision, Steps and workers only if the reply has `debug`."""
    blocks: list[Block] = [Text(state_words(reply), state_style(reply)), Text(progress_words(reply))]
    blocks += causes(reply)
    return blocks + (_debug(reply) if "debug" in reply else [])


def causes(reply: dict[str, Any]) -> list[Block]:
    """Show why a workflow is not complete: Keys it waits for, workers it has not, and Steps that failed."""
    remarks = [Text(remark, "magenta") for remark in reply.get("remarks", ())]
    return [*_inputs(reply), *remarks, *failures(reply)]


def failures(reply: dict[str, Any]) -> list[Block]:
    """Show the failed Steps of a status: where, why, and the last lines of their logs."""
    shown = reply["failed"][:FAILED_SHOWN]
    blocks = [block for failed in shown for block in steps.failure(f"failed {failed['step']}", failed)]
    more = reply["steps"]["failed"] - len(shown)
    return [*blocks, Text(f"… and {more} more failed", "red")] if more > 0 and blocks else blocks


def state(reply: dict[str, str]) -> list[Block]:
    """Show the state that `run` and `halt` answer."""
    return [Text(f"{reply['workflow']} {reply['state']}", STYLES.get(reply["state"], ""))]


def state_words(reply: dict[str, Any]) -> str:
    """Return the state of a status or an update: "running, stalled"."""
    return f"{reply['state']}, stalled" if reply["stalled"] else str(reply["state"])


def state_style(reply: dict[str, Any]) -> str:
    """Return the style of the state of a status or an update."""
    return STYLES.get("stalled" if reply["stalled"] else reply["state"], "")


def _inputs(reply: dict[str, Any]) -> list[Block]:
    """Show which Keys are waited for; those that nobody will write are what a person must act on."""
    missing = reply["missing-inputs"]
    if missing:
        shown = " ".join(missing[:INPUTS_SHOWN]) + (" …" if len(missing) > INPUTS_SHOWN else "")
        return [Text(f"waits for keys that no Step writes: {shown}", "magenta")]
    count = reply["waiting-inputs-count"]
    return [Text(f"waits for {count} {'key' if count == 1 else 'keys'}", "dim")] if count else []


def _debug(reply: dict[str, Any]) -> list[Block]:
    debug = reply["debug"]
    blocks: list[Block] = [Text(f"revision {reply['revision']}", "dim"), *steps.steps(debug["steps"])]
    if debug["next-page-start"]:
        blocks.append(Text(f"… more with --page-start {debug['next-page-start']}", "dim"))
    return [*blocks, *workers(debug["workers"])]


def _share(counts: dict[str, int]) -> str:
    return f"{counts['complete']}/{sum(counts.values())}"
