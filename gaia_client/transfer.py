"""Files into and out of a workflow's data space: streamed in chunks, checked, and never half there under their name."""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, TypeAlias

from gaia.v1 import api_pb2, model_pb2
from gaia_client.connection import Connection
from gaia_client.requests import build
from gaia_core.errors import InvalidWorkflow, Problem, RequestError, StoreError, TooLarge, UnknownName
from gaia_core.workflow.keys import is_tree, key_problem, shape_problem

CHUNK_BYTES: Final = 1024**2
"""Well under the message limit, large enough that calls cost nothing beside the bytes."""

LISTED_MAX: Final = 10_000
"""How many files one listing may hold."""

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | BinaryIO
Opener: TypeAlias = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a file, as often as a broken stream makes it necessary."""

Target: TypeAlias = str | os.PathLike[str] | BinaryIO


def put(connection: Connection, workflow: str, key: str, source: Source) -> list[model_pb2.FileVersion]:
    """Store one file under a Key, or each file of a folder under a tree.

    Args:
        connection: to the server.
        workflow: name of the workflow.
        key: a Key; it ends in "/" exactly if the source is a folder.
        source: a path, bytes, or a binary file, which is read from where it stands.

    Raises:
        InvalidWorkflow: the Key or the source is none.
        RequestError: a folder for a file's Key, or a file for a tree.
        OSError: the source cannot be read.
    """
    refuse_bad_key(key)
    if not isinstance(source, str | os.PathLike):
        _refuse_odd_source(source)
        return [_put_stream(connection, workflow, key, _opener(source))]
    path = _path(source, "source")
    if not path.is_dir():
        return [_put_stream(connection, workflow, key, _file_opener(path))]
    if not is_tree(key):
        raise RequestError(f"{path} is a folder", hint=f"a folder's Key ends in a slash: {key}/")
    stored = [_put_stream(connection, workflow, key + name, _file_opener(inner)) for name, inner in files_under(path)]
    _announce_tree(connection, workflow, key)
    return stored


def get(connection: Connection, workflow: str, key: str, target: Target | None) -> bytes | None:
    """Read one file, or each file of a tree into a folder.

    Args:
        connection: to the server.
        workflow: name of the workflow.
        key: a Key; a tree's ends in "/".
        target: a path, an existing folder, a binary file, or None to return the bytes.

    Raises:
        InvalidWorkflow: the Key or the target is none.
        UnknownName: nothing is there.
        StoreError: the bytes are not those that were stored.
    """
    refuse_bad_key(key, shape_problem)
    if is_tree(key):
        if not isinstance(target, str | os.PathLike):
            raise RequestError(f"{key} is a tree", hint="name a folder to write it to")
        _get_tree(connection, workflow, key, _path(target, "target"))
        return None
    if target is None:
        return _get_bytes(connection, workflow, key)
    if isinstance(target, str | os.PathLike):
        path = _path(target, "target")
        _get_file(connection, workflow, key, path / PurePosixPath(key).name if path.is_dir() else path)
    else:
        _refuse_odd_target(target)
        _get_stream(connection, workflow, key, _once(target, "download"))
    return None


def listing(connection: Connection, workflow: str, prefix: str) -> api_pb2.ListResponse:
    """Return the files whose Keys start with a prefix, sorted, at most 10,000."""
    request = build(api_pb2.ListRequest, workflow=workflow, prefix=prefix)
    return connection.call("List", request, api_pb2.ListResponse)


def files_under(folder: Path) -> list[tuple[str, Path]]:
    """Return (name relative to the folder, with slashes; path) of every file, sorted; links to folders are left out."""
    found = [Path(root) / name for root, _, names in os.walk(folder, onerror=_raise) for name in names]
    return sorted((path.relative_to(folder).as_posix(), path) for path in found)


def refuse_bad_key(key: str, problem_of: Callable[[str], str | None] = key_problem) -> None:
    """Refuse what is no Key, before anything is opened or sent."""
    problem = problem_of(key) if isinstance(key, str) else f"must be a string, not a {type(key).__name__}"
    if problem:
        raise InvalidWorkflow.of([Problem("key", problem)])


def _path(given: str | os.PathLike[str], place: str) -> Path:
    """Return a path that the system can be asked for."""
    try:
        if b"\0" not in os.fsencode(given):
            return Path(given)
    except (TypeError, UnicodeEncodeError):
        pass
    raise InvalidWorkflow.of([Problem(place, f"{given!r} is no path")])


def _refuse_odd_source(source: object) -> None:
    if not isinstance(source, bytes | bytearray) and not _is_binary_file(source, "read", "seekable"):
        raise InvalidWorkflow.of([Problem("source", "must be a path, bytes or an open binary file")])


def _refuse_odd_target(target: object) -> None:
    if not _is_binary_file(target, "write"):
        raise InvalidWorkflow.of([Problem("target", "must be a path or an open binary file")])


def _is_binary_file(file: object, *methods: str) -> bool:
    """Tell whether something has the methods of a file, and no encoding as files of text have."""
    return all(hasattr(file, method) for method in methods) and not hasattr(file, "encoding")


def _raise(error: OSError) -> None:
    raise error


def _file_opener(path: Path) -> Opener:
    def reopen() -> BinaryIO:
        return path.open("rb")

    return reopen


def _opener(source: bytes | bytearray | BinaryIO) -> Opener:
    """Return what opens bytes or an open file of the caller's, which stays open."""
    if isinstance(source, bytes | bytearray):
        return lambda: io.BytesIO(source)
    if not source.seekable():
        return _once(source, "upload")
    start = source.tell()

    def rewind() -> AbstractContextManager[BinaryIO]:
        source.seek(start)
        return nullcontext(source)

    return rewind


