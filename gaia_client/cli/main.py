"""The entry point `gaia`: commands by intent, each loaded when it is called; errors as lines and exit codes."""

import difflib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import click

import gaia
from gaia_core.errors import Bug, GaiaError, JournalCorrupt, RequestError

PROBLEMS_SHOWN: Final = 50
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130


class Entry(NamedTuple):
    """One command: where it is listed, where it lies, and its line in the list."""

    section: str
    module: str
    attribute: str
    summary: str


COMMANDS: Final = {
    "up": Entry("Start", "up", "command", "Run all of Gaia on this machine."),
    "demo": Entry("Start", "demo", "command", "Run the weather example and show what it makes."),
    "server": Entry("Start", "server", "command", "Run a coordinator of a cluster."),
    "worker": Entry("Start", "worker", "command", "Run a worker of a cluster."),
    "launch": Entry("Start", "control", "launch", "Have the server start workers."),
    "upload": Entry("Define", "define", "upload", "Create a workflow from files and start it."),
    "command": Entry("Define", "define", "command", "List Commands, or add and replace some."),
    "merge": Entry("Define", "define", "merge", "Add or update Steps."),
    "remove": Entry("Define", "define", "remove", "Take Steps out."),
    "delete": Entry("Define", "delete", "delete", "Forget a workflow."),
    "run": Entry("Control", "control", "run", "Resume, or try failed Steps again."),
    "halt": Entry("Control", "control", "halt", "Stop what runs and start nothing more."),
    "expire": Entry("Control", "control", "expire", "Run Steps again, and all that depends on them."),
    "drain": Entry("Control", "control", "drain", "Ask workers to finish what they run, and to leave."),
    "workflows": Entry("Look", "look", "workflows", "List workflows."),
    "status": Entry("Look", "look", "status", "Tell how a workflow stands."),
    "wait": Entry("Look", "look", "wait", "Wait until a workflow comes to rest."),
    "watch": Entry("Look", "watch", "watch", "Show what happens, as it happens."),
    "steps": Entry("Look", "steps", "steps", "List Steps."),
    "explain": Entry("Look", "steps", "explain", "Tell why a Step waits, ran or will run."),
    "logs": Entry("Look", "logs", "logs", "Print what a Step wrote, as it is written."),
    "workers": Entry("Look", "steps", "workers", "List workers."),
    "put": Entry("Data", "data", "put", "Store a file or a folder."),
    "get": Entry("Data", "data", "get", "Read a file or a folder."),
    "ls": Entry("Data", "data", "ls", "List files."),
    "announce": Entry("Data", "data", "announce", "Tell that files lie in the store."),
    "check": Entry("Check", "check", "check", "Find what is wrong with files, without a server."),
    "config": Entry("Check", "config", "config", "Show each setting and where it comes from."),
    "bench": Entry("Check", "bench", "bench", "Measure how fast this Gaia is."),
}


class GaiaGroup(click.Group):
    """Loads a command's file only when the command is called, and ends every error in a line and a code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        loaded = getattr(importlib.import_module(f"gaia_client.cli.{entry.module}"), entry.attribute)
        assert isinstance(loaded, click.Command)
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that was meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else " See 'gaia --help'."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by intent."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section]
                )

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra |= {"prog_name": "gaia", "standalone_mode": False}
        sys.exit(guarded(lambda: super(GaiaGroup, self).main(arguments, **extra), "--json" in arguments))


@click.group(
    cls=GaiaGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="'gaia COMMAND --help' tells more about a command.",
)
@click.option("--host", metavar="HOST:PORT", help="The server, or several with commas [GAIA_HOST].")
@click.option("--token", metavar="TOKEN", help="The server's token; better in the variable GAIA_TOKEN.")
@click.option("--json", "as_json", is_flag=True, help="Print answers as JSON.")
@click.option("--version", is_flag=True, help="Show the version and exit.")
def cli(version: bool, **_: Any) -> None:
    """Live workflows of containerised command-line Steps."""
    context = click.get_current_context()
    if version:
        click.echo(f"gaia {gaia.__version__}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> NoReturn:
    """Run the command line; the entry point of the distribution."""
    cli.main()


def guarded(run: Callable[[], object], as_json: bool = False) -> int:
    """Return the exit code of a call, having told its error in lines on stderr and never in a traceback."""
    try:
        result = run()
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the last place where anything can be caught
        if os.environ.get("GAIA_DEBUG"):
            traceback.print_exc()
        return _told(error, as_json)
    return result if isinstance(result, int) else 0


def _told(error: Exception, as_json: bool) -> int:
    """Print an error and return its exit code."""
    if isinstance(error, click.ClickException) and not as_json:
        error.show()
        return error.exit_code
    known, code = _as_ours(error)
    if as_json:
        click.echo(json.dumps(_plain(known, error)), err=True)
    else:
        for line in _lines(known):
            click.echo(line, err=True)
    return code


def _as_ours(error: Exception) -> tuple[GaiaError, int]:
    """Return an error as one of ours with the exit code; what nobody expected is a bug."""
    if isinstance(error, GaiaError):
        return error, error.exit_code
    if isinstance(error, click.ClickException):
        return RequestError(error.format_message()), error.exit_code
    if isinstance(error, TimeoutError) and error.errno is None:
        return GaiaError(str(error)), EXIT_FAILED
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("gaia"):
        hint = "install it with the extra: pip install 'gaia-workflows[all]'"
        return RequestError(f"This command needs the library {error.name}", hint=hint), EXIT_USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return RequestError(f"{where}{error.strerror or error}"), EXIT_USAGE
    return Bug(f"{type(error).__name__}: {error}"), EXIT_BUG


def _lines(error: GaiaError) -> list[str]:
    """Return what a person reads of an error; what comes from afar cannot move the cursor."""
    lines = [f"error: {error.message}", *(f"  {problem}" for problem in error.problems[:PROBLEMS_SHOWN])]
    if len(error.problems) > PROBLEMS_SHOWN:
        lines.append(f"  … and {len(error.problems) - PROBLEMS_SHOWN} more")
    if error.hint:
        lines.append(f"hint: {error.hint}")
    if isinstance(error, Bug) and not isinstance(error, JournalCorrupt):  # that is for whoever runs Gaia to mend
        lines.append("This is a bug in Gaia: please report it, with what GAIA_DEBUG=1 shows.")
    return ["".join(mark if mark.isprintable() else " " for mark in line) for line in lines]


def _plain(error: GaiaError, cause: Exception) -> dict[str, Any]:
    return {
        "error": type(cause).__name__,
        "message": error.message,
        "hint": error.hint,
        "problems": [{"place": problem.place, "message": problem.message} for problem in error.problems],
    }


def _silence_stdout() -> None:
    """Send what is still buffered nowhere: the reader of our pipe has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
