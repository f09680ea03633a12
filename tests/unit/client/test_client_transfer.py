"""Files go in and come out whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import grpc
import pytest

import gaia
from gaia.v1 import api_pb2, model_pb2
from gaia_client.transfer import CHUNK_BYTES


class OneWay(io.RawIOBase):
    """A pipe: read once, never sought."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.data.read(size)

    def seekable(self) -> bool:
        return False


class Broken(io.BytesIO):
    """A file on a failing disk."""

    def read(self, size: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")


def listed(fake: Any, truncated: bool = False) -> None:
    """Let the fake list the files it keeps."""
    fake.script["List"] = [
        lambda request: api_pb2.ListResponse(
            truncated=truncated,
            files=[
                model_pb2.FileVersion(key=key, size_bytes=len(data), sha256=b"\x01")
                for key, data in sorted(fake.files.items())
                if key.startswith(request.prefix)
            ],
        )
    ]


def test_bytes_path_and_file(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """Bytes, a path and an open file arrive as they are; the caller's file stays open."""
    large = os.urandom(CHUNK_BYTES * 2 + 7)
    (tmp_path / "f").write_bytes(large)
    file = io.BytesIO(b"skipped-read")
    file.seek(8)
    assert flow.put("w", "a", b"x") == [{"key": "a", "size": 1, "version": "1", "sha256": None}]
    flow.put("w", "b", tmp_path / "f")
    flow.put("w", "c", file)
    flow.put("w", "empty", b"")
    flow.put("w", "pipe", cast("BinaryIO", OneWay(b"flow")))
    assert fake.files == {"a": b"x", "b": large, "c": b"read", "empty": b"", "pipe": b"flow"}
    assert not file.closed


def test_folder_becomes_a_tree(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """Each file of a folder is put under the tree's Key; the slash is asked for."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "sub" / "b").write_bytes(b"2")
    assert [file["key"] for file in flow.put("w", "tree/", tmp_path)] == ["tree/a", "tree/sub/b"]
    assert fake.files == {"tree/a": b"1", "tree/sub/b": b"2"}
    with pytest.raises(gaia.RequestError, match="tree/"):
        flow.put("w", "tree", tmp_path)
    with pytest.raises(gaia.RequestError, match="no folder"):
        flow.put("w", "tree/", b"x")


def test_missing_source(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """A file that is not there is the usual error, and nothing is stored."""
    with pytest.raises(FileNotFoundError):
        flow.put("w", "a", tmp_path / "nope")
    assert fake.files == {}


def test_failing_source_stores_nothing(flow: gaia.Gaia, fake: Any) -> None:
    """An error while reading cancels the call, so that no half file is stored, and reaches the caller."""
    with pytest.raises(OSError, match="Input/output error"):
        flow.put("w", "a", Broken(b"x"))
    assert fake.files == {}


def test_put_is_repeated(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """A put that the server breaks off begins anew from the source's start; a pipe cannot, and that is said."""
    flow.workflows()
    fake.script["Put"] = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, api_pb2.PutResponse()]
    flow.put("w", "a", io.BytesIO(b"data"))
    assert fake.files == {"a": b"data"}
    fake.script["Put"] = [grpc.StatusCode.UNAVAILABLE]
    with pytest.raises(gaia.StoreError, match="cannot begin anew"):
        flow.put("w", "b", cast("BinaryIO", OneWay(b"data")))


def test_refusal_of_a_put(flow: gaia.Gaia, fake: Any) -> None:
    """A refusal in the middle of an upload is raised as what it is."""
    fake.script["Put"] = [gaia.UnknownName("There is no workflow 'w'")]
    with pytest.raises(gaia.UnknownName):
        flow.put("w", "a", b"x" * CHUNK_BYTES * 8)


def test_get_bytes_path_folder_and_file(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """A file comes as bytes, into a path, into a folder under its own name, or into an open file."""
    fake.files = {"out/a.txt": b"content", "empty": b""}
    assert flow.get("w", "out/a.txt") == b"content"
    assert flow.get("w", "empty") == b""
    assert flow.get("w", "out/a.txt", tmp_path / "x") is None
    flow.get("w", "out/a.txt", str(tmp_path))
    buffer = io.BytesIO()
    flow.get("w", "out/a.txt", buffer)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "a.txt").read_bytes() == buffer.getvalue() == b"content"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "x"]


def test_get_replaces_only_when_whole(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """What is not there, or arrives damaged, leaves an older file as it was."""
    target = tmp_path / "x"
    target.write_bytes(b"old")
    with pytest.raises(gaia.UnknownName):
        flow.get("w", "a", target)
    head = model_pb2.FileVersion(size_bytes=9)
    fake.script["Get"] = [api_pb2.GetResponse(file=head), api_pb2.GetResponse(data=b"short")]
    with pytest.raises(gaia.StoreError, match="5 of 9 bytes"):
        flow.get("w", "a", target)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_get_checks_the_digest(flow: gaia.Gaia, fake: Any) -> None:
    """Bytes of the right number but with another digest are refused."""
    head = model_pb2.FileVersion(size_bytes=1, sha256=b"\0" * 32)
    fake.script["Get"] = [api_pb2.GetResponse(file=head), api_pb2.GetResponse(data=b"x")]
    with pytest.raises(gaia.StoreError):
        flow.get("w", "a")


def test_broken_get_begins_anew(flow: gaia.Gaia, fake: Any, tmp_path: Path, pauses: list[float]) -> None:
    """A stream that breaks is read again from the start, except into a file that is the caller's."""
    fake.files = {"a": b"0123456789"}
    fake.broken_gets = 2
    flow.workflows()
    flow.get("w", "a", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"0123456789"
    fake.broken_gets = 1
    assert flow.get("w", "a") == b"0123456789"
    fake.broken_gets = 1
    with pytest.raises(gaia.StoreError, match="cannot begin anew"):
        flow.get("w", "a", io.BytesIO())


def test_tree_becomes_a_folder(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """Every file under a tree is written at its place in the folder."""
    fake.files = {"out/a": b"1", "out/sub/b": b"2", "outside": b"3"}
    listed(fake)
    flow.get("w", "out/", tmp_path / "new")
    assert (tmp_path / "new" / "a").read_bytes() == b"1"
    assert (tmp_path / "new" / "sub" / "b").read_bytes() == b"2"
    with pytest.raises(gaia.UnknownName):
        flow.get("w", "nothing/", tmp_path)
    with pytest.raises(gaia.RequestError, match="is a tree"):
        flow.get("w", "out/")


@pytest.mark.parametrize("key", ["out/../../evil", "out//x", "other"])
def test_tree_cannot_leave_its_folder(flow: gaia.Gaia, fake: Any, tmp_path: Path, key: str) -> None:
    """A Key that would be written elsewhere is refused, whatever the server says."""
    fake.script["List"] = [api_pb2.ListResponse(files=[model_pb2.FileVersion(key=key)])]
    with pytest.raises(gaia.StoreError):
        flow.get("w", "out/", tmp_path / "in")


def test_truncated_tree_is_refused(flow: gaia.Gaia, fake: Any, tmp_path: Path) -> None:
    """A tree that one listing cannot hold is not written in part."""
    fake.files = {"out/a": b"1"}
    listed(fake, truncated=True)
    with pytest.raises(gaia.TooLarge):
        flow.get("w", "out/", tmp_path / "in")


def test_ls(flow: gaia.Gaia, fake: Any) -> None:
    """Files are listed by prefix as plain dicts."""
    fake.files = {"a/1": b"x", "b": b""}
    listed(fake)
    assert flow.ls("w", "a/") == [{"key": "a/1", "size": 1, "version": "", "sha256": "01"}]
    assert flow.listing("w")["truncated"] is False
