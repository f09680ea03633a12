"""What is wrong with internal paths, as a program sees them. Called where they are read and where vars are spliced."""

from gaia_core.workflow.form.texts import line_problem
from gaia_core.workflow.form.wording import shortened
from gaia_core.workflow.model import STDOUT_ALWAYS, STDOUT_BOTH


def path_problem(text: str) -> str | None:
    """Tell what is wrong with an internal path; one that starts with a var is judged once that is spliced."""
    if problem := line_problem(text):
        return problem
    if not text.startswith("/") and (not text.startswith("{{") or text.startswith("{{{{")):
        return f"{shortened(text)!r} must be an absolute path"
    if any(segment in ("", ".", "..") for segment in text.removeprefix("/").removesuffix("/").split("/")):
        return f"{shortened(text)!r} has an empty, '.' or '..' segment"
    return None


def output_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of an output."""
    return None if text in (STDOUT_BOTH, STDOUT_ALWAYS, "STDOUT") else path_problem(text)


def file_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of a file."""
    return path_problem(text) or (f"{shortened(text)!r} is a directory" if text.endswith("/") else None)


def workdir_problem(text: str) -> str | None:
    """Tell what is wrong with a working directory."""
    return None if text == "/" else path_problem(text)
