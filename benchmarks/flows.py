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
    """One workflow to upload."""

    name: str
    commands: list[dict[str, Any]]
    steps: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """Return the names of all Steps, those of a sweep included."""
        return [name for step in self.steps for name in _names(step)]


def wide(name: str, count: int) -> Flow:
    """Return Steps that all read the start Key, and write a Key each."""
    return Flow(name, [_COMMAND], [_step(number, START_KEY) for number in range(count)])


def sweep(name: str, count: int) -> Flow:
    """Return the Steps of `wide`, written as one Step with an array."""
    return Flow(name, [_COMMAND], [{**_step("{{n}}", START_KEY), "name": "s", "vars": {"n": list(range(count))}}])


def chain(name: str, count: int) -> Flow:
    """Return Steps of which each reads what the one before it writes; the first reads the start Key."""
    return Flow(name, [_COMMAND], [_step(n, f"out/{n - 1}" if n else START_KEY) for n in range(count)])


def _names(step: dict[str, Any]) -> list[str]:
    """Return the names that a Step, or a sweep over one array, has in the workflow."""
    if "vars" not in step:
        return [step["name"]]
    (values,) = step["vars"].values()
    return [f"{step['name']}-{value}" for value in values]


def _step(number: int | str, before: str) -> dict[str, Any]:
    return {
        "name": f"s{number}",
        "command": "noop",
        "inputs": {"before": before},
        "outputs": {"after": f"out/{number}"},
    }
