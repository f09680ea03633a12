"""put, announce, get, ls: files into and out of a workflow's data space."""

import sys

import click

from gaia_client.cli.session import Session, with_session
from gaia_client.render import changes, files
from gaia_client.render.blocks import Text


@click.command()
@click.argument("workflow")
@click.argument("key")
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@with_session
def put(session: Session, workflow: str, key: str, path: str) -> None:
    """Store FILE in WORKFLOW under KEY, or every file of a folder under a KEY that ends in "/".

    A FILE named - is standard input.
    """
    with session.client() as flow:
        reply = flow.put(workflow, key, sys.stdin.buffer if path == "-" else path)
    session.show(reply, lambda: files.files(reply))


@click.command()
@click.argument("workflow")
@click.argument("keys", metavar="KEY…", nargs=-1, required=True)
@with_session
def announce(session: Session, workflow: str, keys: tuple[str, ...]) -> None:
    """Tell Gaia that KEYs of WORKFLOW lie in the store, without waiting for it to notice.

    Something else must have put them there: Steps that read them run. A KEY that ends in "/" is a tree, as a whole.
    """
    with session.client() as flow:
        reply = flow.announce(workflow, keys)
    session.show(reply, lambda: changes.names(reply))


@click.command()
@click.argument("workflow")
@click.argument("key")
@click.argument("path", metavar="[FILE]", default="-", type=click.Path(allow_dash=True))
@with_session
def get(session: Session, workflow: str, key: str, path: str) -> None:
    """Read KEY of WORKFLOW into FILE, or to standard output.

    A KEY that ends in "/" is read into the folder FILE.
    """
    with session.client() as flow:
        if path == "-" and not key.endswith("/"):
            flow.get(workflow, key, sys.stdout.buffer)
            return
        if path == "-":
            raise click.UsageError(f"{key} is a tree: name a folder to write it to.")
        flow.get(workflow, key, path)
    reply = {"key": key, "path": path}
    session.show(reply, lambda: [Text(f"wrote {path}", "dim")])


@click.command()
@click.argument("workflow")
@click.argument("prefix", default="")
@with_session
def ls(session: Session, workflow: str, prefix: str) -> None:
    """List the files of WORKFLOW whose keys start with PREFIX."""
    with session.client() as flow:
        reply = flow.listing(workflow, prefix)
    session.show(reply["files"], lambda: files.files(reply["files"], reply["truncated"]))
