"""What a live view shows: how all that is watched stands, and the latest events. Time comes in from outside."""

from collections import Counter, deque
from typing import Any, Final

from gaia_client.progress import Pace

EVENTS_SHOWN: Final = 10

STATES: Final = ("complete", "running", "ready", "retrying", "failed", "waiting")
"""States of Steps in the order of a bar: what is done, what is in work, what is to come."""


class Overview:
    """The latest update of each workflow, the latest events, and the pace of it all.

    Attributes:
        progress: (workflow, Step) → how far it is, those that said something last at the end.
    """

    def __init__(self, workflow: str | None) -> None:
        """Watch one workflow, or all with None."""
        self.workflow = workflow
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS_SHOWN)
        self.progress: dict[tuple[str, str], dict[str, Any]] = {}
        self._updates: dict[int, dict[str, Any]] = {}
        self._pace = Pace()

    def saw_event(self, event: dict[str, Any]) -> None:
        """Add an event; how far a Step is is kept apart, until it is told what became of it."""
        about = (event["workflow"], event.get("step", ""))
        self.progress.pop(about, None)
        if event["kind"] == "step_progress":
            self.progress[about] = event
        else:
            self.events.append(event)

    def saw_update(self, update: dict[str, Any]) -> None:
        """Take in how a workflow stands; one that was deleted is shown only where it is the one."""
        if update["deleted"] and self.workflow is None:
            self._updates.pop(update["uid"], None)
        else:
            self._updates[update["uid"]] = update

    @property
    def steps(self) -> dict[str, int]:
        """Return the number of Steps of all workflows by state."""
        total = dict.fromkeys(STATES, 0)
        for update in self._updates.values():
            for state, count in update["steps"].items():
                total[state] += count
        return total

    @property
    def states(self) -> dict[str, int]:
        """Return the number of workflows by state, "stalled" being one."""
        return dict(Counter("stalled" if each["stalled"] else each["state"] for each in self._updates.values()))

    def speed_words(self, now_s: float) -> str:
        """Return how fast Steps become complete now, and when all will be."""
        status = {"steps": self.steps}
        self._pace.add(now_s, status)
        return self._pace.speed_words(status)
