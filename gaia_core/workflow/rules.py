"""What a deployment allows, beyond what Commands and Steps mean. Asked when requests are checked, never in a replay."""

from dataclasses import dataclass
from typing import Final

from gaia_core.workflow.expand import SWEEP_STEPS_MAX
from gaia_core.workflow.keys import split_bucket


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment allows; asked when requests are checked, never when the journal is replayed.

    Attributes:
        sweep_steps_max: how many Steps one spec may make.
        own_bucket: holds all data spaces; Keys reach it only without naming it. "" where nothing is known of buckets.
        buckets: other buckets that Keys may name; None for any.
        retention_s: how long a finished workflow stays in memory that does not say so itself; 0 for ever.
    """

    sweep_steps_max: int = SWEEP_STEPS_MAX
    own_bucket: str = ""
    buckets: frozenset[str] | None = None
    retention_s: float = 0.0

    def bucket_problem(self, key: str) -> str | None:
        """Return why a Key may not name its bucket, or None."""
        bucket = split_bucket(key)[0] if ":" in key else None
        if bucket is None:
            return None
        if bucket == self.own_bucket:
            return f"{key!r} names Gaia's own bucket; Keys reach it without"
        if self.buckets is not None and bucket not in self.buckets:
            allowed = ", ".join(sorted(self.buckets)) or "none"
            return f"{key!r} names the bucket {bucket!r}, which Keys may not; allowed: {allowed}"
        return None


ANY: Final = Rules()
