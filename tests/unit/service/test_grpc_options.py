"""Options of gRPC are texts that nobody checks: a name that the library does not know does nothing."""

from pathlib import Path

import pytest
from grpc._cython import cygrpc

from gaia_client import connection
from gaia_core import interfaces

LIBRARY = Path(cygrpc.__file__).read_bytes()


@pytest.mark.parametrize("name", [name for name, _ in (*interfaces.OPTIONS, *connection._OPTIONS)])
def test_the_library_knows_every_option(name: str) -> None:
    """A server that does not know that clients may ask for signs of life sends quiet watchers away."""
    assert name.encode() + b"\0" in LIBRARY
