"""What is wrong with single texts: names of all kinds, tokens, lines. Internal paths are in `paths`."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from gaia_core.workflow.form.wording import digits, kind, shortened
from gaia_core.workflow.keys import key_problem

TextCheck: TypeAlias = Callable[[str], str | None]
"""Tells what is wrong with a string, or None."""

LOCAL_NAME_LENGTH_MAX: Final = 255
"""Of a Key within a composite; the Keys that are made for it must be Keys."""

OWN_VARIABLES: Final = "GAIA_"
"""Begins the names of variables that Gaia gives to programs, and of those that it must never give to them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_STEP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,254}")
_PART_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,254}")
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_UNPASSABLE = re.compile(r"[\x00\ud800-\udfff]")


def text_problem(value: object, check: TextCheck) -> str | None:
    """Tell what is wrong with a value that must be a string."""
    if isinstance(value, str):
        return check(value)
    if value is None:
        return "null is not allowed; leave it out"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'must be a string, not {kind(value)}; write "{digits(value)}"'
    return f"must be a string, not {kind(value)}"


def token_problem(text: str) -> str | None:
    """Tell what keeps a text from being passed to a program."""
    return "has a NUL or a character that is no text" if _UNPASSABLE.search(text) else None


def line_problem(text: str) -> str | None:
    """Tell what is wrong with a text that must be one line."""
    if not text:
        return "must not be empty"
    return f"{shortened(text)!r} has control characters" if _CONTROL.search(text) else None


def written_key_problem(text: str) -> str | None:
    """Tell what is wrong with a Key that is text; one that splices vars is judged once they are spliced."""
    return key_problem(text) if "{{" not in text and not line_problem(text) else None


def local_name_problem(text: str) -> str | None:
    """Tell what is wrong with a name within a composite."""
    too_long = f"is longer than {LOCAL_NAME_LENGTH_MAX} characters" if len(text) > LOCAL_NAME_LENGTH_MAX else None
    return line_problem(text) or too_long


def name_problem(text: str) -> str | None:
    """Tell what is wrong with the name of a workflow, Command or pool."""
    return None if _NAME.fullmatch(text) else _bad_name(text, ". _ -")


def step_name_problem(text: str) -> str | None:
    """Tell what is wrong with the name of a Step."""
    if text.startswith(("step:", "key:")):
        return f"{shortened(text)!r} begins as what tells Steps and Keys apart: step:NAME, key:NAME"
    return None if _STEP_NAME.fullmatch(text) else _bad_name(text, ". _ - :")


def _bad_name(text: str, marks: str) -> str:
    return f"{shortened(text)!r} is no name: 1 to 255 letters, digits and {marks}, the first one a letter or a digit"


def part_name_problem(text: str) -> str | None:
    """Tell what is wrong with the name of an input, an output or a var."""
    return None if _PART_NAME.fullmatch(text) else f"{shortened(text)!r} is no name: letters, digits and _ . - only"


def variable_problem(text: str) -> str | None:
    """Tell what is wrong with the name of an environment variable.

    Source: Kubernetes takes the same ones; what else engines pass on, as `BASH_FUNC_x%%`, shells may run.
    """
    if text.startswith(OWN_VARIABLES):
        return f"{shortened(text)!r}: variables that begin with {OWN_VARIABLES} are Gaia's own"
    if _VARIABLE.fullmatch(text):
        return None
    return f"{shortened(text)!r} is no name of a variable: letters, digits and _ . -, the first one no digit"


def secret_name_problem(text: str) -> str | None:
    """Tell what is wrong with the name of a secret: it is also that of a file, and ends that of a variable."""
    if _SECRET.fullmatch(text):
        return None
    return f"{shortened(text)!r} is no name of a secret: letters, digits and _ . -, the first one no mark but _"


def image_problem(text: str) -> str | None:
    """Tell what is wrong with the name of an image."""
    return line_problem(text) or ("has a space" if " " in text else None)
