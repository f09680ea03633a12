"""An image registry with one image, that wants to know who asks: as much of its protocol as a pull takes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
USER, PASSWORD = "ada", "lovelace"
EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NAME = "private/tool"
SILENT_S = 60


class Registry:
    """A registry that answers at `address`."""

    def __init__(self) -> None:
        self.silent = threading.Event()
        self.silent.set()
        """While it is not set, no layer comes."""
        self.asked_for_layer = 0
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as made:
            made.addfile(tarfile.TarInfo("file"))
        diff, packed = layer.getvalue(), gzip.compress(layer.getvalue(), mtime=0)
        rootfs = {"type": "layers", "diff_ids": [_digest(diff)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
        parts = {"config": (CONFIG_TYPE, config), "layer": (LAYER_TYPE, packed)}
        described = {
            name: {"mediaType": kind, "size": len(data), "digest": _digest(data)}
            for name, (kind, data) in parts.items()
        }
        self.layer = described["layer"]["digest"]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": described["config"]}
        self.manifest = json.dumps({**manifest, "layers": [described["layer"]]}).encode()
        self.digest = _digest(self.manifest)
        self.blobs = {_digest(data): data for _, data in parts.values()}
        self._server = _Server(self)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.image = f"{self.address}/{NAME}:1"

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        """Stop answering."""
        self.silent.set()
        self._server.shutdown()
        self._server.server_close()


def credentials(registry: Registry) -> str:
    """Return the configuration of a user who has logged in."""
    return json.dumps({"auths": {registry.address: {"auth": EXPECTED.removeprefix("Basic ")}}})


@contextmanager
def running_registry() -> Iterator[Registry]:
    """Give a registry that answers."""
    registry = Registry()
    thread = threading.Thread(target=registry.serve)
    thread.start()
    try:
        yield registry
    finally:
        registry.close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Listens for one registry."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != EXPECTED:
            self._answer(401, "application/json", b"{}", {"WWW-Authenticate": 'Basic realm="test"'})
        elif "/manifests/" in self.path:
            headers = {"Docker-Content-Digest": self.server.registry.digest}
            self._answer(200, MANIFEST_TYPE, self.server.registry.manifest, headers)
        elif "/blobs/" in self.path:
            self._blob(self.path.rpartition("/")[2])
        else:
            self._answer(200, "application/json", b"{}", {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _blob(self, digest: str) -> None:
        registry = self.server.registry
        if digest == registry.layer:
            registry.asked_for_layer += 1
            registry.silent.wait(SILENT_S)
        self._answer(200, "application/octet-stream", registry.blobs[digest], {})

    def _answer(self, code: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
