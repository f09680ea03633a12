"""Requests of the contract, built from what a caller gave: every argument that does not fit is refused by its name."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gaia_core.errors import InvalidWorkflow, Problem

Request = TypeVar("Request", bound=Message)

BITS: Final = {FieldDescriptor.TYPE_UINT32: 32, FieldDescriptor.TYPE_UINT64: 64}


def build(kind: type[Request], **arguments: Any) -> Request:
    """Build a request; None leaves a field out that may be absent.

    Args:
        kind: class of the request.
        arguments: its fields, which have the names that the caller knows them by.

    Raises:
        InvalidWorkflow: some are of a wrong type, out of range, or no text; `problems` names them all.
    """
    fields: Mapping[str, Any] = kind.DESCRIPTOR.fields_by_name
    given = {name: _listed(fields[name], value) for name, value in arguments.items()}
    found = [(name, _problem(fields[name], value)) for name, value in given.items()]
    if problems := [Problem(name, words) for name, words in found if words]:
        raise InvalidWorkflow.of(problems)
    return kind(**given)


def _listed(field: FieldDescriptor, value: object) -> object:
    """Return what can be read only once as a list; a lone string is a mistake, though it too is made of strings."""
    is_list = field.is_repeated and isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return list(value) if is_list else value  # type: ignore[call-overload]


def _problem(field: FieldDescriptor, value: object) -> str:
    """Tell what is wrong with the value of a field; whether there is such a thing is for the server to say."""
    if value is None and field.has_presence:
        return ""
    if field.is_repeated:
        return _list_problem(field, value)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text_problem(value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return "" if isinstance(value, bool) else "must be true or false"
    return _number_problem(value, BITS[field.type]) if field.type in BITS else ""


def _list_problem(field: FieldDescriptor, value: object) -> str:
    if field.type != FieldDescriptor.TYPE_STRING:
        return ""
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return "must be a list of strings"
    return next(filter(None, map(_text_problem, value)), "")


def _text_problem(value: object) -> str:
    if not isinstance(value, str):
        return f"must be a string, not of type {type(value).__name__}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{value!r} has a character that is no text"
    return ""


def _number_problem(value: object, bits: int) -> str:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return "must be a whole number, 0 or more"
    return f"must be less than 2 to the power of {bits}" if value.bit_length() > bits else ""
