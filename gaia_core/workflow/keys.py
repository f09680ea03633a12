"""What a Key is: its grammar, its bucket, the folders above it, and where its bytes lie in a store.

A Key is `path/file`, a tree `path/tree/`, or either with a bucket before it: `bucket:path`. Called by validation, the
graph, the workers and the client.
"""

import re
from typing import Final, NamedTuple
from unicodedata import normalize

KEY_BYTES_MAX: Final = 900
"""S3 allows 1,024 bytes for an object's name; the workflow's name and our prefixes need room too."""

RESERVED_PREFIX: Final = "composite/"
"""Keys of inner Steps of composites lie here."""

INTERNAL_PREFIX: Final = ".gaia/"
"""Gaia's own objects; no workflow name starts with a dot, so no data space collides."""

MANIFESTS_PREFIX: Final = f"{INTERNAL_PREFIX}manifests/"

LOGS_PREFIX: Final = f"{INTERNAL_PREFIX}logs/"

_MANIFEST = re.compile(rf"{re.escape(MANIFESTS_PREFIX)}[^/]+/(\d+)/(\d+)-(\d+)-\d+")
_LOG = re.compile(rf"{re.escape(LOGS_PREFIX)}[^/]+/(\d+)/(\d+)-(\d+)")
_BUCKET = re.compile(r"(?!(?:\d+\.){3}\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SLASH = re.compile("/")
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
"""As nearly all Keys are: of these nothing more has to be asked."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_DECEIVING = re.compile(r"[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069]")
"""Characters of no width, and those that turn the direction of others. Joiners are none: words and emojis need them."""


class Location(NamedTuple):
    """Where a Key's bytes lie: bucket (None = the deployment's own) and path inside it."""

    bucket: str | None
    path: str


def split_bucket(key: str) -> tuple[str | None, str]:
    """Return (bucket, path); the text before the first ":" is a bucket only if it is a valid S3 bucket name.

    Source: Amazon S3, general purpose bucket naming rules.
    """
    head, colon, tail = key.partition(":")
    if colon and _BUCKET.fullmatch(head) and ".." not in head:
        return head, tail
    return None, key


def is_tree(key: str) -> bool:
    """Tell whether the Key stands for a directory tree."""
    return key.endswith("/")


def may_be_key(name: str) -> bool:
    """Tell whether a name is short enough to be a Key; looking for a longer one among Keys only takes time."""
    return len(name) <= KEY_BYTES_MAX and len(name.encode("utf-8", "surrogatepass")) <= KEY_BYTES_MAX


def key_problem(key: str) -> str | None:
    """Return what is wrong with a Key as a user wrote it, or None."""
    problem = shape_problem(key)
    if problem is None and key.startswith(RESERVED_PREFIX):
        return f"{key!r} lies under the reserved prefix {RESERVED_PREFIX!r}"
    return problem


def shape_problem(key: str) -> str | None:
    """Return why a text is no Key at all, or None; those of inner Steps are Keys that users may only read."""
    if len(key) <= KEY_BYTES_MAX and _PLAIN.fullmatch(key):
        return None
    _, path = split_bucket(key)
    if not path or path == "/":
        return "a Key needs a path"
    if _CONTROL.search(key):
        return f"{key!r} has control characters"
    if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES_MAX:
        return f"the Key is longer than {KEY_BYTES_MAX} bytes"
    if path.startswith("/"):
        return f"{key!r} is absolute; Keys are relative to the workflow's data space"
    segments = path.rstrip("/").split("/")
    if path.endswith("//") or any(segment in ("", ".", "..") for segment in segments):
        return f"{key!r} has an empty, '.' or '..' segment"
    return None if key.isascii() else _deception(key, segments)


def _deception(key: str, segments: list[str]) -> str | None:
    """Tell when a Key looks like another one, or like a path that leads elsewhere.

    Source: Unicode's UTS 39 on confusables, of which only what may mislead about places is refused: people name files
    in every script.
    """
    if _DECEIVING.search(key):
        return f"{key!r} has characters that cannot be seen or turn others around"
    if any(part in (".", "..") for part in normalize("NFKC", "/".join(segments)).split("/")):
        return f"{key!r} has a segment that looks like '.' or '..'"
    return None


def folder_of(key: str) -> str:
    """Return the tree that directly holds a Key: "a/b/c" → "a/b/", "a/b/" → "a/"; the root is "" (or "bucket:")."""
    if ":" not in key:
        return "".join(key.rstrip("/").rpartition("/")[:2])
    bucket, path = split_bucket(key)
    root = f"{bucket}:" if bucket is not None else ""
    head, slash, _ = path.rstrip("/").rpartition("/")
    return f"{root}{head}{slash}"


def folders_over(key: str) -> list[str]:
    """Return every tree that holds a Key, the widest first, and last the Key itself if it is one."""
    return [key[: match.end()] for match in _SLASH.finditer(key)]


def location(workflow: str, key: str) -> Location:
    """Return where a Key of a workflow lies in the store."""
    bucket, path = split_bucket(key)
    return Location(bucket, path) if bucket is not None else Location(None, f"{workflow}/{path}")


def manifest_location(workflow: str, uid: int, step: int, attempt: int, output: int) -> Location:
    """Return where an attempt stores the manifest of its output number `output`."""
    return Location(None, f"{MANIFESTS_PREFIX}{workflow}/{uid}/{step}-{attempt}-{output}")


def log_location(workflow: str, uid: int, step: int, attempt: int) -> Location:
    """Return where an attempt stores its log, if it wrote anything."""
    return Location(None, f"{LOGS_PREFIX}{workflow}/{uid}/{step}-{attempt}")


def archive_folder(deployment: str) -> str:
    """Return where a deployment puts workflows that have left memory, in its own bucket."""
    return f"{INTERNAL_PREFIX}{deployment}/archive/"


def manifest_step(path: str) -> tuple[int, int, int] | None:
    """Return (workflow uid, Step, attempt) of the manifest that lies at a path, or None: none lies there."""
    found = _MANIFEST.fullmatch(path)
    return (int(found[1]), int(found[2]), int(found[3])) if found is not None else None


def log_step(path: str) -> tuple[int, int, int] | None:
    """Return (workflow uid, Step, attempt) of the log that lies at a path, or None: none lies there."""
    found = _LOG.fullmatch(path)
    return (int(found[1]), int(found[2]), int(found[3])) if found is not None else None
