"""How a transcript shows what was answered and what followed: plain values to lines, nothing else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from gaia_core.errors import GaiaError
from gaia_core.machine import public
from gaia_core.machine.public import Announcement
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import Execution, Failure, FileVersion, Resources
from tests.scenarios.stage import FLOW, Attempt, Followed

SHOWN_MAX = 12
"""Longer lists are cut, with their length."""


def listed(label: str, values: Sequence[str]) -> list[str]:
    """Return one line for a list, or none for an empty one."""
    cut = f", … ({len(values):,})" if len(values) > SHOWN_MAX else ""
    return [f"{label}: {', '.join(values[:SHOWN_MAX])}{cut}"] if values else []


def lists(answer: Mapping[str, Any]) -> list[str]:
    """Return a line for each list of an answer that is not empty."""
    return [line for label, values in answer.items() if isinstance(values, list) for line in listed(label, values)]


def mapped(answer: Mapping[str, str]) -> list[str]:
    """Return a small map in one line."""
    return [", ".join(f"{name} {value}" for name, value in answer.items())]


def reasons(answer: Mapping[str, Sequence[Mapping[str, str]]]) -> list[str]:
    """Return a line for each Step that runs again: the links that lead to the first cause."""
    return [f"why {step}: {_chain(links)}" for step, links in answer.items()]


def _chain(links: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(_link(link) for link in links)


def _link(link: Mapping[str, str]) -> str:
    by = f" by {link['key']}" if "key" in link else ""
    return (
        f"{link['step']} reads {link['upstream']}{by}" if "upstream" in link else f"{link['step']} {link['reason']}{by}"
    )


def explanation(answer: Mapping[str, Any]) -> list[str]:
    """Return why a Step waits, ran or will run."""
    lines = [f"{answer['step']} {answer['state']}: {answer['summary']}", f"reason: {answer['reason']}"]
    lines += [f"chain: {_chain(answer['chain'])}"] if answer["chain"] else []
    for key in answer["waits-for"]:
        writers = [f"{one['step']} {one['state']}" for one in key["writers"]]
        lines.append(f"waits for {key['key']}: {', '.join(writers) or 'no Step writes it'}")
    failed = answer["failure"]
    return lines + ([f"failure: {failed['class']}: {failed['message']}"] if failed else [])


def refusal(error: GaiaError) -> list[str]:
    """Return a refusal: its class and message, each problem with its place, and the hint."""
    lines = [f"refused, {type(error).__name__}: {error.message}"]
    lines += [f"  {problem}" for problem in error.problems]
    return lines + ([f"  hint: {error.hint}"] if error.hint else [])


def counted(steps: Mapping[str, int]) -> str:
    """Return Steps counted by state."""
    return ", ".join(f"{state} {count:,}" for state, count in steps.items() if count)


def status(answer: Mapping[str, Any]) -> list[str]:
    """Return how a workflow stands; its Commands are left out."""
    state = f"{answer['state']}, stalled" if answer["stalled"] else answer["state"]
    steps = counted(answer["steps"])
    waiting, count = answer["waiting-inputs"], answer["waiting-inputs-count"]
    lines = [f"{state}; {steps}" if steps else state]
    lines += listed("waiting-inputs", waiting)
    lines += [f"waiting-inputs-count: {count:,}"] if count != len(waiting) else []
    lines += listed("missing-inputs", answer["missing-inputs"])
    for one in answer["failed"]:
        where = _where(one["worker"])
        lines.append(f"failed: {one['step']}({one['attempt']}){where}, {one['class']}: {one['message']}")
        lines += [f"  | {line}" for line in one["log-tail"].splitlines()]
    return lines + (debug(answer["debug"]) if "debug" in answer else [])


def _where(worker: str) -> str:
    return f" on {worker}" if worker else ""


def debug(answer: Mapping[str, Any]) -> list[str]:
    """Return a page of Steps, and the workers."""
    lines = [step(one) for one in answer["steps"]]
    lines += [f"next page: {answer['next-page-start']}"] if answer["next-page-start"] else []
    return lines + [worker(one) for one in answer["workers"]]


def step(answer: Mapping[str, Any]) -> str:
    """Return one Step in full."""
    keys = [f"{name} {key}" for name, key in sorted({**answer["inputs"], **answer["outputs"]}.items())]
    lacks = f", lacks {answer['missing-inputs']}" if answer["missing-inputs"] else ""
    state = f"{answer['state']}, attempt {answer['attempt']}{_where(answer['worker'])}{lacks}"
    return f"step {answer['name']}: {state}; {answer['command']}: {', '.join(keys)}"


def worker(answer: Mapping[str, Any]) -> str:
    """Return one worker."""
    return f"worker {answer['name']}: pool {answer['pool']}, {answer['attempts']} of {answer['slots']} slots"


def watched(answer: Mapping[str, Any]) -> str:
    """Return one event or update of a stream."""
    if "kind" not in answer:
        state = "deleted" if answer["deleted"] else answer["state"]
        return f"{answer['sequence']} update: {state}; {counted(answer['steps'])}"
    about = answer.get("step") or answer.get("key") or answer.get("change") or answer.get("worker")
    return f"{answer['sequence']} {answer['kind']}: {about}"


def workflow(answer: Mapping[str, Any]) -> str:
    """Return one line of the list of workflows."""
    steps, properties = counted(answer["steps"]), plain(answer["properties"])
    return f"{answer['name']}, owner {answer['owner']}: {answer['state']}{'; ' + steps if steps else ''}; {properties}"


def plain(value: Any) -> str:
    """Return a value as one line of JSON; maps come from protobuf, which keeps no order."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def followed(what: Followed, flows: int, workers: int) -> list[str]:
    """Return what was found in the store, cancelled and dispatched; the worker only where there are several."""
    sent = [
        f"{named(attempt, flows)} to {worker}" if workers > 1 else named(attempt, flows)
        for attempt, worker in what.dispatched
    ]
    return [
        *listed("found", what.found),
        *(["ignored"] * what.ignored),
        *listed("cancelled", [named(attempt, flows) for attempt in what.cancelled]),
        *listed("dispatched", sent),
    ]


