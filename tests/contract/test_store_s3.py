"""What the S3 store promises beyond the port: buckets, credentials, servers that are not there, connections."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import SUSPENDED, VersioningConfig

from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.errors import ConfigError, ObjectMissing, StoreError
from gaia_core.ports import Stored

if TYPE_CHECKING:
    from tests.support.services import MinioService

Make = Callable[[S3Settings], S3Store]


@pytest.fixture
def settings(minio: MinioService, bucket: str) -> S3Settings:
    """Settings for a bucket that does not exist yet."""
    return S3Settings(minio.endpoint, minio.access_key, minio.secret_key, secure=False, bucket=bucket)


@pytest.fixture
def make() -> Iterator[Make]:
    """Make stores, all closed in the end."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(closing(S3Store(settings)))


@pytest.fixture
def client(minio: MinioService) -> Minio:
    """Somebody else at the same server."""
    return Minio(minio.endpoint, minio.access_key, minio.secret_key, secure=False)


@pytest.fixture
def nowhere() -> Iterator[S3Settings]:
    """Settings for a port that nobody listens on: bound, so that nobody else takes it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{holder.getsockname()[1]}"
        yield S3Settings(endpoint, "key", "secret-word", secure=False, bucket="gaia")


def content(store: S3Store, stored: Stored | None, bucket: str | None = None) -> bytes:
    assert stored is not None
    return b"".join(store.open(bucket, stored.path, stored.version))


def test_settings_hide_their_secret(nowhere: S3Settings) -> None:
    """The secret key is in no text that could be logged."""
    assert "secret-word" not in repr(nowhere)
    assert "secret-word" not in str(nowhere)


def test_a_missing_bucket_is_made_with_versions(settings: S3Settings, make: Make, client: Minio) -> None:
    """check creates the bucket and switches versions on."""
    make(settings).check()
    assert client.get_bucket_versioning(settings.bucket).status == ENABLED


def test_servers_that_start_together_agree_on_the_bucket(settings: S3Settings, make: Make) -> None:
    """Of several checks at once one creates the bucket, and none takes it for one without versions."""
    stores = [make(settings) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda store: store.check(), stores))


def test_an_existing_bucket_with_versions_is_taken(settings: S3Settings, make: Make, client: Minio) -> None:
    """A bucket that somebody else made is fine if it keeps versions."""
    client.make_bucket(settings.bucket)
    client.set_bucket_versioning(settings.bucket, VersioningConfig(ENABLED))
    make(settings).check()


@pytest.mark.parametrize("suspended", [False, True])
def test_a_bucket_without_versions_is_refused(settings: S3Settings, make: Make, client: Minio, suspended: bool) -> None:
    """check names the bucket and the command that helps, and leaves the bucket as it is; no put gets through."""
    client.make_bucket(settings.bucket)
    if suspended:
        client.set_bucket_versioning(settings.bucket, VersioningConfig(SUSPENDED))
    store = make(settings)
    with pytest.raises(ConfigError, match=settings.bucket) as refused:
        store.check()
    assert f"mc version enable ALIAS/{settings.bucket}" in refused.value.hint
    with pytest.raises(StoreError, match="keeps no versions"):
        store.put_bytes(None, "wf/a", b"x")
    assert client.get_bucket_versioning(settings.bucket).status != ENABLED
    assert list(client.list_objects(settings.bucket)) == []


def test_versions_switched_off_later_are_noticed(settings: S3Settings, make: Make, client: Minio) -> None:
    """A put that the server keeps without a version is no success."""
    store = make(settings)
    store.check()
    client.set_bucket_versioning(settings.bucket, VersioningConfig(SUSPENDED))
    with pytest.raises(StoreError, match="no longer keeps versions"):
        store.put_bytes(None, "wf/a", b"x")


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong-secret"}, {"access_key": "nobody"}])
def test_wrong_credentials_are_told_in_words(
    settings: S3Settings, make: Make, minio: MinioService, wrong: dict[str, str]
) -> None:
    """Refused credentials raise StoreError with the server's words and its address, and never show the secret."""
    store = make(replace(settings, **wrong))
    with pytest.raises(StoreError, match="refuses our credentials") as refused:
        store.check()
    assert minio.endpoint in str(refused.value)
    assert "wrong-secret" not in str(refused.value)
    for region in (None, "us-east-1"):
        with pytest.raises(StoreError, match="credentials"):
            make(replace(settings, region=region, **wrong)).stat(None, "wf/a")


