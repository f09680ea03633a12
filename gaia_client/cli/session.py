"""What every command that asks a server shares: its options, the client, and how answers are shown."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from gaia_client.client import Gaia
from gaia_client.files import Documents
from gaia_client.render import blocks
from gaia_client.render.blocks import Block
from gaia_core.errors import InvalidWorkflow, Problem

expected_revision_option = click.option(
    "--expected-revision",
    metavar="N",
    type=click.IntRange(0),
    help="Refuse, and change nothing, unless the workflow has this revision; 'gaia status --json' tells it.",
)

reasons_option = click.option("--reasons", is_flag=True, help="Tell why each Step runs (again).")


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the command line."""

    host: str | None
    token: str | None
    as_json: bool

    @contextmanager
    def client(self) -> Iterator[Gaia]:
        """Give a client and close it afterwards."""
        given = {"gaia_host": self.host, "token": self.token}
        with Gaia({name: value for name, value in given.items() if value}) as flow:
            yield flow

    def show(self, reply: object, shown: Callable[[], Iterable[Block]]) -> None:
        """Print an answer: as JSON, as tables on a terminal, or as plain lines."""
        if self.as_json:
            click.echo(json.dumps(reply, indent=2))
        else:
            show_blocks(shown())

    def hint(self, words: str) -> None:
        """Tell a person at a terminal what to do next; pipes do not see it."""
        if not self.as_json and sys.stdout.isatty():
            click.secho(words, dim=True)


def show_blocks(shown: Iterable[Block]) -> None:
    """Print blocks for a terminal or for a pipe."""
    show = printer()
    for block in shown:
        show(block)


def printer() -> Callable[[Block], None]:
    """Return what prints a block for a terminal or for a pipe."""
    if not sys.stdout.isatty():
        return _print_lines
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    console = Console(highlight=False)
    return lambda block: console.print(blocks.rich_of(block), soft_wrap=isinstance(block, blocks.Text))


def _print_lines(block: Block) -> None:
    for line in blocks.lines([block]):
        click.echo(blocks.printable(line))


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --host, --token and --json, and a Session as its first argument."""

    @click.option("--host", metavar="HOST:PORT", help="The server, or several with commas [GAIA_HOST].")
    @click.option("--token", metavar="TOKEN", help="The server's token; better in the variable GAIA_TOKEN.")
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
    @functools.wraps(command)
    def wrapped(host: str | None, token: str | None, as_json: bool, **arguments: Any) -> None:
        shared = click.get_current_context().find_root().params
        session = Session(
            host=host or shared.get("host"),
            token=token or shared.get("token"),
            as_json=as_json or bool(shared.get("as_json")),
        )
        command(session, **arguments)

    return wrapped


@contextmanager
def located(documents: Documents) -> Iterator[None]:
    """Put file and line before the place of every problem of what was read from files."""
    try:
        yield
    except InvalidWorkflow as refusal:
        found = [located_problem(documents, problem) for problem in refusal.problems]
        raise InvalidWorkflow(refusal.message, hint=refusal.hint, problems=found) from None


def located_problem(documents: Documents, problem: Problem) -> Problem:
    """Return a problem whose place starts with file and line."""
    where = documents.locate(problem)
    return Problem(f"{where}: {problem.place}", problem.message) if where else problem
