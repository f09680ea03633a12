"""`gaia worker`: a worker of a cluster."""

import sys
from collections.abc import Callable
from typing import Any

import click

from gaia_client.cli.settings import config_option, quiet_grpc, read_config, stop_on_signals


@click.command("worker")
@click.option("--name", "worker_name", metavar="NAME", help="Unique in the deployment [GAIA_WORKER_NAME].")
@click.option("--pool", metavar="POOL", help="Class of workers it belongs to [GAIA_POOL].")
@click.option("--slots", metavar="N", help="Steps it runs at once [GAIA_SLOTS].")
@click.option("--executor", type=click.Choice(["auto", "docker", "sandbox", "noop"]), help="What runs programs.")
@click.option("--scratch", metavar="DIR", help="Folder for files of running Steps [GAIA_SCRATCH].")
@click.option("--idle-exit", "idle_exit_s", metavar="SECONDS", help="Leave after so long without a Step.")
@click.option("--host", metavar="HOST:PORT", help="The server's gRPC address [GAIA_HOST].")
@click.option("--kafka-bootstrap", metavar="HOST:PORT,…", help="Kafka servers [GAIA_KAFKA_BOOTSTRAP].")
@click.option("--topic-prefix", metavar="WORD", help="Begins the name of every topic [GAIA_TOPIC_PREFIX].")
@click.option("--s3-endpoint", metavar="HOST:PORT", help="S3 server [GAIA_S3_ENDPOINT].")
@config_option
def command(config_file: str | None, **flags: Any) -> None:
    """Run Steps for a cluster. SIGTERM or Ctrl-C drains: what runs is finished, nothing new is taken."""
    quiet_grpc()
    from gaia_core import logs  # noqa: PLC0415 - the worker's libraries load only here
    from gaia_worker.cluster import run_worker  # noqa: PLC0415

    config = read_config(config_file, flags)
    logs.configure()

    def started(drain: Callable[[], None], reason: str) -> None:
        stop_on_signals(drain)
        click.echo(f"Steps run in: {reason}", file=sys.stderr)

    why = run_worker(config, started)
    click.echo(f"The worker left: {why}.", file=sys.stderr)