def test_a_server_that_is_not_there_is_named(nowhere: S3Settings, make: Make, tmp_path: Path) -> None:
    """Every method says which server cannot be reached, and no half file is left."""
    store = make(nowhere)
    calls: list[Callable[[], object]] = [
        store.check,
        lambda: store.put_bytes(None, "wf/a", b"x"),
        lambda: store.put_file(None, "wf/a", Path(__file__)),
        lambda: store.stat(None, "wf/a"),
        lambda: store.list(None, "", 1),
        lambda: next(store.open(None, "wf/a", "v")),
        lambda: store.get_file(None, "wf/a", "v", tmp_path / "target"),
        lambda: store.delete_version(None, "wf/a", "v"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match=nowhere.endpoint):
            call()
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<html>hello<",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Come back in an hour\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_a_server_of_another_kind_is_told_from_a_missing_object(make: Make, answer: bytes) -> None:
    """Whatever something that speaks no S3 answers, the error is ours, names the server, and claims nothing missing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_all, args=(server, answer))
        thread.start()
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        store = make(S3Settings(endpoint, "key", "secret", secure=False))
        with pytest.raises(StoreError, match=endpoint) as failed:
            store.list(None, "", 10)
        assert not isinstance(failed.value, ObjectMissing)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_answer_that_breaks_off_is_an_error(make: Make, tmp_path: Path) -> None:
    """A connection lost in the middle of an object raises StoreError and leaves no file."""
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer_all, args=(server, broken))
        thread.start()
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        store = make(S3Settings(endpoint, "key", "secret", secure=False, region="us-east-1"))
        with pytest.raises(StoreError, match=endpoint):
            store.get_file(None, "wf/a", "v", tmp_path / "target")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert not (tmp_path / "target").exists()


def _answer_all(server: socket.socket, answer: bytes) -> None:
    """Give every caller one answer until the server is shut down."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(answer)


@pytest.mark.parametrize("endpoint", ["", "host:9000/path", "ht tp://x", "host:port"])
def test_an_endpoint_that_is_none_is_a_wrong_setting(endpoint: str) -> None:
    """What cannot be an address is refused at once."""
    with pytest.raises(ConfigError, match="endpoint"):
        S3Store(S3Settings(endpoint, "key", "secret"))


def test_only_allowed_buckets_are_reached(settings: S3Settings, make: Make, client: Minio) -> None:
    """A bucket that the deployment does not allow is refused, though the server has it; so is Gaia's own by name."""
    other = f"{settings.bucket}-other"
    client.make_bucket(other)
    client.put_object(other, "a", io.BytesIO(b"x"), 1)
    store = make(replace(settings, buckets=frozenset({"another", settings.bucket})))
    store.check()
    for call in (lambda: store.stat(other, "a"), lambda: store.list(other, "", 1), lambda: store.open(other, "a", "v")):
        with pytest.raises(StoreError, match="may not name the bucket"):
            next(iter(call() or []))  # type: ignore[call-overload]
    with pytest.raises(StoreError, match="own"):
        store.stat(settings.bucket, "a")


def test_an_allowed_bucket_that_does_not_exist_is_empty(settings: S3Settings, make: Make) -> None:
    """Nothing is found in it, and nothing can be put: only the deployment's own bucket is ever made."""
    missing = f"{settings.bucket}-missing"
    store = make(replace(settings, buckets=frozenset({missing})))
    assert store.stat(missing, "a") is None
    assert store.list(missing, "", 10) == []
    store.delete_version(missing, "a", "null-x")
    with pytest.raises(StoreError, match=missing):
        store.put_bytes(missing, "a", b"x")


def test_a_bucket_without_versions_can_be_read(settings: S3Settings, make: Make, client: Minio) -> None:
    """There an object's version is its ETag: once the content changes, the old version is missing; no put is taken."""
    other = f"{settings.bucket}-other"
    client.make_bucket(other)
    client.put_object(other, "a b", io.BytesIO(b"one"), 3)
    store = make(replace(settings, buckets=frozenset({other})))
    first = store.stat(other, "a b")
    assert first is not None
    assert store.list(other, "", 10) == [first]
    assert content(store, first, other) == b"one"
    client.put_object(other, "a b", io.BytesIO(b"two"), 3)
    with pytest.raises(ObjectMissing):
        content(store, first, other)
    store.delete_version(other, "a b", first.version)
    second = store.stat(other, "a b")
    assert content(store, second, other) == b"two"
    with pytest.raises(StoreError, match="keeps no versions"):
        store.put_bytes(other, "c", b"x")


def test_a_deleted_object_is_neither_found_nor_listed(settings: S3Settings, make: Make, client: Minio) -> None:
    """What somebody deleted, leaving a delete marker, is gone; its versions can still be read, the marker cannot."""
    store = make(settings)
    store.check()
    stored = store.put_bytes(None, "wf/a", b"x")
    client.remove_object(settings.bucket, "wf/a")
    assert store.stat(None, "wf/a") is None
    assert store.list(None, "", 10) == []
    assert content(store, stored) == b"x"
    versions = client.list_objects(settings.bucket, "wf/a", include_version=True)
    marker = next(one for one in versions if one.is_delete_marker)
    with pytest.raises(ObjectMissing):
        next(store.open(None, "wf/a", marker.version_id))


def test_deleting_all_takes_what_a_deletion_hides(settings: S3Settings, make: Make, client: Minio) -> None:
    """Versions below somebody's delete marker, the marker itself and a console's folders go, too."""
    store = make(settings)
    store.check()
    store.put_bytes(None, "wf/a", b"1")
    store.put_bytes(None, "wf/a", b"2")
    client.remove_object(bucket_name=settings.bucket, object_name="wf/a")
    client.put_object(bucket_name=settings.bucket, object_name="wf/folder/", data=io.BytesIO(b""), length=0)
    assert store.list(None, "wf/", 10) == []
    assert store.delete_all(None, "wf/", 10) == 4
    assert store.delete_all(None, "wf/", 10) == 0
    assert list(client.list_objects(bucket_name=settings.bucket, recursive=True, include_version=True)) == []


def test_folders_of_a_console_are_not_listed(settings: S3Settings, make: Make, client: Minio) -> None:
    """An object whose name ends with a slash is no object of ours."""
    store = make(settings)
    store.check()
    client.put_object(settings.bucket, "wf/", io.BytesIO(b""), 0)
    stored = store.put_bytes(None, "wf/a", b"x")
    assert store.list(None, "", 10) == [stored]


def test_an_encoded_object_is_handed_out_as_stored(settings: S3Settings, make: Make, client: Minio) -> None:
    """A Content-Encoding that an uploader declared does not make us unpack: size and content stay those stored."""
    store = make(settings)
    store.check()
    data = b"\x1f\x8b no real gzip"
    client.put_object(settings.bucket, "a.gz", io.BytesIO(data), len(data), metadata={"Content-Encoding": "gzip"})
    assert content(store, store.stat(None, "a.gz")) == data


def test_a_listing_goes_on_over_pages(settings: S3Settings, make: Make) -> None:
    """More versions than one answer of the server holds are all gone through, none twice."""
    store = make(settings)
    store.check()
    store.put_bytes(None, "wf/first", b"x")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: store.put_bytes(None, f"wf/many {number % 600:03}", b""), range(1100)))
    store.put_bytes(None, "wf/zlast", b"x")
    expected = ["wf/first", *(f"wf/many {number:03}" for number in range(600)), "wf/zlast"]
    assert [stored.path for stored in store.list(None, "wf/", 10_000)] == expected
    assert [stored.path for stored in store.list(None, "wf/", 550)] == expected[:550]


