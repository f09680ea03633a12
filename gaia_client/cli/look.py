"""workflows, status, wait: see how things stand, now or until they come to rest."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from gaia_client.cli.main import EXIT_FAILED
from gaia_client.cli.session import Session, with_session
from gaia_client.progress import Lines, Pace
from gaia_client.render import workflows as render
from gaia_client.waiting import at_rest

Progress = Callable[[dict[str, Any]], None]

WIDE = 110
"""Columns from which on a bar fits beside the words."""


@click.command()
@click.option("--prefix", metavar="TEXT", help="Only those whose names start so.")
@click.option("--owner", metavar="NAME", help="Only those of this owner.")
@click.option("--state", metavar="STATE", help="Only those in this state.")
@with_session
def workflows(session: Session, prefix: str | None, owner: str | None, state: str | None) -> None:
    """List workflows by name."""
    with session.client() as flow:
        reply = flow.workflows(prefix, owner, state)
    session.show(reply, lambda: render.workflows(reply))


@click.command()
@click.argument("workflow")
@click.option("--debug", is_flag=True, help="Show Steps and workers too.")
@click.option("--page-start", metavar="N", type=click.IntRange(0), default=0, help="With --debug: first Step to show.")
@with_session
def status(session: Session, workflow: str, debug: bool, page_start: int) -> None:
    """Tell how WORKFLOW stands."""
    with session.client() as flow:
        reply = flow.status(workflow, debug, page_start=page_start)
    session.show(reply, lambda: render.status(reply))


@click.command()
@click.argument("workflow")
@click.option("--timeout", "timeout_s", metavar="S", type=click.FloatRange(0), help="Give up after so many seconds.")
@with_session
def wait(session: Session, workflow: str, timeout_s: float | None) -> None:
    """Wait until WORKFLOW is complete, in error, halted or stalled.

    The exit code is 0 if it is complete, else 1.
    """
    try:
        with session.client() as flow, progress_on_stderr() as on_progress:
            reply = flow.wait(workflow, timeout_s, on_progress)
    except KeyboardInterrupt:
        click.echo(f"\nthe workflow goes on; to stop it: gaia halt {workflow}", err=True)
        raise
    session.show(reply, lambda: render.status(reply))
    if reply["state"] != "complete":
        click.get_current_context().exit(EXIT_FAILED)


@contextmanager
def progress_on_stderr(what: str = "") -> Iterator[Progress]:
    """Give what shows a status: a live bar on a terminal, else a line per change.

    Args:
        what: is shown in the place of the state.
    """
    if not sys.stderr.isatty():
        yield _plain_progress(what)
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    state = TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True, min_width=8))
    console = Console(stderr=True)
    drawn = (BarColumn(bar_width=24),) if console.width >= WIDE else ()
    with Bar(state, *drawn, TextColumn("{task.description}"), console=console, transient=True) as bar:
        yield _live_progress(bar, what)


def _plain_progress(what: str) -> Progress:
    pace, lines = Pace(), Lines()
    told: set[str] = set()

    def show(status: dict[str, Any]) -> None:
        now = time.monotonic()
        pace.add(now, status)
        if lines.worth(now, status, final=at_rest(status)):
            words = pace.words(status)
            click.echo(f"{what}: {words}" if what else f"{words} ({_state(status)})", err=True)
        for remark in status.get("remarks", ()):
            if remark not in told:
                told.add(remark)
                click.echo(remark, err=True)

    return show


def _live_progress(bar: Any, what: str) -> Progress:
    pace = Pace()
    task = bar.add_task("", total=None, state="")

    def show(status: dict[str, Any]) -> None:
        pace.add(time.monotonic(), status)
        steps = status["steps"]
        total = sum(steps.values()) or None
        bar.update(
            task,
            total=total,
            completed=steps["complete"],
            description="; ".join([pace.words(status), *status.get("remarks", ())[:1]]),
            state=f"{what}:" if what else f"[{render.state_style(status) or 'default'}]{_state(status)}[/]",
        )

    return show


def _state(status: dict[str, Any]) -> str:
    return "stalled" if status["stalled"] else str(status["state"])
