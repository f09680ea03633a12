"""A service that one process has started is used by those that it starts."""

import os
from typing import Self

from tests.support.services import MinioService


class Started(MinioService):
    """One that counts as started without a container."""

    def start(self) -> Self:
        self.port, self.image = 1234, "minio:x"
        return self


def test_a_shared_service_is_not_started_again() -> None:
    """Whoever wants one while it is shared gets where it is, and its keys; ending that ends nothing."""
    with Started().shared() as service, MinioService() as other:
        assert (other.endpoint, other.secret_key, other.image) == ("127.0.0.1:1234", service.secret_key, "minio:x")


def test_sharing_ends_with_the_service() -> None:
    """Later processes start one of their own."""
    with Started().shared():
        assert "SHARED_MINIO" in os.environ
    assert "SHARED_MINIO" not in os.environ