def _once(file: BinaryIO, what: str) -> Opener:
    """Return what gives a file of the caller's, which stays open, once: there is no way back in it."""
    files = iter((file,))

    def give() -> AbstractContextManager[BinaryIO]:
        if (given := next(files, None)) is None:
            raise StoreError(f"The {what} broke off and cannot begin anew: use a file")
        return nullcontext(given)

    return give


def _announce_tree(connection: Connection, workflow: str, key: str) -> None:
    """Tell that a tree is there as a whole: what lies under it now."""
    request = build(api_pb2.AnnounceRequest, workflow=workflow, keys=[key])
    connection.call("Announce", request, api_pb2.AnnounceResponse)


def _put_stream(connection: Connection, workflow: str, key: str, open_source: Opener) -> model_pb2.FileVersion:
    if is_tree(key):
        raise RequestError(f"{key} is a tree, and the source is no folder", hint="name the file behind the slash")
    header = build(api_pb2.PutHeader, workflow=workflow, key=key)

    def requests() -> Iterator[api_pb2.PutRequest]:
        with open_source() as file:
            yield api_pb2.PutRequest(header=header)
            digest, size = hashlib.sha256(), 0
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                yield api_pb2.PutRequest(data=chunk)
            yield api_pb2.PutRequest(end=api_pb2.PutEnd(size_bytes=size, sha256=digest.digest()))

    return connection.upload("Put", requests, api_pb2.PutResponse).file


def _get_tree(connection: Connection, workflow: str, key: str, folder: Path) -> None:
    found = listing(connection, workflow, key)
    if found.truncated:
        raise TooLarge(f"{key} holds more than {LISTED_MAX:,} files", hint="get the folders in it one by one")
    if not (found.files or found.exists):
        raise UnknownName(f"Nothing lies under {key!r} in {workflow!r}")
    _make_folder(folder)
    for file in found.files:
        path = folder / _inside(file.key, key)
        _make_folder(path.parent)
        _get_file(connection, workflow, file.key, path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidWorkflow.of([Problem("target", f"{folder} cannot be a folder: a file is in the way")]) from None


def _inside(key: str, tree: str) -> str:
    """Return a Key relative to its tree; one that would leave the folder is refused, whoever made it."""
    relative = key.removeprefix(tree)
    if not key.startswith(tree) or any(part in ("", ".", "..") for part in relative.split("/")) or "\\" in relative:
        raise StoreError(f"{key!r} cannot be a file in a folder here")
    return relative


def _get_file(connection: Connection, workflow: str, key: str, path: Path) -> None:
    _get_stream(connection, workflow, key, lambda: replacing(path))


def _get_bytes(connection: Connection, workflow: str, key: str) -> bytes:
    buffers: list[io.BytesIO] = []

    def anew() -> io.BytesIO:
        buffers.append(io.BytesIO())
        return buffers[-1]

    _get_stream(connection, workflow, key, lambda: nullcontext(anew()))
    return buffers[-1].getvalue()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the path's place once it is whole; on an error it vanishes."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Return the process's umask; there is no way to ask without setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _get_stream(connection: Connection, workflow: str, key: str, open_target: Opener) -> None:
    """Write the bytes of a Key to a target, which is opened anew, once bytes come, when the stream breaks."""

    def consume(answers: Iterator[api_pb2.GetResponse]) -> None:
        head = next(answers, None)
        if head is None or head.WhichOneof("part") != "file":
            raise StoreError(f"The server sent nothing for {key!r}")
        with open_target() as target:
            _write_checked(head.file, answers, target)

    request = build(api_pb2.GetRequest, workflow=workflow, key=key)
    connection.download("Get", request, api_pb2.GetResponse, consume)


def _write_checked(file: model_pb2.FileVersion, answers: Iterable[api_pb2.GetResponse], target: BinaryIO) -> None:
    """Write a stream and compare it with what its head promised; a digest may be unknown."""
    digest = hashlib.sha256()
    size = 0
    for answer in answers:
        target.write(answer.data)
        digest.update(answer.data)
        size += len(answer.data)
    if size != file.size_bytes or (file.sha256 and file.sha256 != digest.digest()):
        raise StoreError(f"What came for {file.key!r} is not what was stored: {size:,} of {file.size_bytes:,} bytes")
