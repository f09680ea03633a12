"""What a heartbeat proves: which attempts are lost, which orders must be sent again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gaia_core.scheduling.fleet import AttemptId


@dataclass(slots=True)
class Verdict:
    """What follows from one heartbeat.

    Attributes:
        lost: the worker read past their dispatch and does not hold them.
        resend: their dispatch may never have reached the worker.
        cancel: the worker holds them and should not, or was told so long ago that the order may never have come.
    """

    lost: list[AttemptId] = field(default_factory=list)
    resend: list[AttemptId] = field(default_factory=list)
    cancel: list[AttemptId] = field(default_factory=list)


def compare(
    expected: Mapping[AttemptId, bool],
    claimed: Collection[AttemptId],
    sent: Mapping[AttemptId, int | None],
    inbox_offset: int,
    finished: Collection[AttemptId] = (),
) -> Verdict:
    """Compare what a worker should hold with what it says it holds.

    Args:
        expected: attempts it was given; True for those being stopped.
        claimed: attempts in the heartbeat.
        sent: inbox offset of each attempt's latest order in this term; None while its delivery is open. An attempt that
            is not there was ordered by an earlier leader, or its delivery failed.
        inbox_offset: how far the worker has read its inbox.
        finished: attempts whose ends are on their way; nothing follows from those.
    """
    verdict = Verdict()
    for attempt, stopping in expected.items():
        offset = sent.get(attempt)
        was_read = offset is not None and offset < inbox_offset
        if attempt in claimed:
            if stopping and (was_read or attempt not in sent):
                verdict.cancel.append(attempt)
        elif attempt in finished:
            continue
        elif attempt not in sent:
            (verdict.lost if stopping else verdict.resend).append(attempt)
        elif was_read:
            verdict.lost.append(attempt)
    verdict.cancel += [attempt for attempt in claimed if attempt not in expected]
    return verdict
