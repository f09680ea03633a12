"""logs: what a Step's program wrote, and what it writes."""

import json
import sys
from typing import Any

import click

from gaia_client.cli.session import Session, with_session
from gaia_client.logs import ALL
from gaia_client.render import logs as render
from gaia_client.render.blocks import printable


def _attempt(_context: click.Context, _option: click.Parameter, text: str | None) -> int | str | None:
    """Return which attempt is meant: a number from 1 on, or "all"."""
    if text is None or text == ALL:
        return text
    if not text.isdigit() or not int(text):
        raise click.BadParameter(f"{text!r} is neither a number from 1 on nor {ALL!r}")
    return int(text)


@click.command(
    epilog="What is left out, or waited for, is said on stderr; so 'gaia logs … > file' keeps what the program wrote."
)
@click.argument("workflow")
@click.argument("step")
@click.option("--follow", "-f", is_flag=True, help="Go on as it is written, until STEP is complete or has failed.")
@click.option("--attempt", metavar="N", callback=_attempt, help="Of attempt N, or of 'all' [the newest].")
@click.option("--tail", metavar="N", type=click.IntRange(0, 10_000), help="Begin with the last N lines.")
@click.option("--stdout", "streams", flag_value="stdout", help="Only standard output.")
@click.option("--stderr", "streams", flag_value="stderr", help="Only standard error.")
@click.option("--timestamps", "-t", is_flag=True, help="Put before each line when it was begun, in UTC.")
@with_session
def logs(
    session: Session,
    workflow: str,
    step: str,
    follow: bool,
    attempt: int | str | None,
    tail: int | None,
    streams: str | None,
    timestamps: bool,
) -> None:
    """Print what STEP of WORKFLOW wrote to stdout and stderr, in the order in which it came.

    Without -f it ends with what there is now. With -f it waits for a STEP that has not started, goes on with the next
    attempt where one failed and is tried again, and ends when STEP is complete or has failed. With --attempt N and -f
    it ends with that attempt.

    Every attempt's log is kept, also of one that failed, was cancelled or ran out of memory: of each Step those of the
    latest 10 attempts, and of very long ones the beginning and the end.
    """
    with session.client() as flow:
        wanted = (streams,) if streams else ()
        told = flow.logs(workflow, step, attempt, follow=follow, tail=tail, streams=wanted)
        printing = _Json() if session.as_json else _Lines(timestamps, names_attempts=attempt == ALL)
        for one in told:
            printing.show(one)


class _Json:
    """An object per line; bytes that are no text are replaced."""

    def show(self, told: dict[str, Any]) -> None:
        data = {"data": told["data"].decode("utf-8", "replace")} if "data" in told else {}
        click.echo(json.dumps({**told, **data}))


class _Lines:
    """What was written to stdout, what is said about it to stderr."""

    def __init__(self, timestamps: bool, names_attempts: bool) -> None:
        self._out = sys.stdout.buffer
        self._lines = render.LogLines(timestamps=timestamps, is_terminal=sys.stdout.isatty())
        self._attempt = 0
        self._names_attempts = names_attempts

    def show(self, told: dict[str, Any]) -> None:
        self._head(told)
        if told["kind"] == "piece":
            self._out.write(self._lines.piece(told))
            self._out.flush()
        elif told["kind"] == "gap":
            self._say(render.gap(told))
        elif told["kind"] == "notice":
            self._say(told["words"])
        else:
            self._finish_line()

    def _head(self, told: dict[str, Any]) -> None:
        """Name an attempt where several are shown."""
        if told["kind"] == "notice" or told["attempt"] == self._attempt:
            return
        if self._attempt or self._names_attempts:
            self._say(render.heading(told["attempt"]))
        self._attempt = told["attempt"]

    def _say(self, words: str) -> None:
        self._finish_line()
        click.secho(printable(words), dim=True, err=True)

    def _finish_line(self) -> None:
        self._out.write(self._lines.rest())
        self._out.flush()
