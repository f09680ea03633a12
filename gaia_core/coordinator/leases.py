"""The leader's belief that workers are alive. Kept in memory only: a new leader begins by believing in all of them."""

from collections.abc import Iterable


class Leases:
    """When each worker was heard last, in monotonic seconds."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._heard: dict[str, float] = {}
        self._looked: float | None = None

    def heard(self, worker: str, now_s: float) -> None:
        """Note a sign of life."""
        self._heard[worker] = now_s

    def silent(self, workers: Iterable[str], now_s: float) -> list[str]:
        """Return the workers that were silent for a whole lease.

        A worker seen for the first time gets a fresh lease, and so do all when the coordinator itself was away (paused,
        or starved) for more than a third of one: it could not have heard them.
        """
        if self._looked is not None and now_s - self._looked > self._lease_s / 3:
            self._heard.clear()
        self._looked = now_s
        known = {worker: self._heard.get(worker, now_s) for worker in workers}
        self._heard = known
        return [worker for worker, heard_s in known.items() if now_s - heard_s > self._lease_s]
