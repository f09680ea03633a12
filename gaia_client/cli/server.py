"""`gaia server`: a coordinator of a cluster."""

import sys
from typing import Any

import click

from gaia_client.cli.settings import config_option, environ_of, quiet_grpc, read_config, stop_on_signals


@click.command("server")
@click.option("--listen", metavar="HOST:PORT", help="gRPC address [GAIA_LISTEN].")
@click.option("--advertise", metavar="HOST:PORT", help="Address for clients, if not that of --listen [GAIA_ADVERTISE].")
@click.option("--http", "http_listen", metavar="HOST:PORT", help="HTTP address [GAIA_HTTP_LISTEN].")
@click.option("--kafka-bootstrap", metavar="HOST:PORT,…", help="Kafka servers [GAIA_KAFKA_BOOTSTRAP].")
@click.option("--topic-prefix", metavar="WORD", help="Begins the name of every topic [GAIA_TOPIC_PREFIX].")
@click.option("--s3-endpoint", metavar="HOST:PORT", help="S3 server [GAIA_S3_ENDPOINT].")
@click.option("--insecure", is_flag=True, default=None, help="Serve other machines without a token.")
@click.option("--quarantine", is_flag=True, default=None, help="Go on without what cannot be read of the journal.")
@config_option
def command(config_file: str | None, **flags: Any) -> None:
    """Run a coordinator on Kafka and S3. Secrets come from the environment or the file, never from flags."""
    quiet_grpc()
    from gaia_core import logs  # noqa: PLC0415 - the server's libraries load only here
    from gaia_core.app import Server, cluster_backing  # noqa: PLC0415
    from gaia_core.launchers import launcher_of  # noqa: PLC0415

    config = read_config(config_file, flags)
    logs.configure()
    launcher = launcher_of(config, environ_of(config_file, flags))
    does = {"leader": "serves", "standby": "stands by"}
    where = f"gRPC on {config.listen}, HTTP on {config.http_listen}"
    with cluster_backing(config) as backing:
        server = Server(config, backing, lambda _: launcher)
        stop_on_signals(server.stop)
        server.run(lambda role: click.echo(f"Gaia {does[role]}: {where}", file=sys.stderr))
