"""Starting workers where the server runs: what it takes, and what is wrong with what a client asks for."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from gaia_core.errors import Problem
from gaia_core.workflow.parse import name_problems


class Launcher(Protocol):
    """Starts workers where the server runs."""

    def launch(self, names: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Start one worker for each name, and let it say what else it was started with.

        Raises:
            GaiaError: they cannot be started here.
        """

    def close(self) -> None:
        """End the workers that were started and wait for them."""


def names_problems(names: Sequence[str], taken: Collection[str]) -> list[Problem]:
    """Return what is wrong with the names of workers to be started.

    Args:
        names: of the new workers.
        taken: names of those that there are.
    """
    problems = [] if names else [Problem("names", "name at least one worker")]
    seen = set(taken)
    for number, name in enumerate(names):
        place = f"names[{number}]"
        wrong = name_problems(name, place)
        problems += wrong
        if not wrong and name in seen:
            problems.append(Problem(place, f"a worker is named {name!r} already"))
        seen.add(name)
    return problems
