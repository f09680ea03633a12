"""Which versions of Gaia may work together: those that are at most one minor version apart."""

import re
from typing import Final

from gaia_core.version import VERSION

MINORS_APART_MAX: Final = 1
"""So that servers, workers and clients can be upgraded one after the other."""

_RELEASE: Final = re.compile(r"(\d+)\.(\d+)\.")


def too_far(theirs: str, ours: str = VERSION) -> str:
    """Return in words why two versions may not work together, or "".

    Args:
        theirs: what the other side says it is; programs of others say nothing, and are taken at their word.
        ours: the version of this installation; one that was never released is as good as any.
    """
    one, other = _RELEASE.match(theirs), _RELEASE.match(ours)
    if one is None or other is None:
        return ""
    (major, minor), (our_major, our_minor) = map(int, one.groups()), map(int, other.groups())
    if major == our_major and abs(minor - our_minor) <= MINORS_APART_MAX:
        return ""
    return f"It is Gaia {theirs}, and this server is Gaia {ours}: they may be one minor version apart."