def named(attempt: Attempt, flows: int = 1) -> str:
    """Return an attempt's name, with its workflow where there are several."""
    prefix = f"{attempt.flow}/" if flows > 1 and attempt.flow != FLOW else ""
    return f"{prefix}{attempt.step}({attempt.number})"


def order(what: Execution, contents: Mapping[FileVersion, str]) -> list[str]:
    """Return what a worker is told of one attempt; `contents` are those of the pinned versions."""
    lines = [f"argv: {' '.join(what.argv)}"]
    for one in what.inputs:
        files = {file for source in one.sources for file in source.files if _is_in(file.key, one.key)}
        found = [
            contents[file] if file.key == one.key else f"{file.key.removeprefix(one.key)} = {contents[file]}"
            for file in sorted(files, key=lambda file: file.key)
        ]
        lines.append(f"reads {one.path} from {one.key}: {', '.join(found) or 'nothing'}")
    lines += [f"writes {one.path} to {one.key}" for one in what.outputs]
    settings = {
        "image": what.image if what.image != "i" else "",
        "stdout": what.stdout,
        "timeout": "" if what.timeout_s == 3600 else f"{what.timeout_s:g} s",
        "network": "yes" if what.network else "",
        "env": plain(dict(what.env)) if what.env else "",
        "workdir": what.workdir,
        "entrypoint": "the image's own" if what.keeps_entrypoint else " ".join(what.entrypoint),
        "secrets": plain(dict(what.secrets)) if what.secrets else "",
        "reuse": "yes" if what.reuse else "",
        "resources": _resources(what.resources),
        "keep": what.keep,
    }
    return lines + [f"{name}: {value}" for name, value in settings.items() if value]


def _is_in(file: str, key: str) -> bool:
    return file == key or (is_tree(key) and file.startswith(key))


def _resources(wanted: Resources) -> str:
    given = ((field.name.replace("_", " "), getattr(wanted, field.name)) for field in fields(wanted))
    return ", ".join(f"{name} {plain(value)}" for name, value in given if value is not None)


def events(told: Iterable[Announcement]) -> list[str]:
    """Return public events, each with its sequence number."""
    return [f"{one.sequence} {_event(one.fact, one.time_ms)}" for one in told]


def _event(fact: public.Fact, now_ms: int) -> str:
    """Return a fact in one line: its kind first, as the name of the event has it."""
    match fact:
        case public.WorkflowChanged():
            return f"workflow {fact.change}{': ' if fact.names else ''}{', '.join(fact.names)}"
        case public.StepCompleted():
            keys = ", ".join(one.key for one in fact.outputs)
            return f"step completed {fact.step}({fact.attempt}) on {fact.worker}{': ' if keys else ''}{keys}"
        case public.StepFailed():
            return f"step failed {fact.step}({fact.attempt}){_where(fact.worker)}, {_failure(fact.failure)}"
        case public.StepRetrying():
            wait_s = (fact.not_before_ms - now_ms) / 1000
            return f"step retrying {fact.step}({fact.attempt}) in {wait_s:g} s, {_failure(fact.failure)}"
        case public.StepCancelled():
            return f"step cancelled {fact.step}({fact.attempt}): {fact.reason}"
        case public.StepExpired():
            return f"step expired {fact.step}: {fact.reason}"
        case public.KeyAvailable():
            return f"key available {fact.key}"
        case public.KeyForgotten():
            return f"key forgotten {fact.key}"
    return repr(fact)


def _failure(failure: Failure) -> str:
    return f"{failure.kind.name}: {failure.message}"
