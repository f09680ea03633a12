"""`gaia up`: a coordinator and its workers in one process."""

import sys
from typing import Any

import click

from gaia_client.cli.settings import config_option, quiet_grpc, read_config, stop_on_signals


@click.command("up")
@click.option("--data", metavar="DIR", help="Where state and files are kept [gaia-data].")
@click.option("--listen", metavar="HOST:PORT", help="gRPC address [127.0.0.1:24442].")
@click.option("--http", "http_listen", metavar="HOST:PORT", help="HTTP address [127.0.0.1:24480].")
@click.option("--workers", metavar="N", help="Workers to start [1].")
@click.option("--slots", metavar="N", help="Steps that a worker runs at once [one per processor].")
@click.option("--executor", type=click.Choice(["auto", "docker", "sandbox", "noop"]), help="What runs programs [auto].")
@click.option("--insecure", is_flag=True, default=None, help="Serve other machines without a token.")
@click.option("--quarantine", is_flag=True, default=None, help="Go on without what cannot be read of the journal.")
@config_option
def command(config_file: str | None, **flags: Any) -> None:
    """Run all of Gaia on this machine: nothing else is needed.

    State lies in the data folder. Stop it as you like, start it again, and every workflow goes on.
    """
    quiet_grpc()
    from gaia_core import logs  # noqa: PLC0415 - the server's libraries load only here
    from gaia_worker.embedded import Embedded  # noqa: PLC0415

    config = read_config(config_file, flags)
    logs.configure()
    embedded = Embedded(config)
    stop_on_signals(embedded.stop)

    def ready() -> None:
        host = "" if config.listen.endswith(":24442") else f" --host {config.listen}"
        lines = [
            f"Gaia is up: gRPC on {config.listen}, HTTP on {config.http_listen}, data in {config.data.absolute()}",
            f"Steps run in: {embedded.executor_reason}{_other_executor(embedded.executor_reason)}",
            f"Try, in another terminal: gaia{host} workflows.  Ctrl-C stops it; nothing is lost.",
        ]
        click.echo("\n".join(lines), file=sys.stderr)

    embedded.run(ready)
    click.echo("Gaia has stopped.", err=True)


def _other_executor(reason: str) -> str:
    return " (--executor sandbox needs no images)" if reason.startswith("docker, since") else ""
