"""bench: how fast a Gaia is, for whoever runs it; the throughput measure of benchmarks/, by an ordinary client."""

import getpass
import secrets
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from gaia_client.bench import crew, flows
from gaia_client.bench.course import Progress
from gaia_client.bench.flows import IMAGE_DEFAULT
from gaia_client.bench.made import Made
from gaia_client.bench.measure import Measure, Plan
from gaia_client.cli.look import progress_on_stderr
from gaia_client.cli.session import Session, with_session
from gaia_client.client import Gaia
from gaia_client.render import bench as render
from gaia_client.render.blocks import counted


@click.command()
@click.option("--steps", metavar="N", type=click.IntRange(1, 1_000_000), help="Steps side by side [10000].")
@click.option("--chain", metavar="N", type=click.IntRange(1, 10_000), help="Steps one after the other [100].")
@click.option("--image", metavar="IMAGE", default=IMAGE_DEFAULT, help=f"What they run in [{IMAGE_DEFAULT}].")
@click.option("--command", "program", metavar="WORDS", default="true", help="What they run [true].")
@click.option("--pool", metavar="NAME", help=f"Which workers run them [{crew.POOL_DEFAULT}].")
@click.option("--timeout", "timeout_s", metavar="S", type=click.FloatRange(1), default=300,
              help="Give up when no Step gets done for so many seconds [300].")  # fmt: skip
@click.option("--keep", is_flag=True, help="Leave the workflows behind.")
@with_session
def bench(session: Session, keep: bool, **given: Any) -> None:
    """Measure how fast this Gaia is: Steps a second, milliseconds per Step of a chain, and latency.

    It makes workflows of its own, follows them as any client can, and deletes them at the end, also at Ctrl-C. What
    else runs meanwhile counts, in both directions.

    Without --steps and --chain fewer are measured where programs really run. The Steps that arrive come at half of the
    rate at which those side by side could be uploaded and run; each counts from the moment at which it was due, however
    late it could be sent.
    """
    with session.client() as flow, interrupted_by_signals():
        plan = _plan(flow, **given)
        _tell(_what(plan))
        owner = flows.owner_of(_user())
        moment, token = datetime.now().astimezone(), secrets.token_hex(3)
        made = Made(flow, owner, lambda what: flows.name_of(owner, what, moment, token), keep=keep)
        try:
            with made:
                reply = Measure(flow, made, plan, phase).run()
        except KeyboardInterrupt:
            _tell("" if made.left else "\nthe workflows of the measure are deleted")
            raise
        finally:
            _tell_left(made, keep)
    session.show(reply, lambda: render.bench(reply))


@contextmanager
def phase(what: str, steps: int, before: int) -> Iterator[Progress]:
    """Show one part of the measure on stderr: a live bar on a terminal, else lines."""
    with progress_on_stderr(what) as show:

        def show_update(update: dict[str, Any]) -> None:
            counts = update["steps"]
            complete = max(counts["complete"] - before, 0)
            troubled = {state: counts[state] for state in ("retrying", "failed")}
            left = steps - complete - sum(troubled.values())
            show({**update, "steps": {"complete": complete, "to come": left, **troubled}})

        yield show_update


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does: `timeout` sends the one, a closed terminal the other."""
    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # nohup ignores one
    for number in heeded:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def _plan(
    flow: Gaia, steps: int | None, chain: int | None, image: str, program: str, pool: str | None, timeout_s: float
) -> Plan:
    """Return what is measured, from what was given and what workers there are."""
    words = _words(program)
    found = crew.crew_of(flow.workers(), pool or crew.POOL_DEFAULT)
    usual = crew.size_for(found)
    size = crew.Size(steps or usual.wide, chain or usual.chain)
    return Plan(flows.Program(image, words, pool), size, found, timeout_s)


def _words(program: str) -> list[str]:
    try:
        words = shlex.split(program)
    except ValueError as problem:
        raise click.BadParameter(f"{program!r}: {problem}", param_hint="--command") from None
    if not words:
        raise click.BadParameter("nothing to run", param_hint="--command")
    return words


def _what(plan: Plan) -> str:
    """Return what is about to happen, in words."""
    executors = crew.executors(plan.crew)
    size, program = plan.size, shlex.join(plan.program.command)
    image = "" if crew.IGNORES_IMAGES.issuperset(executors) else f" in {plan.program.image}"
    what = "" if [*executors] == [crew.NOTHING_RUNS] else f" of '{program}'{image}"
    steps = f"{counted(size.wide, 'Step')}{what} side by side, {size.chain:,} one after the other"
    return f"On {render.crew_words(executors)}: {steps}"


def _tell_left(made: Made, keep: bool) -> None:
    """Tell what was not deleted."""
    for name, why in made.left.items():
        words = f"kept {name}" if keep else f"could not delete {name}{f' ({why})' if why else ''}"
        _tell(f"{words}; to delete it: gaia delete {name} --data --yes")


def _tell(words: str) -> None:
    click.echo(words, err=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
