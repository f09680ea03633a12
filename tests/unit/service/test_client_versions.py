"""Clients whose version is too far from the server's are refused, with both versions."""

import pytest

from gaia_client import connection
from gaia_core.errors import NotAllowedNow
from tests.unit.service.served import Served


def test_a_client_of_another_age_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is refused in words that name both versions; one of the same version is served."""
    with Served() as served:
        with served.client() as flow:
            assert flow.workflows() == []
        monkeypatch.setattr(connection, "VERSION", "99.1.0")
        with served.client() as flow, pytest.raises(NotAllowedNow, match=r"Gaia 99\.1\.0.*Gaia 0\.1\.0"):
            flow.workflows()
