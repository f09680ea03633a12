"""Which paths a store takes: one rule for every store, so that all refuse the same paths in the same words.

Called by the stores before they touch anything. What a Key may be is another, narrower question
(`gaia_core.workflow.keys`); here a path is refused because no store could hold it faithfully, or because it would lead
out of its bucket.
"""

import re
from typing import Final

from gaia_core.errors import StoreError
from gaia_core.workflow.keys import split_bucket

PATH_BYTES_MAX: Final = 1024
"""Amazon S3's limit for an object's name."""

SEGMENT_BYTES_MAX: Final = 255
"""What file systems allow between two slashes, and MinIO's limit too."""

# An S3 listing is XML 1.0, which cannot carry the control characters; lone surrogates have no UTF-8.
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


_MARK = re.compile(r"[A-Za-z0-9_-]{0,80}")


def path_problem(path: str) -> str | None:
    """Return why no store takes an object of this path, or None."""
    if _UNSPEAKABLE.search(path):
        return "it has control characters or is no Unicode text"
    if len(path.encode()) > PATH_BYTES_MAX:
        return f"it is longer than {PATH_BYTES_MAX} bytes"
    segments = path.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return "it has an empty, '.' or '..' segment"
    if any(len(segment.encode()) > SEGMENT_BYTES_MAX for segment in segments):
        return f"a segment of it is longer than {SEGMENT_BYTES_MAX} bytes"
    return None


def check_path(path: str) -> None:
    """Refuse a path that no store takes.

    Raises:
        StoreError: the message says why.
    """
    problem = path_problem(path)
    if problem is not None:
        raise StoreError(f"The store takes no object {path!r}: {problem}.")


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that no path can begin with.

    Raises:
        StoreError: the message says why.
    """
    folder, slash, rest = prefix.rpartition("/")
    # "a/." may begin "a/.hidden", but MinIO takes it for the folder itself and refuses it.
    checked = prefix if rest in (".", "..") or _UNSPEAKABLE.search(rest) else folder
    problem = path_problem(checked) if checked or slash else None
    if problem is not None:
        raise StoreError(f"The store lists nothing that begins with {prefix!r}: {problem}.")


def check_mark(mark: str) -> None:
    """Refuse a mark that not every store can keep.

    Raises:
        StoreError: it is too long, or has other characters than letters, digits, "-" and "_".
    """
    if not _MARK.fullmatch(mark):
        raise StoreError(f"The store keeps no mark {mark!r}.")


def choose_bucket(own: str, asked: str | None) -> str:
    """Return the bucket that is meant; None means the deployment's own, which no Key may name.

    Raises:
        StoreError: asked is no valid name of a bucket, or the deployment's own.
    """
    if asked is None:
        return own
    if asked == own:
        raise StoreError(f"The bucket {asked!r} is Gaia's own: Keys reach it only without naming it.")
    if split_bucket(f"{asked}:path")[0] is None:
        raise StoreError(f"{asked!r} is no valid name of a bucket.")
    return asked
