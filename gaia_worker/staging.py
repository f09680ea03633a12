"""Where the files of an attempt lie on the host, and what the program sees of them: a pure plan, nothing is touched.

Every internal path of an attempt is visible to the program at its absolute path. Inputs are mounted read-only. Outputs
lie in *roots*, folders of the host that are mounted writable, because programs rename files into place and a file that
is a mount of its own cannot be replaced:

- The root of an output file is its parent folder, that of an output tree is the tree. The program sees an empty folder
  there, with the inputs in it and nothing that the image or the host has at that place.
- A system folder (`/`, `/usr/…`, `/etc/…` and so on) is never covered by a root: an output file in one is a mount of
  its own, which must be written in place.
- Roots that lie in a root are plain folders of it. An input tree that a root lies in (or is equal to) becomes a root
  itself: its files are laid into it as read-only copies instead of being mounted.

`plan` is the only entry; executors get its mounts, `gaia_worker.attempt` does the rest of it.
"""

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import STDOUT_ALWAYS, STDOUT_BOTH, Execution, Input, Output
from gaia_worker.executors.base import Mount

STDOUT_BOTH_NAMES: Final = frozenset({STDOUT_BOTH, "STDOUT"})
"""Internal paths that mean stdout and stderr together, kept on success."""

COVERED_NEVER: Final = frozenset({"/", "/home", "/opt", "/root", "/var", "/var/lib"})
"""Folders with much below them that programs need."""

COVERED_NEVER_BELOW: Final = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr",
)  # fmt: skip
"""Folders that are, with all that lies in them, the system."""


@dataclass(frozen=True, slots=True)
class StagedInput:
    """An input and the host's place for it.

    Attributes:
        source: file, or folder for a tree.
        laid_in: it lies in a root, among what the program writes.
        read_only: its files lose their write permission; False only where the input's own path is an output too.
    """

    input: Input
    source: Path
    is_tree: bool
    laid_in: bool
    read_only: bool


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """An output that is written to an internal path, and where the host finds it.

    Attributes:
        index: position among the outputs of the Execution.
        inside: folder of the host that a symbolic link must not lead out of.
        own_mount: a file that exists, empty, before the program runs; its time tells whether it was written.
        with_inputs: inputs that lie in the tree belong to it, because its path is an input's path too.
    """

    index: int
    output: Output
    source: Path
    inside: Path
    is_tree: bool
    own_mount: bool
    with_inputs: bool


