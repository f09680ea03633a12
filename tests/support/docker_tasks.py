"""Tasks for the Docker executor, without a worker around them: run one, and look at what the engine has of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gaia_worker.executors.base import Exit, Mount, Task
from gaia_worker.executors.docker import DockerExecutor


@dataclass
class Tasks:
    """One executor with an image and a folder, in a deployment of their own."""

    executor: DockerExecutor
    image: str
    folder: Path
    deployment: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def api(self) -> Any:
        """The client of the engine's API that the executor uses."""
        return self.executor._engine.api

    @property
    def labels(self) -> Mapping[str, str]:
        """What all its containers carry."""
        return {"gaia.deployment": self.deployment, "gaia.worker": "w1"}

    def task(self, *argv: str, **fields: Any) -> Task:
        """Return a task that runs a program."""
        values: dict[str, Any] = {
            "name": f"gaia-test-{uuid.uuid4().hex[:12]}",
            "image": self.image,
            "labels": self.labels,
            "area": self.folder / "area",
            "timeout_s": 60,
        }
        return Task(argv=argv, **{**values, **fields})

    def shell(self, script: str, **fields: Any) -> tuple[Exit, str]:
        """Run a shell script; return how it ended and what it wrote."""
        return self.run(self.task("sh", "-c", script, **fields))

    def said(self, script: str, **fields: Any) -> str:
        """Return what a shell script writes."""
        return self.shell(script, **fields)[1]

    def run(self, task: Task, cancelled: threading.Event | None = None) -> tuple[Exit, str]:
        """Run a task; return how it ended and what it wrote."""
        words: list[bytes] = []
        end = self.executor.run(task, cancelled or threading.Event(), lambda stream, data: words.append(data))
        return end, b"".join(words).decode("utf-8", "replace")

    def given(self, target: str, *, read_only: bool = False, **files: str) -> Mount:
        """Return a mount of a new folder with these files."""
        source = self.folder / "attempts" / uuid.uuid4().hex
        source.mkdir(parents=True)
        for name, text in files.items():
            (source / name).write_text(text, encoding="utf-8")
        return Mount(source, target, read_only)

    def given_file(self, target: str, text: str, *, read_only: bool = True) -> Mount:
        """Return a mount of a new file."""
        folder = self.given(target, file=text)
        return Mount(folder.source / "file", target, read_only)

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return what the engine has of this deployment."""
        wanted = [f"{name}={value}" for name, value in {"gaia.deployment": self.deployment, **labels}.items()]
        found: list[dict[str, Any]] = self.api.containers(all=True, filters={"label": wanted})
        return found

    def warm(self) -> set[str]:
        """Return the ids of the containers that stay."""
        return {container["Id"] for container in self.containers(**{"gaia.reuse": "yes"})}
