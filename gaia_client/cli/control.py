"""run, halt, expire, launch, drain: change what a workflow does, and who works on it."""

import click

from gaia_client.cli.session import Session, expected_revision_option, with_session
from gaia_client.render import changes, workflows
from gaia_core.errors import InvalidWorkflow, Problem


@click.command()
@click.argument("workflow")
@with_session
def run(session: Session, workflow: str) -> None:
    """Resume WORKFLOW if it was halted; if it runs, try its failed Steps again."""
    with session.client() as flow:
        reply = flow.run(workflow)
    session.show(reply, lambda: workflows.state(reply))


@click.command()
@click.argument("workflow")
@with_session
def halt(session: Session, workflow: str) -> None:
    """Cancel everything that runs in WORKFLOW and start nothing more until 'gaia run'."""
    with session.client() as flow:
        reply = flow.halt(workflow)
    session.show(reply, lambda: workflows.state(reply))


@click.command()
@click.argument("workflow")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--plan", is_flag=True, help="Tell what would run again, and why, and change nothing.")
@expected_revision_option
@with_session
def expire(session: Session, workflow: str, names: tuple[str, ...], plan: bool, expected_revision: int | None) -> None:
    """Make the Steps of WORKFLOW named so, those that write keys named so, and all that depends on them run again.

    A key that no Step writes is looked up anew.
    """
    with session.client() as flow:
        reply = flow.expire(workflow, names, plan, expected_revision=expected_revision)
    if plan:
        session.show(reply, lambda: changes.plan(reply))
        return
    session.show(reply, lambda: changes.expired(reply))
    session.hint(f"next: gaia watch {workflow}")


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@click.option("--metadata", "-m", metavar="NAME=VALUE", multiple=True, help="Keep this with the workers.")
@with_session
def launch(session: Session, names: tuple[str, ...], metadata: tuple[str, ...]) -> None:
    """Have the server start workers with these NAMEs; each leaves 5 minutes after its last Step."""
    pairs = [text.partition("=") for text in metadata]
    bad = [Problem("metadata", f"{name!r} is not NAME=VALUE") for name, equals, _ in pairs if not (name and equals)]
    if bad:
        raise InvalidWorkflow.of(bad)
    with session.client() as flow:
        reply = flow.launch(names, {name: value for name, _, value in pairs})
    session.show(reply, lambda: changes.names(reply))


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@with_session
def drain(session: Session, names: tuple[str, ...]) -> None:
    """Ask the workers with these NAMEs to take nothing new, finish what they run, and leave."""
    with session.client() as flow:
        reply = flow.drain(names)
    session.show(reply, lambda: changes.names(reply))
    session.hint("next: gaia workers")
