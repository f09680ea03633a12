"""The grammar of names. Called by parsing, by the machine and by the client."""

import re

_WORKFLOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")


def workflow_name_problem(name: str) -> str | None:
    """Return what is wrong with a workflow's (or Command's) name, or None."""
    if _WORKFLOW.fullmatch(name):
        return None
    return f"{name[:300]!r} is no name: 1 to 255 letters, digits, '.', '_', '-', beginning with a letter or digit"


def step_name_problem(name: str) -> str | None:
    """Return what is wrong with a Step's name, or None."""
    if _STEP.fullmatch(name):
        return None
    return f"{name[:300]!r} is no name: 1 to 255 letters, digits, '.', '_', '-', ':', beginning with a letter or digit"
