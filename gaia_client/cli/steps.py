"""steps, explain, workers: look closely at Steps, and at who runs them."""

import sys
from itertools import islice
from typing import Final

import click

from gaia_client.cli.session import Session, with_session
from gaia_client.render import steps as render
from gaia_client.render.workers import workers as workers_shown
from gaia_core.wire.plain import STEP_STATES

SHOWN_MAX: Final = 1_000
"""Nobody reads a longer table; a program that reads JSON wants all."""


@click.command()
@click.argument("workflow")
@click.option("--prefix", metavar="TEXT", default="", help="Only those whose names start so.")
@click.option("--state", "states", multiple=True, type=click.Choice(STEP_STATES), help="Only those in this state.")
@click.option("--command", metavar="NAME", default="", help="Only those that use this Command.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Only the first N [1000; with --json all].")
@with_session
def steps(
    session: Session, workflow: str, prefix: str, states: tuple[str, ...], command: str, limit: int | None
) -> None:
    """List the Steps of WORKFLOW, those merged first at the top.

    --state may be given several times.
    """
    most = limit or (sys.maxsize - 1 if session.as_json else SHOWN_MAX)
    with session.client() as flow:
        found = list(islice(flow.steps(workflow, prefix=prefix, states=states, command=command), most + 1))
    reply = found[:most]
    session.show(reply, lambda: render.steps(reply, truncated=len(found) > most))


@click.command()
@click.argument("workflow")
@click.argument("step")
@with_session
def explain(session: Session, workflow: str, step: str) -> None:
    """Tell why STEP of WORKFLOW waits, ran or will run.

    The name of a sweep or composite stands for all Steps made from it.
    """
    with session.client() as flow:
        reply = flow.explanations(workflow, step)
    session.show(reply["steps"], lambda: render.explanations(reply["steps"], reply["truncated"]))


@click.command()
@with_session
def workers(session: Session) -> None:
    """List the workers: how they are, what they have and use of it, and what each holds since when."""
    with session.client() as flow:
        reply = flow.workers()
    session.show(reply, lambda: workers_shown(reply))
    if not reply:
        session.hint("start one with: gaia worker · gaia launch NAME")
