"""What a program left behind: finds the files of an output and refuses what must not leave the scratch folder.

Symbolic links are followed only as far as the folder that the program could write, and never to a folder: a program
must not publish the host's files. Called when the program and everything it started is gone, so nothing changes below.
"""

import os
import stat
from collections.abc import Iterator, Set
from pathlib import Path

from gaia_core.workflow.keys import KEY_BYTES_MAX, key_problem
from gaia_core.workflow.model import FailureClass
from gaia_worker.failing import AttemptFailed
from gaia_worker.staging import StagedOutput


def collect(staged: StagedOutput, excluded: Set[Path]) -> list[tuple[str, Path]]:
    """Return the Keys of an output's files with their places on the host, in Key order.

    Args:
        staged: the output and where it should lie.
        excluded: places that are inputs, and so belong to no output tree.

    Raises:
        AttemptFailed: OUTPUT_MISSING, there is nothing, or something that cannot be stored.
    """
    if not staged.is_tree:
        return [(staged.output.key, _file(staged))]
    if not staged.source.is_dir() or staged.source.is_symlink():
        raise _problem(staged, "is not there")
    files = [
        (_key(staged, path), _regular(staged, path)) for path in _walk(staged, staged.source) if path not in excluded
    ]
    return sorted(files)


def _file(staged: StagedOutput) -> Path:
    if not os.path.lexists(staged.source) or (staged.own_mount and _untouched(staged.source)):
        raise _problem(staged, "is not there")
    if staged.source.is_dir():
        raise _problem(staged, "is a folder; a Key that ends in '/' would take it")
    return _regular(staged, staged.source)


def _untouched(path: Path) -> bool:
    """Tell whether a file that we made before the program ran was never written."""
    return path.stat().st_mtime_ns == 0


def _walk(staged: StagedOutput, folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that is not itself a folder."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_symlink() and entry.is_dir():
                    raise _problem(staged, f"holds a symbolic link to a folder: {entry.name!r}")
                else:
                    yield Path(entry.path)


def _regular(staged: StagedOutput, path: Path) -> Path:
    """Return the regular file at path, or the one in the same writable folder that a link there leads to."""
    try:
        resolved = path.resolve(strict=True)
        inside = resolved.is_relative_to(staged.inside.resolve())
        regular = stat.S_ISREG(resolved.lstat().st_mode)
    except (OSError, RuntimeError):  # a link to nothing, or in a circle
        inside = regular = False
    if not inside:
        raise _problem(staged, f"holds a symbolic link that leads out of it: {path.name!r}")
    if not regular:
        raise _problem(staged, f"holds something that is not a file: {path.name!r}")
    return resolved


def _key(staged: StagedOutput, path: Path) -> str:
    relative = path.relative_to(staged.source).as_posix()
    key = staged.output.key + relative
    problem = key_problem(f"tree/{relative}")
    if problem is None and len(key.encode()) > KEY_BYTES_MAX:
        problem = f"the Key {key!r} is longer than {KEY_BYTES_MAX} bytes"
    if problem is not None:
        raise _problem(staged, f"holds a file that cannot be stored: {problem}")
    return key


def _problem(staged: StagedOutput, what: str) -> AttemptFailed:
    output = staged.output
    message = f"output {output.name!r} ({output.key!r}) at {output.path} {what}"
    return AttemptFailed(FailureClass.OUTPUT_MISSING, message)
