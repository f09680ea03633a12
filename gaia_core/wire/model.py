"""Commands, Steps and properties as protobuf and back, for the API and the journal.

Two ways back: `command_from_proto` and `step_from_proto` believe what they read (our own journal, a server's answer);
`commands_from_proto` and `steps_from_proto` believe nothing (any client in any language) and answer every problem.
"""

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from google.protobuf import struct_pb2

from gaia.v1 import model_pb2
from gaia_core.errors import Problem
from gaia_core.workflow import parse
from gaia_core.workflow.form.commands import KEEP
from gaia_core.workflow.model import EMPTY, NO_OPTIONS, Command, Options, Resources, StepSpec, VarValue
from gaia_core.workflow.unknown import UNKNOWN_VALUE


def command_to_proto(command: Command) -> model_pb2.Command:
    """Encode one Command."""
    return model_pb2.Command(
        name=command.name,
        image=command.image,
        command=command.command,
        inputs=command.inputs,
        outputs=command.outputs,
        vars=_values(command.vars),
        stdout=command.stdout,
        options=_options_to_proto(command.options),
        network=command.network or None,
        env=command.env,
        workdir=command.workdir,
        entrypoint=command.entrypoint,
        steps=[step_to_proto(step) for step in command.steps],
        var_names=command.var_names,
        secrets=command.secrets,
        keep_entrypoint=command.keeps_entrypoint,
        reuse=command.reuse or None,
    )


def step_to_proto(step: StepSpec) -> model_pb2.Step:
    """Encode one Step."""
    return model_pb2.Step(
        name=step.name,
        command=step.command,
        inputs=step.inputs,
        outputs=step.outputs,
        vars=_values(step.vars) if step.vars else None,
        options=_options_to_proto(step.options),
    )


def command_from_proto(message: model_pb2.Command) -> Command:
    """Decode a Command that was checked before."""
    return Command(
        name=message.name,
        image=message.image,
        command=tuple(message.command),
        inputs=dict(sorted(message.inputs.items())),
        outputs=dict(sorted(message.outputs.items())),
        vars={name: value_to_plain(value) for name, value in message.vars.items()},
        stdout=message.stdout if message.HasField("stdout") else None,
        options=_options_from_proto(message.options) if message.HasField("options") else NO_OPTIONS,
        network=message.network,
        env=dict(message.env),
        workdir=message.workdir if message.HasField("workdir") else None,
        entrypoint=tuple(message.entrypoint),
        steps=tuple(step_from_proto(step) for step in message.steps),
        var_names=tuple(message.var_names),
        secrets=dict(message.secrets),
        keeps_entrypoint=message.keep_entrypoint,
        reuse=message.reuse,
    )


def step_from_proto(message: model_pb2.Step) -> StepSpec:
    """Decode a Step that was checked before."""
    return StepSpec(
        name=message.name,
        command=intern(message.command),
        inputs=_named(message.inputs),
        outputs=_named(message.outputs),
        vars={intern(name): _var_value(value) for name, value in message.vars.items()} or EMPTY,
        options=_options_from_proto(message.options) if message.HasField("options") else NO_OPTIONS,
    )


def _named(message: Mapping[str, str]) -> Mapping[str, str]:
    """Return a map of names; the names are a few, used by very many Steps."""
    return {intern(name): text for name, text in message.items()} or EMPTY


def commands_from_proto(messages: Iterable[model_pb2.Command]) -> tuple[list[Command], list[Problem]]:
    """Decode Commands of an untrusted client; return the sound ones and every problem of the others."""
    return parse.parse_commands(commands_to_plain(messages))


def steps_from_proto(messages: Iterable[model_pb2.Step]) -> tuple[list[StepSpec], list[Problem]]:
    """Decode Steps of an untrusted client; return the sound ones and every problem of the others."""
    return parse.parse_steps(steps_to_plain(messages))


def commands_to_plain(messages: Iterable[model_pb2.Command]) -> list[dict[str, Any]]:
    """Return Commands as users write them, unchecked."""
    return [_command_to_plain(message) for message in messages]


def steps_to_plain(messages: Iterable[model_pb2.Step]) -> list[dict[str, Any]]:
    """Return Steps as users write them, unchecked."""
    return [_step_to_plain(message) for message in messages]


def properties_to_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Encode properties as `parse_properties` returns them."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def struct_to_properties(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Decode properties; whole numbers are ints again. Check them with `parse_properties` if a client sent them."""
    return {name: value_to_plain(value) for name, value in struct.fields.items()}


