"""delete: forget a workflow, once somebody has said so."""

import sys

import click

from gaia_client.cli.main import EXIT_FAILED
from gaia_client.cli.session import Session, expected_revision_option, with_session
from gaia_client.client import Gaia
from gaia_client.render import changes
from gaia_client.render.blocks import counted
from gaia_core.errors import RequestError


@click.command()
@click.argument("workflow")
@click.option("--data", is_flag=True, help="Delete the files of its data space too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@expected_revision_option
@with_session
def delete(session: Session, workflow: str, data: bool, yes: bool, expected_revision: int | None) -> None:
    """Halt WORKFLOW and forget it: its Commands, its Steps, and what is known of its files.

    Its name is free again. Without --data its files stay in the store. It asks before; where nobody can be asked,
    it wants --yes.
    """
    with session.client() as flow:
        if not yes and not _agreed(flow, workflow, data):
            click.echo("nothing was deleted", err=True)
            click.get_current_context().exit(EXIT_FAILED)
        reply = flow.delete(workflow, data, expected_revision=expected_revision)
    session.show(reply, lambda: changes.deleted(reply, data))


def can_ask() -> bool:
    """Tell whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def _agreed(flow: Gaia, workflow: str, data: bool) -> bool:
    """Ask whoever sits at the terminal.

    Raises:
        RequestError: nobody can be asked.
    """
    if not can_ask():
        raise RequestError("Nobody can be asked whether to delete the workflow.", hint="say so with --yes")
    status = flow.status(workflow)
    files = "all its files" if data else "not its files"
    what = f"{workflow} ({status['state']}, {counted(sum(status['steps'].values()), 'Step')}), and {files}"
    return click.confirm(f"Delete {what}?", err=True)
