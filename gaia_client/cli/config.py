"""config: each setting with its value and where it comes from."""

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gaia_client.cli.session import show_blocks
from gaia_client.cli.settings import config_option, read_document
from gaia_client.render import settings as render
from gaia_core.config import PROGRAMS, is_secret, load, names_of, sources, variable


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("program", required=False, type=click.Choice(PROGRAMS))
@click.argument("flags", metavar="[FLAGS]…", nargs=-1, type=click.UNPROCESSED)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
@click.pass_context
def config(
    context: click.Context, program: str | None, flags: tuple[str, ...], config_file: str | None, as_json: bool
) -> None:
    """Show each setting with its value and where it comes from: default, file, environment or flag.

    With up, server or worker: the settings that 'gaia up' and so on look at, and with FLAGS of theirs, how they would
    be started. Secrets are not shown.
    """
    path = config_file or os.environ.get("GAIA_CONFIG")
    reply = list(_settings(program, _flags(program, flags), path))
    if as_json or context.find_root().params.get("as_json"):
        click.echo(json.dumps(reply, indent=2))
    else:
        show_blocks(render.settings(reply))


def _flags(program: str | None, flags: tuple[str, ...]) -> dict[str, Any]:
    """Return what flags of a program set, as that program itself reads them."""
    if program is None:
        return {}
    command = importlib.import_module(f"gaia_client.cli.{program}").command
    given = command.make_context(f"gaia {program}", list(flags)).params
    return {name: value for name, value in given.items() if name != "config_file"}


def _settings(program: str | None, flags: Mapping[str, Any], path: str | None) -> Iterator[dict[str, Any]]:
    """Yield each setting; each of librdkafka's as one of its own."""
    document = read_document(path)
    loaded = load(flags, os.environ, document)
    origins = sources(flags, os.environ, document)
    places = {"file": path or ""}
    for name in names_of(program):
        origin = origins[name]
        place = variable(name) if origin == "environment" else places.get(origin, "")
        found = getattr(loaded, name)
        parts = {f"kafka.{key}": text for key, text in found.items()} if name == "kafka" else {name: found}
        for part, value in parts.items():
            hidden = bool(value) and is_secret(part)
            shown = None if hidden else _plain(value)
            yield {"name": part, "value": shown, "hidden": hidden, "source": origin, "place": place}


def _plain(value: Any) -> Any:
    """Return a value that JSON knows."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
