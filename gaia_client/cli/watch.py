"""watch: events of one workflow or of all, as they happen."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import click

from gaia_client.cli.displays import Display, JsonDisplay, LineDisplay, can_draw, live_display
from gaia_client.cli.main import EXIT_FAILED
from gaia_client.cli.session import Session, show_blocks, with_session
from gaia_client.following import EVENTS, Following, Wanted
from gaia_client.render.events import KINDS
from gaia_client.render.workflows import causes


@click.command(epilog=f"KINDs are {', '.join(KINDS)}.")
@click.argument("workflow", required=False)
@click.option("--from", "start", metavar="N", type=click.IntRange(0), help="Begin with event N; 0: with the next one.")
@click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only events of this kind.")
@click.option("--step", "steps", metavar="STEP", multiple=True, help="Only events about this Step of WORKFLOW.")
@click.option("--events", "as_lines", is_flag=True, help="Print a line per event, on a terminal too.")
@click.option("--follow", "-f", is_flag=True, help="Go on when WORKFLOW is at rest.")
@click.option("--exit-status", is_flag=True, help="End with exit code 0 if WORKFLOW is complete, else with 1.")
@with_session
def watch(
    session: Session, workflow: str | None, as_lines: bool, follow: bool, exit_status: bool, **which: Any
) -> None:
    """Show what happens in WORKFLOW, or in all workflows: what is kept of the past, then everything as it happens.

    On a terminal this is a live view; elsewhere, and with --events, a line per event; with --json an object per line.

    With a WORKFLOW it ends when that is complete, in error, halted or stalled, and Ctrl-C ends it always; the
    workflow goes on.

    --kind and --step may be given several times; the name of a sweep or composite stands for all Steps made from it.
    """
    if workflow is None and (which["start"] or exit_status):
        raise click.UsageError("--from N and --exit-status need a WORKFLOW: of all together no event has a number.")
    if workflow is None and which["steps"]:
        raise click.UsageError("--step needs a WORKFLOW: the one that the STEP belongs to.")
    draws = can_draw() and not as_lines and not session.as_json
    wanted = Wanted(workflow, **which, is_endless=follow, may_skip=draws)
    with session.client() as flow:
        following = Following(flow, wanted)
        with _display(session, workflow, draws) as display:
            _show(following, display)
    status = following.status
    if draws and status:
        show_blocks(causes(status))
    if exit_status and (status is None or status["state"] != "complete"):
        click.get_current_context().exit(EXIT_FAILED)


def _show(following: Following, display: Display) -> None:
    for item in following:
        if item is not None and item.stream == EVENTS:
            display.event(item.value)
        elif item is not None:
            display.update(item.value)
        display.draw(time.monotonic())


def _display(session: Session, workflow: str | None, draws: bool) -> AbstractContextManager[Display]:
    if draws:
        return live_display(workflow, time.monotonic)
    return nullcontext(JsonDisplay(workflow) if session.as_json else LineDisplay(workflow))
