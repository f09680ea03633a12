"""check: find what is wrong with files, without a server."""

import json

import click

from gaia_client import files
from gaia_client.cli.main import EXIT_USAGE
from gaia_client.cli.session import located_problem
from gaia_client.render.blocks import counted
from gaia_core.errors import Problem
from gaia_core.workflow import parse, validate


@click.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print what is found as JSON.")
@click.pass_context
def check(context: click.Context, paths: tuple[str, ...], as_json: bool) -> None:
    """Check FILEs of Commands and Steps as a server would, and name every problem with its line.

    Give all files of a workflow together. Steps without any Command are checked for their form only.
    """
    documents = files.load(paths)
    problems = [located_problem(documents, problem) for problem in problems_of(documents)]
    counts = f"{counted(len(documents.commands), 'Command')}, {counted(len(documents.steps), 'Step')}"
    if as_json or context.find_root().params.get("as_json"):
        found = [{"place": problem.place, "message": problem.message} for problem in problems]
        reply = {"commands": len(documents.commands), "steps": len(documents.steps), "problems": found}
        click.echo(json.dumps(reply, indent=2))
    else:
        for problem in problems:
            click.echo(str(problem), err=True)
        click.echo(f"{counts}: {counted(len(problems), 'problem') if problems else 'no problem'}")
    if problems:
        context.exit(EXIT_USAGE)


def problems_of(documents: files.Documents) -> list[Problem]:
    """Return every problem of what some files hold together."""
    _, problems = parse.parse_properties(documents.properties)
    rules = validate.check if documents.commands else None
    return problems + parse.parse_workflow(documents.commands, documents.steps, rules).problems