@dataclass(frozen=True, slots=True)
class StagePlan:
    """All that must exist on the host before the program runs, and what it sees.

    Attributes:
        folders: to be made, parents first.
        files: to be made, empty, after the inputs are there and where they are not.
        stdout: host file that receives standard output alone.
        both: (index, output) of those that are stdout and stderr together, kept on success.
        always: the same with header and footer, kept even on failure.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    inputs: tuple[StagedInput, ...]
    outputs: tuple[StagedOutput, ...]
    mounts: tuple[Mount, ...]
    stdout: Path | None
    both: tuple[tuple[int, Output], ...]
    always: tuple[tuple[int, Output], ...]


def plan(execution: Execution, scratch: Path) -> StagePlan:
    """Lay out one attempt.

    Args:
        execution: its internal paths are absolute.
        scratch: the attempt's own folder; everything planned lies in it.
    """
    return _Planner(execution, scratch).plan()


def is_captured(path: str) -> bool:
    """Tell whether an output's internal path stands for the program's own words and not for a file."""
    return path in STDOUT_BOTH_NAMES or path == STDOUT_ALWAYS


def may_cover(folder: str) -> bool:
    """Tell whether a folder may be replaced by an empty one without breaking programs."""
    return folder not in COVERED_NEVER and not any(_within(folder, system) for system in COVERED_NEVER_BELOW)


class _Planner:
    """The steps of one plan, with what they share. Paths are internal ones, cleaned; Paths are the host's."""

    def __init__(self, execution: Execution, scratch: Path) -> None:
        self._scratch = scratch
        self._execution = execution
        self._trees = {_clean(item.path) for item in execution.inputs if is_tree(item.key)}
        self._written_trees, self._written_files = self._written()
        self._roots, self._laid_in = self._choose_roots()
        self._sealed = {
            _clean(item.path): scratch / "inputs" / str(number)
            for number, item in enumerate(execution.inputs)
            if _clean(item.path) not in self._laid_in
        }

    def plan(self) -> StagePlan:
        """Put the plan together."""
        mounts = self._mounts()
        points = {mount.target: point for mount in mounts if (point := self._mount_point(mount.target)) is not None}
        files = [point for target, point in points.items() if not self._is_folder(target)]
        folders = [point if self._is_folder(target) else point.parent for target, point in points.items()]
        inputs = tuple(self._stage_input(item) for item in self._execution.inputs)
        outputs = tuple(self._stage_outputs())
        captured = [(index, item) for index, item in enumerate(self._execution.outputs) if is_captured(item.path)]
        return StagePlan(
            folders=self._folders([*inputs, *outputs], folders),
            files=tuple(dict.fromkeys([*(self._host(path) for path in self._singles()), *files])),
            inputs=inputs,
            outputs=outputs,
            mounts=mounts,
            stdout=self._host(_clean(self._execution.stdout)) if self._execution.stdout else None,
            both=tuple(pair for pair in captured if pair[1].path in STDOUT_BOTH_NAMES),
            always=tuple(pair for pair in captured if pair[1].path == STDOUT_ALWAYS),
        )

    def _written(self) -> tuple[set[str], set[str]]:
        """Return the paths of output trees and of output files, standard output's among these."""
        written = [item for item in self._execution.outputs if not is_captured(item.path)]
        files = {_clean(item.path) for item in written if not is_tree(item.key)}
        if self._execution.stdout:
            files.add(_clean(self._execution.stdout))
        return {_clean(item.path) for item in written if is_tree(item.key)}, files

    def _choose_roots(self) -> tuple[dict[str, Path], set[str]]:
        """Return the roots with their places, none inside another, and the inputs that are laid into them."""
        parents = {posixpath.dirname(path) for path in self._written_files}
        wanted = self._written_trees | {folder for folder in parents if may_cover(folder)}
        laid_in = {tree for tree in self._trees if any(_within(root, tree) for root in wanted)}
        wanted |= laid_in
        roots = [root for root in sorted(wanted) if not any(root != other and _within(root, other) for other in wanted)]
        places = {root: self._scratch / "outputs" / str(number) for number, root in enumerate(roots)}
        return places, laid_in | self._written_files

    def _root_of(self, path: str) -> str | None:
        return next((root for root in self._roots if _within(path, root)), None)

    def _host(self, path: str) -> Path:
        """Return the host's place of a path that the program may write."""
        root = self._root_of(path)
        if root is None:
            return self._scratch / "outputs" / "single" / path.lstrip("/")
        return self._roots[root] / posixpath.relpath(path, root)

    def _singles(self) -> list[str]:
        """Return the output files that are mounts of their own."""
        return sorted(path for path in self._written_files if self._root_of(path) is None)

    def _mounts(self) -> tuple[Mount, ...]:
        """Return the mounts, a folder before what lies in it."""
        mounts = [Mount(source, root, read_only=False) for root, source in self._roots.items()]
        mounts += [Mount(self._host(path), path, read_only=False) for path in self._singles()]
        mounts += [Mount(source, path, read_only=True) for path, source in self._sealed.items()]
        return tuple(sorted(mounts, key=lambda mount: (mount.target.rstrip("/").count("/"), mount.target)))

    def _mount_point(self, target: str) -> Path | None:
        """Return what a mount at target covers in the folder mounted above it, or None where that is not ours."""
        folders = {**self._roots, **{path: source for path, source in self._sealed.items() if path in self._trees}}
        above = max((place for place in folders if place != target and _within(target, place)), key=len, default=None)
        return folders[above] / posixpath.relpath(target, above) if above is not None else None

    def _is_folder(self, target: str) -> bool:
        return target in self._roots or target in self._trees

    def _stage_input(self, item: Input) -> StagedInput:
        path = _clean(item.path)
        written = path in self._written_files or path in self._written_trees
        sealed = self._sealed.get(path)
        source = sealed if sealed is not None else self._host(path)
        return StagedInput(item, source, is_tree(item.key), laid_in=sealed is None, read_only=not written)

    def _stage_outputs(self) -> Iterator[StagedOutput]:
        for index, item in enumerate(self._execution.outputs):
            if not is_captured(item.path):
                path = _clean(item.path)
                root = self._root_of(path)
                yield StagedOutput(
                    index=index,
                    output=item,
                    source=self._host(path),
                    inside=self._roots[root] if root is not None else self._scratch / "outputs",
                    is_tree=is_tree(item.key),
                    own_mount=root is None,
                    with_inputs=path in self._trees,
                )

    def _folders(self, staged: Iterable[StagedInput | StagedOutput], points: Iterable[Path]) -> tuple[Path, ...]:
        wanted = {self._scratch / name for name in ("inputs", "outputs", "logs")}
        wanted.update(self._roots.values())
        wanted.update(points)
        wanted.update(item.source if item.is_tree else item.source.parent for item in staged)
        wanted.update(self._host(path).parent for path in self._written_files)
        return tuple(sorted(wanted))


def _clean(path: str) -> str:
    """Return an absolute path without a trailing slash, doubled slashes and dots."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _within(path: str, folder: str) -> bool:
    """Tell whether path is folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")
