"""`gaia demo`: run the weather example on this machine, show what it makes, and what to try next."""

import socket
import sys
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import gaia
from gaia_client import files
from gaia_client.cli.look import progress_on_stderr
from gaia_client.cli.settings import config_option, quiet_grpc, read_config, stop_on_signals
from gaia_client.client import Gaia
from gaia_core.config import Config
from gaia_core.errors import RequestError

if TYPE_CHECKING:
    from gaia_worker.embedded import Embedded

SERIES: Final = "seattle-weather.csv"
TABLE: Final = "report/table.txt"
CHART: Final = "report/chart.svg"


@click.command("demo")
@click.option("--data", metavar="DIR", help="Where state and files are kept [gaia-data].")
@click.option("--executor", type=click.Choice(["auto", "docker", "sandbox"]), help="What runs programs [sandbox].")
@config_option
def command(config_file: str | None, **flags: Any) -> None:
    """Run the weather example: four years of days, gathered into a table and a chart."""
    quiet_grpc()
    from gaia_core import logs  # noqa: PLC0415 - the server's libraries load only here
    from gaia_worker.embedded import Embedded, sandbox_if_possible  # noqa: PLC0415

    given = read_config(config_file, flags)
    logs.configure(level=30)
    config = replace(
        given,
        listen=f"127.0.0.1:{_free_port()}",
        http_listen=f"127.0.0.1:{_free_port()}",
        executor=sandbox_if_possible() if given.executor == "auto" else given.executor,
    )
    embedded = Embedded(config)
    story = _Story(embedded, _examples())
    stop_on_signals(embedded.stop)
    embedded.run(story.start)
    story.finish()


class _Story:
    """The demo itself: a client that runs beside the server of the same process."""

    def __init__(self, embedded: "Embedded", examples: Path) -> None:
        self._embedded = embedded
        self._examples = examples
        self._thread = threading.Thread(target=self._guarded, name="demo")
        self._failure: BaseException | None = None
        self._workflow = f"demo_weather_{datetime.now().astimezone():%Y%m%d.%H%M%S}"

    def start(self) -> None:
        """Begin; the server works now."""
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end.

        Raises:
            GaiaError: what went wrong.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _guarded(self) -> None:
        try:
            self._tell()
        except BaseException as error:  # noqa: BLE001 - it reaches the command's own thread
            self._failure = error
        finally:
            self._embedded.stop()

    def _tell(self) -> None:
        config = self._embedded.config
        click.echo(f"Steps run in: {self._embedded.executor_reason}", err=True)
        with Gaia({"gaia_host": config.listen, "token": config.token}) as flow:
            self._upload(flow)
            with progress_on_stderr() as progress:
                status = flow.wait(self._workflow, on_progress=progress)
            if status["state"] != "complete":
                raise RequestError(f"The workflow ended in state {status['state']!r}.", hint=_first_failure(status))
            table = flow.get(self._workflow, TABLE) or b""
        click.echo(f"\n{table.decode()}")
        click.echo(self._next_steps(config))

    def _upload(self, flow: Gaia) -> None:
        """Upload Commands and Steps, then the one input that they wait for."""
        example = self._examples / "weather"
        documents = files.load([example / "commands.yaml", example / "steps.yaml"])
        flow.upload(self._workflow, {"owner": "demo"}, documents.commands, documents.steps)
        flow.put(self._workflow, SERIES, example / "data" / SERIES)
        click.echo(f"Uploaded {self._workflow}: 1,461 days of weather in Seattle, 2012 to 2015", err=True)

    def _next_steps(self, config: Config) -> str:
        """Return where the outputs lie and three commands to try."""
        outputs = config.data.absolute() / "store" / "data" / self._workflow
        program = _program()
        lines = [
            f"Table:  {outputs / TABLE}",
            f"Chart:  {outputs / CHART}",
            "",
            "Now start Gaia again, which goes on where it was, and in a second terminal ask for one year anew:",
            f"  {program} up{_data_flag(config)} --executor {config.executor}",
            f"  {program} expire {self._workflow} yearly-2014",
            f"  {program} wait {self._workflow}",
        ]
        return "\n".join(lines)


def _examples() -> Path:
    """Return the folder of the examples: in the source tree, or in the installed package."""
    root = Path(gaia.__file__).resolve().parent.parent
    for folder in (root / "examples", root / "gaia_client" / "examples"):
        if (folder / "weather" / "steps.yaml").exists():
            return folder
    raise RequestError("The examples are not installed.", hint="run the demo from a clone of the project")


def _program() -> str:
    """Return how this program was called, in a form that can be typed again."""
    path = Path(sys.argv[0])
    if path.name != "gaia":
        return "gaia"
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _data_flag(config: Config) -> str:
    return "" if config.data == Path("gaia-data") else f" --data {config.data}"


def _free_port() -> int:
    """Return a port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _first_failure(status: dict[str, Any]) -> str:
    failed = status.get("failed") or []
    return f"{failed[0]['step']}: {failed[0]['message']}" if failed else ""
