"""What a worker is told when it starts; a plain value that the composition root builds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gaia_core.config import DISK_BYTES, KEPT_BYTES, LOG_BYTES_MAX, Config, variable
from gaia_core.errors import ConfigError
from gaia_core.scheduling.fleet import UNTOLD
from gaia_core.workflow.metadata import parse_metadata
from gaia_core.workflow.model import Resources
from gaia_worker.secrets import Secrets

HEARTBEAT_S: Final = 5.0
"""A sixth of the lease time, so that a few lost seconds cost nobody an attempt."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker.

    Attributes:
        name: unique in the deployment; a new process of the same name replaces the old one.
        pool: class of workers it belongs to.
        slots: attempts that run at the same time.
        scratch: folder for the files of running attempts; an engine in a VM or container must see it at this path.
        deployment: name of the Gaia it belongs to; containers carry it as a label.
        prefetch: attempts held beyond the slots; None for as many as hide the round trip to the coordinator.
        heartbeat_s: pause between two heartbeats.
        cache_bytes: inputs that are kept for the next attempt; 0 keeps none.
        disk_bytes: what the program of one attempt may write.
        kept_bytes: files of failed attempts that are kept where they were asked for.
        idle_exit_s: leave after so long without an attempt; None never leaves. Only launched workers set it.
        host: name of the machine, for people.
        version: of Gaia, for people.
        secrets: what it may give to programs whose Commands name it.
        metadata: whatever else people should see of it.
        log_bytes_max: of each attempt's log; of a longer one the beginning and the end are kept.
        resources: what attempts on it may demand together; what it does not tell is no limit.
        disk_free_min: it takes nothing new while less is free where its scratch folder lies: "512M" or "5%".
    """

    name: str
    slots: int
    scratch: Path
    deployment: str
    pool: str = "default"
    prefetch: int | None = None
    heartbeat_s: float = HEARTBEAT_S
    cache_bytes: int = 0
    disk_bytes: int = DISK_BYTES
    kept_bytes: int = KEPT_BYTES
    idle_exit_s: float | None = None
    host: str = ""
    version: str = ""
    secrets: Secrets = field(default_factory=Secrets)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    log_bytes_max: int = LOG_BYTES_MAX
    resources: Resources = UNTOLD
    disk_free_min: str = "0"


def hidden_folders(config: Config, *others: Path) -> tuple[Path, ...]:
    """Return the folders of a worker that programs must not see, where their executor shares the host's with them."""
    folders = (config.scratch, config.secrets_dir, *others)
    return tuple(dict.fromkeys(folder.resolve() for folder in folders if folder is not None))


def metadata_of(text: str) -> dict[str, Any]:
    """Return the metadata that a worker is configured with.

    Args:
        text: a JSON object, or "" for none.

    Raises:
        ConfigError: it is too large, or has what cannot be shown.
    """
    metadata, problems = parse_metadata(json.loads(text or "{}"), variable("worker_metadata"))
    if problems:
        raise ConfigError("The metadata of the worker is wrong.", problems=problems)
    return metadata
