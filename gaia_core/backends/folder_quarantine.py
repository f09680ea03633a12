"""Where records go that nobody can use, in the embedded mode: files in a folder, for people who look into it."""

import logging
from pathlib import Path

from gaia_core.ports import Aside

log = logging.getLogger(__name__)


class FolderQuarantine:
    """Puts records aside.

    Args:
        folder: made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, aside: Aside) -> None:
        """Keep one record as a file; see `ports.SetAside`."""
        path = self._folder / f"{aside.log}-{aside.partition}-{aside.offset}"
        try:
            self._folder.mkdir(exist_ok=True)
            path.write_bytes(aside.value)
        except OSError as error:
            log.warning("a record was not put aside", extra={"record": str(path), "cause": str(error)})
        else:
            log.warning("put a record aside", extra={"record": str(path), "cause": aside.cause})
