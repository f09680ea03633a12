"""The leader's belief that workers are alive. Kept in memory only: a new leader begins by believing in all of them."""

from collections.abc import Iterable


class Leases:
    """When each worker was heard last, in monotonic seconds."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._heard: dict[str, float] = {}
        self._looked: float | None = None

    def look(self, now_s: float) -> bool:
        """Note that the coordinator is there now; return whether it was away until now.

        It is when it begins, and when it was paused or starved for more than a third of a lease: it could not have
        heard anybody, so all get a fresh one. To be called often.
        """
        was_away = self._looked is None or now_s - self._looked > self._lease_s / 3
        self._looked = now_s
        if was_away:
            self._heard.clear()
        return was_away

    def heard(self, worker: str, now_s: float) -> None:
        """Note a sign of life."""
        self._heard[worker] = now_s

    def silent(self, workers: Iterable[str], now_s: float) -> list[str]:
        """Return the workers that were silent for a whole lease; one seen for the first time gets a fresh one."""
        known = {worker: self._heard.get(worker, now_s) for worker in workers}
        self._heard = known
        return [worker for worker, heard_s in known.items() if now_s - heard_s > self._lease_s]
