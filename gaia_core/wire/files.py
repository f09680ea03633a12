"""Files, publications, failures and fences as protobuf and back; shared by the bus, the journal and the API."""

from collections.abc import Iterable

from gaia.v1 import model_pb2, worker_pb2
from gaia_core.workflow.model import Failure, FailureClass, Fence, FileVersion, Publication

_FAILURE_CLASSES = {kind.value: kind for kind in FailureClass}


def file_to_proto(file: FileVersion) -> model_pb2.FileVersion:
    """Encode one file version."""
    return model_pb2.FileVersion(key=file.key, version=file.version, size_bytes=file.size_bytes, sha256=file.sha256)


def file_from_proto(message: model_pb2.FileVersion) -> FileVersion:
    """Decode one file version."""
    return FileVersion(message.key, message.version, message.size_bytes, message.sha256)


def publication_to_proto(publication: Publication) -> model_pb2.Publication:
    """Encode what lies under one Key."""
    return model_pb2.Publication(
        key=publication.key,
        files=[file_to_proto(file) for file in publication.files],
        manifest=file_to_proto(publication.manifest) if publication.manifest else None,
    )


def publications_from_proto(messages: Iterable[model_pb2.Publication]) -> tuple[Publication, ...]:
    """Decode publications in order."""
    return tuple(
        Publication(
            message.key,
            tuple(file_from_proto(file) for file in message.files),
            file_from_proto(message.manifest) if message.HasField("manifest") else None,
        )
        for message in messages
    )


def failure_to_proto(failure: Failure) -> model_pb2.Failure:
    """Encode a failure."""
    return model_pb2.Failure(
        **{"class": failure.kind.value},
        message=failure.message,
        exit_code=failure.exit_code,
        log_tail=failure.log_tail,
        passing=failure.is_passing,
    )


def failure_from_proto(message: model_pb2.Failure) -> Failure:
    """Decode a failure; a class this version does not know counts as ENGINE."""
    number = getattr(message, "class")
    kind = _FAILURE_CLASSES.get(number, FailureClass.ENGINE)
    exit_code = message.exit_code if message.HasField("exit_code") else None
    return Failure(kind, message.message, exit_code, message.log_tail, message.passing)


def fence_to_proto(fence: Fence) -> worker_pb2.Fence:
    """Encode a fence."""
    return worker_pb2.Fence(workflow_uid=fence.workflow_uid, step=fence.step, attempt=fence.attempt, term=fence.term)


def fence_from_proto(message: worker_pb2.Fence) -> Fence:
    """Decode a fence."""
    return Fence(message.workflow_uid, message.step, message.attempt, message.term)
