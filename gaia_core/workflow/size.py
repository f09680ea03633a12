"""How large what a worker is told of one attempt gets, so that it always fits into a record.

Lists of input files are not counted: where they are long they do not travel with the dispatch. Called by expansion.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.splice import names_in, scalar_text

EXECUTION_BYTES_MAX: Final = 256 * 1024
"""A record holds 512 KiB; Linux passes a program at most 128 KiB in one argument."""


_CHARACTER_BYTES: Final = 4
"""At most, in UTF-8."""


def value_length_most(spec: StepSpec, command: Command, outer: Mapping[str, str]) -> int:
    """Return a bound for the characters of the longest value, once other vars are spliced into it.

    Args:
        spec: a Step, whose values splice each other.
        command: the Command it uses; its defaults count too.
        outer: values of the composite that the Step lies in.
    """
    if not spec.vars and not command.vars:
        return 0
    values = [*_value_texts(spec, command)]
    longest = max(map(len, (*values, *outer.values())), default=0)
    return max((len(value) + value.count("{{") * longest for value in values), default=0)


def execution_bytes_most(spec: StepSpec, command: Command, outer: Mapping[str, str]) -> int:
    """Return a bound for the bytes of any attempt of a spec, found without splicing anything."""
    texts, keys = command.texts, "".join((*spec.inputs.values(), *spec.outputs.values()))
    values = value_length_most(spec, command, outer)
    marks = texts.marks + keys.count("{{")
    spliced = texts.longest_path + texts.longest_path * values + values
    return _CHARACTER_BYTES * (texts.characters + len(keys) + marks * spliced)


def execution_bytes(command: Command, values: Mapping[str, str], keys: Iterable[str]) -> int:
    """Return about how many bytes an attempt's own texts take, spliced; never fewer."""
    paths = {name: path for paths in (command.inputs, command.outputs) for name, path in paths.items()}
    sizes = {name: _bytes(value) for name, value in values.items()}
    sizes.update((name, _spliced(path, sizes)) for name, path in paths.items())
    return sum(_spliced(text, sizes) for text in _texts(command)) + sum(map(_bytes, keys))


def _spliced(text: str, sizes: Mapping[str, int]) -> int:
    return _bytes(text) + sum(sizes[name] for name in names_in(text))


def _texts(command: Command) -> Iterator[str]:
    """Yield every text of a Command that goes to the worker."""
    yield from (*command.command, *command.entrypoint, *command.env, *command.env.values(), *_paths(command))
    yield from (*command.secrets, *command.secrets.values())
    yield from (command.image, command.stdout or "", command.workdir or "")


def _paths(command: Command) -> tuple[str, ...]:
    return (*command.inputs.values(), *command.outputs.values())


def _value_texts(spec: StepSpec, command: Command) -> Iterator[str]:
    yield from map(scalar_text, command.vars.values())
    for value in spec.vars.values():
        yield from map(scalar_text, value if isinstance(value, tuple) else (value,))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
