"""Tests that need a user whom the system refuses something, also where root runs them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """Be no root as long as the context lasts; yield an empty folder of that user's own."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        if os.geteuid() != 0:
            yield home
            return
        os.chown(home, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield home
        finally:
            os.seteuid(0)
