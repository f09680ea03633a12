"""The words of transcripts: each input to a call of the client or a report of a worker, and its answer as lines."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from gaia_client.files import parse_text
from gaia_core.errors import GaiaError
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.wire import plain
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import Failure, FailureClass
from tests.scenarios import answers
from tests.scenarios.stage import FLOW, Attempt, Followed, Stage
from tests.scenarios.transcript import Exchange

USUAL_COMMANDS: Final = parse_text((Path(__file__).parent / "commands.yaml").read_text(), Path("commands.yaml"))
USUAL_SLOTS: Final = 100

_ATTEMPT = re.compile(r"(.+)\((\d+)\)")
_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}


@dataclass
class Said:
    """One input, taken apart.

    Attributes:
        options: `--name=value`, or `--name` alone, which is True.
        block: the value of the YAML below it, or None.
    """

    words: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    block: Any = None

    @property
    def flow(self) -> str:
        """Return the workflow that is meant."""
        return str(self.options.get("in", FLOW))

    def given(self, *names: str) -> dict[str, Any]:
        """Return those of some options that were given, as arguments."""
        return {name.replace("-", "_"): self.options[name] for name in names if name in self.options}


def play(exchanges: list[Exchange]) -> Iterator[list[str]]:
    """Play a scene and yield the answer of each exchange, as lines.

    A scene that does not begin with a worker has one, `w`, with slots for everything.
    """
    stage = Stage()
    if exchanges and not exchanges[0].said.startswith("worker "):
        stage.begin_worker("w", slots=USUAL_SLOTS)
    for exchange in exchanges:
        yield _answer(stage, exchange)


def _answer(stage: Stage, exchange: Exchange) -> list[str]:
    """Carry out one input; return its answer or refusal, and what followed."""
    stage.followed = Followed()
    verb, said = _taken_apart(exchange)
    try:
        lines = VERBS[verb](stage, said) or []
    except GaiaError as error:
        lines = answers.refusal(error)
    stage.run_errands()
    return lines + answers.followed(stage.followed, len(stage.state.workflows), len(stage.state.fleet.workers))


def _taken_apart(exchange: Exchange) -> tuple[str, Said]:
    verb, *rest = shlex.split(exchange.said)
    options: dict[str, Any] = {}
    for name, _, value in (word[2:].partition("=") for word in rest if word.startswith("--")):
        options[name] = int(value) if value.isdigit() else value or True
    block = parse_text(exchange.block, Path("block.yaml")) if exchange.block else None
    return verb, Said([word for word in rest if not word.startswith("--")], options, block)


# -- requests


def _upload(stage: Stage, said: Said) -> list[str]:
    given = said.block if isinstance(said.block, dict) else {"steps": said.block or []}
    flow = said.words[0] if said.words else said.flow
    commands = given.get("commands", USUAL_COMMANDS)
    return _diff(stage.client.upload(flow, given.get("properties"), commands, given.get("steps", [])), said)


def _command(stage: Stage, said: Said) -> list[str]:
    found = stage.client.command(said.flow, said.block, **said.given("expected-revision"))
    if said.block is None:
        return [answers.plain(command) for command in found]
    return answers.listed("commands", [command["name"] for command in found])


def _merge(stage: Stage, said: Said) -> list[str]:
    given = said.given("only-changed", "prune", "expected-revision")
    return _diff(stage.client.merge(said.flow, said.block, **given), said)


def _remove(stage: Stage, said: Said) -> list[str]:
    return _diff(stage.client.remove(said.flow, said.words, **said.given("expected-revision")), said)


def _diff(found: dict[str, Any], said: Said) -> list[str]:
    """Return a diff, with the reasons where they are asked for."""
    why = answers.reasons(found["reasons"]) if "why" in said.options else []
    return answers.lists(found) + why + _revision(found, said)


def _revision(found: dict[str, Any], said: Said) -> list[str]:
    return [f"revision: {found['revision']}"] if "revision" in said.options else []


def _delete(stage: Stage, said: Said) -> list[str]:
    return answers.mapped(stage.client.delete(said.flow, **said.given("data", "expected-revision")))


def _run(stage: Stage, said: Said) -> list[str]:
    return answers.mapped(stage.client.run(said.flow))


def _halt(stage: Stage, said: Said) -> list[str]:
    return answers.mapped(stage.client.halt(said.flow))


def _status(stage: Stage, said: Said) -> list[str]:
    found = stage.client.status(said.flow, **said.given("debug", "page-start", "page-size"))
    commands = [command["name"] for command in found["commands"]]
    lines = answers.status(found) + (answers.listed("commands", commands) if "commands" in said.options else [])
    return lines + _revision(found, said)


def _steps(stage: Stage, said: Said) -> list[str]:
    states = str(said.options.get("state", "")).split(",") if "state" in said.options else ()
    given = said.given("prefix", "command")
    return [answers.step(one) for one in stage.client.steps(said.flow, states=states, **given)]


def _explain(stage: Stage, said: Said) -> list[str]:
    return [line for one in stage.client.explain(said.flow, said.words[0]) for line in answers.explanation(one)]


def _workers(stage: Stage, said: Said) -> list[str]:
    return [answers.worker(one) for one in stage.client.workers()]


def _watch(stage: Stage, said: Said) -> list[str]:
    """Watch from the beginning, or from a number on, until now."""
    names = {name: str(said.options[name]).split(",") for name in ("kinds", "steps") if name in said.options}
    given = {**names, **said.given("updates")}
    return [answers.watched(one) for one in stage.client.watch(said.flow, said.options.get("from"), **given)]


def _expire(stage: Stage, said: Said) -> list[str]:
    found = stage.client.expire(said.flow, said.words, **said.given("plan", "expected-revision"))
    return answers.lists(found) + answers.reasons(found.get("reasons", {}))


def _announce(stage: Stage, said: Said) -> list[str]:
    return answers.listed("keys", stage.client.announce(said.flow, said.words))


def _workflows(stage: Stage, said: Said) -> list[str]:
    return [answers.workflow(one) for one in stage.client.workflows(**said.given("prefix", "owner", "state"))]


def _put(stage: Stage, said: Said) -> None:
    """Put a text, or a folder of files that hold their names."""
    key, *words = said.words
    if not is_tree(key):
        stage.client.put(said.flow, key, " ".join(words or [key]).encode())
        return
    with TemporaryDirectory() as folder:
        for name in words:
            (Path(folder) / name).write_text(name)
        stage.client.put(said.flow, key, folder)


def _get(stage: Stage, said: Said) -> list[str]:
    found = stage.client.get(said.flow, said.words[0])
    return [] if found is None else [found.decode()]


def _ls(stage: Stage, said: Said) -> list[str]:
    return [file["key"] for file in stage.client.ls(said.flow, *said.words)]


def _again(stage: Stage, said: Said) -> list[str]:
    answer = stage.connection.again()
    return answers.lists(plain.diff(answer.diff)) if hasattr(answer, "diff") else []


# -- workers, the store and time


def _worker(stage: Stage, said: Said) -> None:
    for name in said.words:
        stage.begin_worker(name, **{"slots": USUAL_SLOTS, **said.given("slots", "prefetch", "pool")})


def _drain(stage: Stage, said: Said) -> None:
    for name in said.words:
        worker = stage.state.fleet.workers[name]
        hello = rp.Hello(worker.pool, worker.slots, worker.prefetch, 0, 0, "noop", "host", draining=True)
        stage.say(name, hello, incarnation=stage.incarnation(name))


def _goodbye(stage: Stage, said: Said) -> None:
    for name in said.words:
        stage.say(name, rp.Goodbye("drained"), incarnation=stage.incarnation(name))


def _lose(stage: Stage, said: Said) -> None:
    for name in said.words:
        stage.ask(rq.LoseWorker(name, stage.incarnation(name), "silent for a whole lease"))


def _complete(stage: Stage, said: Said) -> None:
    steps, files = _wrote(said.words)
    if steps[:2] == ["all", "of"]:
        made = [step.name for step in stage.flow(said.flow).steps_named(steps[2])]
        stage.report_completed([_attempt(stage, name, said.flow) for name in made], files)
        return
    for step in steps:
        stage.report_completed([_attempt(stage, step, said.flow)], files)


def _fail(stage: Stage, said: Said) -> None:
    (step, kind, *message), files = _wrote(said.words)
    tail = str(said.options.get("tail", ""))
    failure = Failure(FailureClass[kind], " ".join(message) or "it failed", 1 if kind == "COMMAND" else None, tail)
    stage.report_failed(_attempt(stage, step, said.flow), failure, files or [])


def _unstarted(stage: Stage, said: Said) -> None:
    failure = Failure(FailureClass.LOST, "the worker drained before the attempt started")
    for step in said.words:
        stage.report_failed(_attempt(stage, step, said.flow), failure, [], unstarted=True)


def _cancelled(stage: Stage, said: Said) -> None:
    for step in said.words:
        stage.report_cancelled(_attempt(stage, step, said.flow))


def _write(stage: Stage, said: Said) -> None:
    key, *text = said.words
    stage.write(key, " ".join(text or [key]), said.flow)


def _allow(stage: Stage, said: Said) -> None:
    stage.allow_buckets(frozenset(said.words))


def _wait(stage: Stage, said: Said) -> None:
    amount, unit = said.words
    stage.now_ms += int(amount) * _MILLISECONDS[unit]
    stage.ask(rq.Tick())


def _poll(stage: Stage, said: Said) -> None:
    stage.poll(expire_changed="ignoring-changes" not in said.options)


def _wrote(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Return the words before "wrote" and those after it."""
    if "wrote" not in words:
        return words, None
    place = words.index("wrote")
    return words[:place], words[place + 1 :]


