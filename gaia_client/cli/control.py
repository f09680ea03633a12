"""run, halt, expire, launch: change what a workflow does."""

import click

from gaia_client import render
from gaia_client.cli.session import Session, with_session
from gaia_core.errors import InvalidWorkflow, Problem


@click.command()
@click.argument("workflow")
@with_session
def run(session: Session, workflow: str) -> None:
    """Resume WORKFLOW if it was halted; if it runs, try its failed Steps again."""
    with session.client() as flow:
        reply = flow.run(workflow)
    session.show(reply, lambda: render.state(reply))


@click.command()
@click.argument("workflow")
@with_session
def halt(session: Session, workflow: str) -> None:
    """Cancel everything that runs in WORKFLOW and start nothing more until 'gaia run'."""
    with session.client() as flow:
        reply = flow.halt(workflow)
    session.show(reply, lambda: render.state(reply))


@click.command()
@click.argument("workflow")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@with_session
def expire(session: Session, workflow: str, names: tuple[str, ...]) -> None:
    """Make the Steps of WORKFLOW named so, those that write keys named so, and all that depends on them run again."""
    with session.client() as flow:
        reply = flow.expire(workflow, names)
    session.show(reply, lambda: render.expired(reply))
    session.hint(f"next: gaia wait {workflow}")


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--metadata", "-m", metavar="NAME=VALUE", multiple=True, help="Tell the launcher something.")
@with_session
def launch(session: Session, names: tuple[str, ...], metadata: tuple[str, ...]) -> None:
    """Have the server start workers with these NAMEs; each leaves 5 minutes after its last Step."""
    pairs = [text.partition("=") for text in metadata]
    bad = [Problem("metadata", f"{name!r} is not NAME=VALUE") for name, equals, _ in pairs if not (name and equals)]
    if bad:
        raise InvalidWorkflow.of(bad)
    with session.client() as flow:
        reply = flow.launch(names, {name: value for name, _, value in pairs})
    session.show(reply, lambda: render.names(reply))
