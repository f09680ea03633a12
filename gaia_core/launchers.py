"""Which launcher a `gaia server` has, and what it hands to the workers: the settings that count for them."""

from collections.abc import Mapping
from typing import Final

from gaia_core.backends.process_launcher import ProcessLauncher
from gaia_core.config import LAUNCHED_IDLE_EXIT_S, PREFIX, Config, names_of, variable
from gaia_core.errors import ConfigError
from gaia_core.ports import Launcher
from gaia_core.service.launching import NoLauncher

FILE_VARIABLE: Final = "GAIA_CONFIG"

DEFAULT_HOST: Final = Config().host


def launcher_of(config: Config, environ: Mapping[str, str]) -> Launcher:
    """Return what starts workers for clients of a cluster's server.

    Args:
        config: of the server.
        environ: an environment that gives another process the server's settings.

    Raises:
        ConfigError: a setting is missing.
    """
    idle_exit_s = config.idle_exit_s or LAUNCHED_IDLE_EXIT_S
    match config.launcher:
        case "none":
            return NoLauncher()
        case "docker":
            return _docker(config, environ, idle_exit_s)
        case _:
            # Several workers cannot share a port, and one that a file names is not undone by an empty variable.
            metrics = "127.0.0.1:0" if config.metrics_listen else ""
            own = {variable("host"): _host(config, config.listen), variable("metrics_listen"): metrics}
            return ProcessLauncher({**environ, **own}, idle_exit_s, config.launch_logs, config.launch_max)


def worker_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment counts for a worker on another machine, or in a container."""
    known = {variable(name) for name in names_of("worker")} | {FILE_VARIABLE}
    return {name: value for name, value in environ.items() if name.startswith(PREFIX) and name in known}


def _docker(config: Config, environ: Mapping[str, str], idle_exit_s: float) -> Launcher:
    from gaia_core.backends.docker_launcher import Containers, DockerLauncher, connect  # noqa: PLC0415 - few need it

    if not config.launch_image:
        hint = f"set {variable('launch_image')} to one whose entrypoint is gaia"
        raise ConfigError("No image is named for launched workers.", hint=hint)
    host = {variable("host"): _host(config, config.advertise or config.listen)}
    made_of = Containers(
        deployment=config.topic_prefix,
        image=config.launch_image,
        environ={**worker_environ(environ), **host},
        network=config.launch_network,
        volumes=config.launch_volumes,
        idle_exit_s=idle_exit_s,
        folder=config.launch_logs,
        most=config.launch_max,
    )
    return DockerLauncher(made_of, connect)


def _host(config: Config, own: str) -> str:
    """Return where launched workers find the servers: where it is said, or else this one."""
    return own if config.host == DEFAULT_HOST else config.host