def _attempt(stage: Stage, name: str, flow: str) -> Attempt:
    """Return the attempt that `step` (its latest) or `step(2)` names."""
    match = _ATTEMPT.fullmatch(name)
    return Attempt(flow, match[1], int(match[2])) if match else stage.latest(name, flow)


# -- a look behind


def _states(stage: Stage, said: Said) -> list[str]:
    return [", ".join(f"{name} {state}" for name, state in stage.states(said.flow).items())]


def _events(stage: Stage, said: Said) -> list[str]:
    told, stage.announcements = stage.announcements, []
    return answers.events(one for one in told if one.workflow == said.flow)


def _order(stage: Stage, said: Said) -> list[str]:
    attempt = _attempt(stage, said.words[0], said.flow)
    order = stage.orders[attempt]
    files = {file for one in order.inputs for source in one.sources for file in source.files}
    return answers.order(order, {file: stage.read(said.flow, file) for file in files})


VERBS: Final[dict[str, Callable[[Stage, Said], list[str] | None]]] = {
    "upload": _upload,
    "command": _command,
    "merge": _merge,
    "remove": _remove,
    "delete": _delete,
    "run": _run,
    "halt": _halt,
    "status": _status,
    "expire": _expire,
    "workflows": _workflows,
    "steps": _steps,
    "explain": _explain,
    "workers": _workers,
    "watch": _watch,
    "announce": _announce,
    "put": _put,
    "get": _get,
    "ls": _ls,
    "again": _again,
    "worker": _worker,
    "drain": _drain,
    "goodbye": _goodbye,
    "lose": _lose,
    "complete": _complete,
    "fail": _fail,
    "unstarted": _unstarted,
    "cancelled": _cancelled,
    "write": _write,
    "poll": _poll,
    "allow": _allow,
    "wait": _wait,
    "states": _states,
    "events": _events,
    "order": _order,
}
