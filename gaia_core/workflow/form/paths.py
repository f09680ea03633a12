"""What is wrong with internal paths, as a program sees them. Called where they are read and where vars are spliced."""

import re
from typing import Final

from gaia_core.workflow.form.texts import line_problem, variable_problem
from gaia_core.workflow.form.wording import shortened
from gaia_core.workflow.model import STDOUT_ALWAYS, STDOUT_BOTH

KERNEL_FOLDERS: Final = ("/proc", "/sys", "/dev")
"""What a program finds there is no file that could be put or kept."""

SECRETS_FOLDER: Final = "/run/secrets"
"""Where a program finds secrets that are files. Source: Docker's own place for them."""

PROGRESS_FOLDER: Final = "/run/gaia"
"""Where a program says how far it is; a folder, so that it may also rename a file into place."""

_SECRET_FILE: Final = re.compile(rf"{SECRETS_FOLDER}/[A-Za-z0-9_][A-Za-z0-9_.-]{{0,252}}")
_STREAM: Final = re.compile(r"/dev/(stdout|stderr|fd|tty)|/proc/[^/]+/fd")


def path_problem(text: str) -> str | None:
    """Tell what is wrong with an internal path; one that starts with a var is judged once that is spliced."""
    if problem := line_problem(text):
        return problem
    if not text.startswith("/") and (not text.startswith("{{") or text.startswith("{{{{")):
        return f"{shortened(text)!r} must be an absolute path"
    if any(segment in ("", ".", "..") for segment in text.removeprefix("/").removesuffix("/").split("/")):
        return f"{shortened(text)!r} has an empty, '.' or '..' segment"
    return None


def input_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of an input."""
    return path_problem(text) or _taken_problem(text)


def output_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of an output."""
    return None if text in (STDOUT_BOTH, STDOUT_ALWAYS, "STDOUT") else path_problem(text) or _taken_problem(text)


def file_path_problem(text: str) -> str | None:
    """Tell what is wrong with the internal path of the file that receives standard output."""
    is_directory = f"{shortened(text)!r} is a directory" if text.endswith("/") else None
    return path_problem(text) or is_directory or _taken_problem(text)


def workdir_problem(text: str) -> str | None:
    """Tell what is wrong with a working directory."""
    return None if text == "/" else path_problem(text)


def secret_place_problem(text: str) -> str | None:
    """Tell what is wrong with where a program finds a secret: the name of a variable, or a path."""
    if not text.startswith("/"):
        return variable_problem(text)
    if _SECRET_FILE.fullmatch(text):
        return None
    return f"{shortened(text)!r} is no place for a secret: a variable's name, or {SECRETS_FOLDER}/NAME"


def _taken_problem(text: str) -> str | None:
    """Tell when a path lies where no file of the user's can be put."""
    clean = text.removesuffix("/")
    if clean in ("/run", SECRETS_FOLDER) or clean.startswith(f"{SECRETS_FOLDER}/"):
        return f"{shortened(text)!r} is in the way of {SECRETS_FOLDER}, where secrets are"
    if clean == PROGRESS_FOLDER or clean.startswith(f"{PROGRESS_FOLDER}/"):
        return f"{shortened(text)!r} is in the way of {PROGRESS_FOLDER}, where a program says how far it is"
    return _kernel_problem(text)


def _kernel_problem(text: str) -> str | None:
    """Tell when a path lies where no file can be put: the kernel shows its own there."""
    folder = "/".join(text.split("/", 2)[:2])
    if folder not in KERNEL_FOLDERS:
        return None
    hint = "; for what the program prints give '>', or name an output's path in stdout" if _STREAM.match(text) else ""
    return f"{shortened(text)!r} lies in {folder}, which belongs to the kernel{hint}"
