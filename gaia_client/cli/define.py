"""upload, command, merge: bring Commands and Steps from files into workflows."""

import click

from gaia_client import files, render
from gaia_client.cli.session import Session, located, with_session
from gaia_core.errors import RequestError

FILES = click.Path()


@click.command()
@click.argument("workflow")
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=FILES)
@click.option("--property", "-p", "properties", metavar="NAME=VALUE", multiple=True, help="Set a property.")
@with_session
def upload(session: Session, workflow: str, paths: tuple[str, ...], properties: tuple[str, ...]) -> None:
    """Create WORKFLOW from files and start it.

    A FILE holds a list of Commands, a list of Steps, or a map with commands, steps and properties; YAML or JSON.
    """
    documents = files.load(paths)
    documents.properties |= dict(_property(text) for text in properties)
    with session.client() as flow, located(documents):
        reply = flow.upload(workflow, documents.properties, documents.commands, documents.steps)
    session.show(reply, lambda: render.diff(reply))
    session.hint(f"next: gaia wait {workflow} · gaia status {workflow} · gaia ls {workflow}")


@click.command()
@click.argument("workflow")
@click.argument("path", metavar="[FILE]", required=False, type=FILES)
@with_session
def command(session: Session, workflow: str, path: str | None) -> None:
    """List the Commands of WORKFLOW; with a FILE, add or replace some first.

    Every Step that uses a changed Command, and all that depends on it, runs again.
    """
    documents = files.load([path] if path else [], "commands")
    _refuse_rest("Steps", documents.steps, "gaia merge")
    with session.client() as flow, located(documents):
        reply = flow.command(workflow, documents.commands)
    session.show(reply, lambda: render.commands(reply))


@click.command()
@click.argument("workflow")
@click.argument("path", metavar="FILE", type=FILES)
@with_session
def merge(session: Session, workflow: str, path: str) -> None:
    """Add or update the Steps of FILE in WORKFLOW.

    A changed Step, and all that depends on it, runs again.
    """
    documents = files.load([path], "steps")
    _refuse_rest("Commands", documents.commands, "gaia command")
    with session.client() as flow, located(documents):
        reply = flow.merge(workflow, documents.steps)
    session.show(reply, lambda: render.diff(reply))
    session.hint(f"next: gaia wait {workflow} · gaia status {workflow}")


def _property(text: str) -> tuple[str, object]:
    """Return name and value of NAME=VALUE; the value is read as YAML reads it."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--property")
    return name, files.parse_value(value)


def _refuse_rest(what: str, found: list[object], other: str) -> None:
    if found:
        raise RequestError(f"The file holds {what} too, which this command would leave out", hint=f"use {other}")
