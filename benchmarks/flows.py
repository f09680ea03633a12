"""The workflows that are measured: Steps that do nothing, side by side or one after the other.

All of them wait for one outside Key, so that a workflow can be uploaded at leisure and started at a known instant.
"""

from typing import Any, Final, NamedTuple

START_KEY: Final = "start"

_COMMAND: Final = {
    "name": "noop",
    "image": "busybox",
    "command": ["cp", "{{before}}", "{{after}}"],
    "inputs": {"before": "/job/before"},
    "outputs": {"after": "/job/after"},
}


class Flow(NamedTuple):
    """One workflow to upload.

    Attributes:
        steps: all its Steps.
        sent: what is uploaded to make them, where that is not themselves.
    """

    name: str
    commands: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    sent: list[dict[str, Any]] | None = None


def wide(name: str, count: int) -> Flow:
    """Return Steps that all read the start Key, and write a Key each."""
    return Flow(name, [_COMMAND], [_step(number, START_KEY) for number in range(count)])


def sweep(name: str, count: int) -> Flow:
    """Return the Steps of `wide` as one Step over an array."""
    step = {**_step("{{N}}", START_KEY), "name": "s", "vars": {"N": list(range(count))}}
    return Flow(name, [_COMMAND], [{"name": f"s-{number}"} for number in range(count)], [step])


def chain(name: str, count: int) -> Flow:
    """Return Steps of which each reads what the one before it writes; the first reads the start Key."""
    return Flow(name, [_COMMAND], [_step(n, f"out/{n - 1}" if n else START_KEY) for n in range(count)])


def _step(number: int | str, before: str) -> dict[str, Any]:
    return {
        "name": f"s{number}",
        "command": "noop",
        "inputs": {"before": before},
        "outputs": {"after": f"out/{number}"},
    }
