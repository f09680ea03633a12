"""Manifest objects: the files of a tree that is too large to be listed in a message, as bytes and back.

A manifest is itself a stored object; the `FileVersion` that points to one carries, as its key, the object's path in the
deployment's own bucket. Written by workers; read by workers and by whoever serves files.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from gaia.v1 import model_pb2
from gaia_core.errors import StoreError
from gaia_core.wire.files import file_from_proto, file_to_proto
from gaia_core.workflow.model import FileVersion


def encode_manifest(files: Iterable[FileVersion]) -> bytes:
    """Encode the content of a manifest object."""
    return model_pb2.Manifest(files=[file_to_proto(file) for file in files]).SerializeToString()


def decode_manifest(data: bytes) -> tuple[FileVersion, ...]:
    """Decode the content of a manifest object.

    Raises:
        StoreError: the object is no manifest.
    """
    try:
        manifest = model_pb2.Manifest.FromString(data)
    except DecodeError as problem:
        raise StoreError(f"a manifest object of {len(data)} bytes cannot be decoded: {problem}") from problem
    return tuple(file_from_proto(file) for file in manifest.files)