def value_to_plain(value: struct_pb2.Value) -> Any:
    """Decode one value; whole numbers are ints, an unset value is None."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [value_to_plain(each) for each in value.list_value.values]
    return struct_to_properties(value.struct_value) if kind == "struct_value" else None


def _number(value: float) -> int | float:
    """Return a double as it was meant: 1 and not 1.0."""
    return int(value) if value.is_integer() and abs(value) <= parse.INTEGER_MAX else value


def _var_value(value: struct_pb2.Value) -> VarValue:
    plain = value_to_plain(value)
    return tuple(plain) if isinstance(plain, list) else plain


def _values(plain: Mapping[str, VarValue]) -> dict[str, struct_pb2.Value]:
    return {name: _value(value) for name, value in plain.items()}


def _value(value: VarValue) -> struct_pb2.Value:
    """Encode a var; bool is asked for before number, since it is one in Python. One not understood is null."""
    if value is UNKNOWN_VALUE:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_value(each) for each in value]))


def _options_to_proto(options: Options) -> model_pb2.Options | None:
    if options == NO_OPTIONS:
        return None
    return model_pb2.Options(
        timeout_s=options.timeout_s,
        retries=options.retries,
        resources=_wanted_to_proto(options.resources),
        pool=options.pool,
        priority=options.priority,
        keep=options.keep,
        queue_timeout_s=options.queue_timeout_s,
    )


def _wanted_to_proto(wanted: Resources | None) -> model_pb2.Resources | None:
    if wanted is None:
        return None
    return model_pb2.Resources(cpus=wanted.cpus, memory_bytes=wanted.memory_bytes, gpus=wanted.gpus)


def resources_to_proto(resources: Resources) -> model_pb2.Resources | None:
    """Encode compute; None where nothing is told."""
    return None if resources == Resources() else _wanted_to_proto(resources)


def resources_from_proto(message: model_pb2.Resources) -> Resources:
    """Decode compute; an absent field is None."""
    return Resources(
        message.cpus if message.HasField("cpus") else None,
        message.memory_bytes if message.HasField("memory_bytes") else None,
        message.gpus if message.HasField("gpus") else None,
    )


def _options_from_proto(message: model_pb2.Options) -> Options:
    """Decode options that were checked before."""
    given = {field.name: value for field, value in message.ListFields()}
    if wanted := given.get("resources"):
        given["resources"] = Resources(**{field.name: value for field, value in wanted.ListFields()})
    return Options(**given)


def _command_to_plain(message: model_pb2.Command) -> dict[str, Any]:
    """Return the fields that the message has, by the names users write; absent and empty are one in protobuf."""
    plain = _plain_fields({field.name: value for field, value in message.ListFields()})
    if plain.get("keep_entrypoint") and "entrypoint" not in plain:
        plain["entrypoint"] = KEEP
        del plain["keep_entrypoint"]
    return _composite_fields(plain) if "steps" in plain else plain


def _composite_fields(plain: dict[str, Any]) -> dict[str, Any]:
    """Turn a composite's names into lists, as users write them."""
    plain["steps"] = steps_to_plain(plain["steps"])
    if "vars" not in plain and "var_names" in plain:
        plain["vars"] = list(plain.pop("var_names"))
    for field in ("inputs", "outputs"):
        if field in plain and not any(plain[field].values()):
            plain[field] = sorted(plain[field])
    return plain


def _step_to_plain(message: model_pb2.Step) -> dict[str, Any]:
    return _plain_fields({field.name: value for field, value in message.ListFields()})


def _plain_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn the containers of protobuf among a message's fields into plain ones, and spread its options."""
    for name in ("inputs", "outputs", "env", "secrets"):
        if name in fields:
            fields[name] = _named(fields[name])
    for name in ("command", "entrypoint"):
        if name in fields and not isinstance(fields[name], str):
            fields[name] = list(fields[name])
    if "vars" in fields:
        fields["vars"] = {name: value_to_plain(value) for name, value in fields["vars"].items()}
    options = fields.pop("options", None)
    return {**fields, **_plain_options(options)} if options is not None else fields


_PLAIN_NAMES = {"timeout_s": "timeout", "queue_timeout_s": "queue_timeout", "memory_bytes": "memory"}


def _plain_options(message: model_pb2.Options) -> dict[str, Any]:
    plain: dict[str, Any] = {_PLAIN_NAMES.get(field.name, field.name): value for field, value in message.ListFields()}
    if wanted := plain.get("resources"):
        plain["resources"] = {_PLAIN_NAMES.get(field.name, field.name): value for field, value in wanted.ListFields()}
    return plain
