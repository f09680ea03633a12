"""The default scratch folder: of one user alone, in a place where everybody may make folders.

A folder that somebody names is theirs to keep. Called by the composition root.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from gaia_core.config import variable
from gaia_core.errors import ConfigError

PRIVATE: Final = 0o700


def default_scratch() -> Path:
    """Return the scratch folder of this user's workers, below the system's folder for temporary files.

    Only its owner can look into it or, where that place is as /tmp is, rename it: so it stays what it is now.

    Raises:
        ConfigError: it is a link, no folder, or another user's.
    """
    folder = Path(tempfile.gettempdir(), f"gaia-scratch-{os.getuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=PRIVATE)
    status = folder.lstat()
    problem = _problem(status)
    if problem:
        hint = f"set {variable('scratch')} to a folder that only you can write, or ask who made that one"
        raise ConfigError(f"The default scratch folder {folder} {problem}.", hint=hint)
    if stat.S_IMODE(status.st_mode) != PRIVATE:
        folder.chmod(PRIVATE)
    return folder


def _problem(status: os.stat_result) -> str:
    """Say what is wrong with a folder that should be ours, or ""."""
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    if status.st_uid != os.getuid():
        return f"belongs to another user (uid {status.st_uid})"
    return ""
