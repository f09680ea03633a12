"""A site: an executor, an image for it, and attempts that run on it; and short ways to say what they run and give.

Every test of `test_executors*.py` is stated once and runs on each executor. When a test ends its site is asked whether
anything is left: a container, a control group, a process, a file.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import pytest

from gaia_core.errors import Unavailable
from gaia_core.machine.reports import Completed, Failed, Report
from gaia_core.workflow.model import FailureClass, FileVersion, Input, Output, Publication
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors import choose
from gaia_worker.executors.base import Executor
from gaia_worker.executors.sandbox import SandboxExecutor
from gaia_worker.settings import WorkerSettings
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import DictStore, execution

MARK = "SITE"
"""A variable that every program of a site inherits, by which it is found."""


@dataclass
class Site:
    """Attempts on one executor, in a deployment of their own."""

    executor: Executor
    image: str
    scratch: Path
    store: DictStore = field(default_factory=DictStore)
    deployment: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        settings = WorkerSettings("w1", slots=2, scratch=self.scratch, deployment=self.deployment)
        self.attempts = Attempts(settings, self.store, self.executor)

    def changed(self, **settings: Any) -> Site:
        """Return the same site with other settings of its worker; its attempts are to be closed."""
        made = copy(self)
        made.attempts = Attempts(replace(self.attempts.settings, **settings), self.store, self.executor)
        return made

    def shell(self, script: str, **fields: Any) -> Report:
        """Run a shell script as one attempt."""
        return self.run("sh", "-c", script, **fields)

    def run(self, *argv: str, control: Control | None = None, **fields: Any) -> Report:
        """Run a program as one attempt."""
        environment = {MARK: self.deployment, **fields.pop("env", {})}
        values = {"image": self.image, "argv": argv, "env": environment, **fields}
        return self.attempts.run(execution(**values), control or Control(), lambda report: None)

    def put(self, key: str, data: str) -> FileVersion:
        """Store a file of the workflow's data space."""
        stored = self.store.put_bytes(None, f"flow/{key}", data.encode())
        return FileVersion(key, stored.version, len(data), hashlib.sha256(data.encode()).digest())

    def text(self, key: str) -> str:
        """Return what lies under a Key now."""
        return self.store.content(f"flow/{key}").decode()

    def said(self, script: str, **fields: Any) -> str:
        """Return what a shell script writes, which must succeed."""
        ok(self.shell(script, outputs=(output("said", ">"),), **fields))
        return self.text("said")

    def close(self) -> None:
        """End what the site holds, whatever a test left running."""
        self.attempts.cleanup()
        self.attempts.close()
        self.executor.close()

    def check_clean(self) -> None:
        """Fail unless nothing runs any more and no file is left; what else there was may go a moment later."""
        assert [*self._files(), *self._processes()] == []
        wait_until(lambda: not self.leftovers(), "all is gone", evidence=lambda: "\n".join(self.leftovers()))

    def leftovers(self) -> list[str]:
        """Return whatever of the attempts is still there."""
        return [*self._files(), *self._processes(), *self._groups(), *self._containers()]

    def _files(self) -> list[str]:
        folder = self.attempts.scratch
        return [str(path) for path in folder.iterdir()] if folder.exists() else []

    def _processes(self) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"{MARK}={self.deployment}".encode() in path.read_bytes():
                    found.append(f"process {path.parent.name}: {(path.parent / 'cmdline').read_bytes()!r}")
            except OSError:
                continue
        return found

    def _groups(self) -> list[str]:
        if not isinstance(self.executor, SandboxExecutor) or self.executor._home is None:
            return []
        return [str(path) for path in self.executor._home.leftovers("gaia-") if self.executor._life in path.name]

    def _containers(self) -> list[str]:
        if self.executor.name != "docker":
            return []
        engine = docker.APIClient()
        try:
            found = engine.containers(all=True, filters={"label": f"gaia.deployment={self.deployment}"})
        finally:
            engine.close()
        return [f"container {container['Names']}" for container in found]


def sandbox(hidden: Path) -> Executor:
    """Return the sandbox; skip where there can be none, unless in CI."""
    return _chosen("sandbox", hidden)


def make_site(kind: str, request: pytest.FixtureRequest, folder: Path) -> Site:
    """Return a site on `docker`, on `sandbox`, or on `polled`: the sandbox without control groups."""
    image = request.getfixturevalue("busybox_image") if kind == "docker" else "ignored"
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "secret").write_text("secret")
    executor = _chosen("docker" if kind == "docker" else "sandbox", hidden)
    if kind == "polled":
        assert isinstance(executor, SandboxExecutor)
        executor._home = None
    return Site(executor, image, hidden / "scratch")


def _chosen(name: str, hidden: Path) -> Executor:
    try:
        return choose.choose_executor(name, (hidden,)).executor
    except Unavailable as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


def ok(end: Report) -> Completed:
    """Return a report that must be one of success."""
    assert isinstance(end, Completed), end
    return end


def failed(end: Report, kind: FailureClass) -> Failed:
    """Return a report that must be one of a failure of this class."""
    assert isinstance(end, Failed), end
    assert end.failure.kind is kind, end
    return end


def output(key: str, path: str) -> Output:
    """Return an output that the Step writes under a Key."""
    return Output(key.strip("/"), key, path)


def given(key: str, path: str, *files: FileVersion) -> Input:
    """Return an input that is made of these files."""
    return Input(key.strip("/"), key, path, (Publication(key, files),))