def test_readers_that_give_up_keep_no_connection(settings: S3Settings, make: Make) -> None:
    """Abandoned readings, more than the pool holds, do not hinder the next request."""
    store = make(settings)
    store.check()
    stored = store.put_bytes(None, "wf/a", b"x" * 2 * 1024 * 1024)
    for _ in range(100):
        chunks = store.open(None, "wf/a", stored.version)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
    assert len(content(store, stored)) == stored.size_bytes


def test_a_closed_store_may_be_closed_again(settings: S3Settings) -> None:
    """close is safe to call twice."""
    store = S3Store(settings)
    store.check()
    store.close()
    store.close()


def test_versions_behind_a_delete_marker_are_listed(settings: S3Settings, make: Make, client: Minio) -> None:
    """What somebody removed has its versions still, none of them current; the removal itself is no version."""
    store = make(settings)
    store.check()
    stored = [store.put_bytes(None, "wf/a", data) for data in (b"1", b"2")]
    client.remove_object(settings.bucket, "wf/a")
    listed = list(store.list_versions(None, "wf/"))
    assert [(one.version, one.is_current) for one in listed] == [(one.version, False) for one in reversed(stored)]


def test_large_files_keep_their_mark(settings: S3Settings, make: Make, tmp_path: Path) -> None:
    """An upload in parts carries its mark as any other."""
    store = make(settings)
    store.check()
    (tmp_path / "large").write_bytes(b"x" * (17 * 1024 * 1024))
    stored = store.put_file(None, "wf/a", tmp_path / "large", mark="me")
    assert store.mark_of(None, "wf/a", stored.version) == "me"


def test_unfinished_uploads_are_aborted(settings: S3Settings, make: Make) -> None:
    """Uploads in parts that began before are aborted, younger ones are not."""
    store = make(settings)
    store.check()
    client = Uploads(["wf/old", "wf/young"])
    store._client = client  # MinIO lists none unless asked for by its exact name
    assert store.clear_unfinished(1_500_000) == 1
    assert client.aborted == [(settings.bucket, "wf/old", "id of wf/old")]


class Uploads:
    """A client at a server that lists its uploads in parts; they began 1,000 s apart."""

    def __init__(self, names: list[str]) -> None:
        self.aborted: list[tuple[str, str, str]] = []
        self._names = names

    def _list_multipart_uploads(self, bucket: str) -> SimpleNamespace:
        return SimpleNamespace(
            uploads=[
                SimpleNamespace(
                    object_name=name,
                    upload_id=f"id of {name}",
                    initiated_time=datetime.fromtimestamp(1000 * (place + 1), UTC),
                )
                for place, name in enumerate(self._names)
            ]
        )

    def _abort_multipart_upload(self, bucket: str, name: str, upload_id: str) -> None:
        self.aborted.append((bucket, name, upload_id))
