"""upload, command, merge, remove: say what a workflow consists of."""

import click

from gaia_client import files
from gaia_client.cli.session import Session, expected_revision_option, located, reasons_option, with_session
from gaia_client.render import changes, workflows
from gaia_core.errors import RequestError

FILES = click.Path()


@click.command()
@click.argument("workflow")
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=FILES)
@click.option("--property", "-p", "properties", metavar="NAME=VALUE", multiple=True, help="Set a property.")
@reasons_option
@with_session
def upload(session: Session, workflow: str, paths: tuple[str, ...], properties: tuple[str, ...], reasons: bool) -> None:
    """Create WORKFLOW from files and start it.

    A FILE holds a list of Commands, a list of Steps, or a map with commands, steps and properties; YAML or JSON.
    """
    documents = files.load(paths)
    documents.properties |= dict(_property(text) for text in properties)
    with session.client() as flow, located(documents):
        reply = flow.upload(workflow, documents.properties, documents.commands, documents.steps)
    session.show(reply, lambda: changes.diff(reply, reasons))
    session.hint(f"next: gaia watch {workflow} · gaia status {workflow} · gaia ls {workflow}")


@click.command()
@click.argument("workflow")
@click.argument("path", metavar="[FILE]", required=False, type=FILES)
@expected_revision_option
@with_session
def command(session: Session, workflow: str, path: str | None, expected_revision: int | None) -> None:
    """List the Commands of WORKFLOW; with a FILE, add or replace some first.

    Every Step that uses a changed Command, and all that depends on it, runs again.
    """
    documents = files.load([path] if path else [], "commands")
    _refuse_rest("Steps", documents.steps, "gaia merge")
    with session.client() as flow, located(documents):
        reply = flow.command(workflow, documents.commands, expected_revision=expected_revision)
    session.show(reply, lambda: workflows.commands(reply))


@click.command()
@click.argument("workflow")
@click.argument("path", metavar="FILE", type=FILES)
@click.option("--only-changed", is_flag=True, help="Leave Steps alone whose definition is the same as before.")
@click.option("--prune", is_flag=True, help="Remove Steps of these sweeps that they no longer make.")
@expected_revision_option
@reasons_option
@with_session
def merge(
    session: Session, workflow: str, path: str, expected_revision: int | None, reasons: bool, **how: bool
) -> None:
    """Add or update the Steps of FILE in WORKFLOW.

    Each of them, and all that depends on it, runs (again).
    """
    documents = files.load([path], "steps")
    _refuse_rest("Commands", documents.commands, "gaia command")
    with session.client() as flow, located(documents):
        reply = flow.merge(workflow, documents.steps, expected_revision=expected_revision, **how)
    session.show(reply, lambda: changes.diff(reply, reasons))
    session.hint(f"next: gaia watch {workflow} · gaia status {workflow}")


@click.command()
@click.argument("workflow")
@click.argument("names", metavar="STEP…", nargs=-1, required=True)
@expected_revision_option
@reasons_option
@with_session
def remove(
    session: Session, workflow: str, names: tuple[str, ...], expected_revision: int | None, reasons: bool
) -> None:
    """Take Steps out of WORKFLOW; the name of a sweep or composite stands for all Steps made from it.

    What they wrote no longer counts: Steps that read it run again once it is there anew.
    """
    with session.client() as flow:
        reply = flow.remove(workflow, names, expected_revision=expected_revision)
    session.show(reply, lambda: changes.diff(reply, reasons))


def _property(text: str) -> tuple[str, object]:
    """Return name and value of NAME=VALUE; the value is read as YAML reads it."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--property")
    return name, files.parse_value(value)


def _refuse_rest(what: str, found: list[object], other: str) -> None:
    if found:
        raise RequestError(f"The file holds {what} too, which this command would leave out", hint=f"use {other}")
