"""What a server, the client library or the network raises, in words of ours; called by the S3 store alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError

from gaia_core.errors import ObjectMissing, StoreError

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "PreconditionFailed", "MethodNotAllowed"})
_REFUSED: Final = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidTokenId"})


@contextmanager
def in_words(what: str, endpoint: str) -> Iterator[None]:
    """Turn whatever the client or the network raises into errors of ours that name server and object."""
    place = f"{what} at {endpoint}"
    try:
        yield
    except S3Error as error:
        words = f"{error.code}: {error.message}"
        if _means_missing(error):
            raise ObjectMissing(f"The store has no {place} ({words}).") from error
        if error.code in _REFUSED:
            raise StoreError(f"The store refuses our credentials for {place} ({words}).") from error
        raise StoreError(f"The store refuses {place} ({words}).") from error
    except MaxRetryError as error:
        raise StoreError(f"The store cannot be reached for {place}: {error.reason}.") from error
    except OSError as error:  # the network's are HTTPErrors by now
        raise StoreError(f"A local file hinders the transfer of {place}: {error}.") from error
    # ValueError: a name the client refuses. ParseError: the answer of a server that speaks no S3.
    except (MinioException, HTTPError, ValueError, ParseError) as error:
        raise StoreError(f"The store failed for {place}: {error}.") from error


def _means_missing(error: S3Error) -> bool:
    """Tell whether the server says that object or version is not there; "405" is a GET of a delete marker."""
    malformed = error.code == "InvalidArgument" and "version id" in (error.message or "").lower()
    return error.code in _MISSING or malformed
