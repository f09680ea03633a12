"""When a watch of one workflow has shown all there is; time comes in from outside."""

from typing import Any, Final

from gaia_client.waiting import STALLED_S, at_rest

QUIET_S: Final = 1.0
"""Behind filters nobody knows which event is the last to come: it has come when none did for so long."""

GONE_S: Final = 15.0
"""Without filters the last event is known. One that has not come after so long, longer than a client tries to reach
its server, is no longer kept."""


class Ending:
    """Follows the events and updates of a workflow, and decides when it is at rest and its last event has come."""

    def __init__(self, seen: int, *, is_filtered: bool) -> None:
        """Begin a watch.

        Args:
            seen: number of the last event before those that are asked for.
            is_filtered: whether some events are not asked for, so that their numbers do not come.
        """
        self.update: dict[str, Any] | None = None
        self._seen = seen
        self._patience_s = QUIET_S if is_filtered else GONE_S
        self._heard_s = 0.0
        self._stalled_since_s: float | None = None

    def saw_event(self, now_s: float, event: dict[str, Any]) -> None:
        """Note an event."""
        self._heard_s = now_s
        self._seen = max(self._seen, event["sequence"])

    def saw_update(self, now_s: float, update: dict[str, Any]) -> None:
        """Note how the workflow stands."""
        self._heard_s = now_s
        self.update = update
        if not update["stalled"]:
            self._stalled_since_s = None
        elif self._stalled_since_s is None:
            self._stalled_since_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Tell whether the watch is over."""
        if self.update is None or not at_rest(self.update):
            return False
        if self._seen < self.update["sequence"] and now_s - self._heard_s < self._patience_s:
            return False
        return self._stalled_since_s is None or now_s - self._stalled_since_s >= STALLED_S
