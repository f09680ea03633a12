from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FailureClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_CLASS_UNSPECIFIED: _ClassVar[FailureClass]
    FAILURE_CLASS_COMMAND: _ClassVar[FailureClass]
    FAILURE_CLASS_TIMEOUT: _ClassVar[FailureClass]
    FAILURE_CLASS_OUT_OF_MEMORY: _ClassVar[FailureClass]
    FAILURE_CLASS_OUTPUT_MISSING: _ClassVar[FailureClass]
    FAILURE_CLASS_INPUT_MISSING: _ClassVar[FailureClass]
    FAILURE_CLASS_IMAGE: _ClassVar[FailureClass]
    FAILURE_CLASS_STORE: _ClassVar[FailureClass]
    FAILURE_CLASS_LOST: _ClassVar[FailureClass]
    FAILURE_CLASS_INPUT_CHANGED: _ClassVar[FailureClass]
    FAILURE_CLASS_ENGINE: _ClassVar[FailureClass]
FAILURE_CLASS_UNSPECIFIED: FailureClass
FAILURE_CLASS_COMMAND: FailureClass
FAILURE_CLASS_TIMEOUT: FailureClass
FAILURE_CLASS_OUT_OF_MEMORY: FailureClass
FAILURE_CLASS_OUTPUT_MISSING: FailureClass
FAILURE_CLASS_INPUT_MISSING: FailureClass
FAILURE_CLASS_IMAGE: FailureClass
FAILURE_CLASS_STORE: FailureClass
FAILURE_CLASS_LOST: FailureClass
FAILURE_CLASS_INPUT_CHANGED: FailureClass
FAILURE_CLASS_ENGINE: FailureClass

class Resources(_message.Message):
    __slots__ = ("cpus", "memory_bytes", "gpus")
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    cpus: float
    memory_bytes: int
    gpus: int
    def __init__(self, cpus: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., gpus: _Optional[int] = ...) -> None: ...

class Options(_message.Message):
    __slots__ = ("timeout_s", "retries", "resources", "pool", "priority", "keep", "queue_timeout_s")
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    timeout_s: float
    retries: int
    resources: Resources
    pool: str
    priority: int
    keep: str
    queue_timeout_s: float
    def __init__(self, timeout_s: _Optional[float] = ..., retries: _Optional[int] = ..., resources: _Optional[_Union[Resources, _Mapping]] = ..., pool: _Optional[str] = ..., priority: _Optional[int] = ..., keep: _Optional[str] = ..., queue_timeout_s: _Optional[float] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("name", "image", "command", "inputs", "outputs", "vars", "stdout", "options", "network", "env", "workdir", "entrypoint", "steps", "var_names", "secrets", "reuse", "keep_entrypoint")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class VarsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    VARS_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VAR_NAMES_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    REUSE_FIELD_NUMBER: _ClassVar[int]
    KEEP_ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    name: str
    image: str
    command: _containers.RepeatedScalarFieldContainer[str]
    inputs: _containers.ScalarMap[str, str]
    outputs: _containers.ScalarMap[str, str]
    vars: _containers.MessageMap[str, _struct_pb2.Value]
    stdout: str
    options: Options
    network: bool
    env: _containers.ScalarMap[str, str]
    workdir: str
    entrypoint: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    var_names: _containers.RepeatedScalarFieldContainer[str]
    secrets: _containers.ScalarMap[str, str]
    reuse: bool
    keep_entrypoint: bool
    def __init__(self, name: _Optional[str] = ..., image: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., inputs: _Optional[_Mapping[str, str]] = ..., outputs: _Optional[_Mapping[str, str]] = ..., vars: _Optional[_Mapping[str, _struct_pb2.Value]] = ..., stdout: _Optional[str] = ..., options: _Optional[_Union[Options, _Mapping]] = ..., network: _Optional[bool] = ..., env: _Optional[_Mapping[str, str]] = ..., workdir: _Optional[str] = ..., entrypoint: _Optional[_Iterable[str]] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., var_names: _Optional[_Iterable[str]] = ..., secrets: _Optional[_Mapping[str, str]] = ..., reuse: _Optional[bool] = ..., keep_entrypoint: _Optional[bool] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("name", "command", "inputs", "outputs", "vars", "options")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class VarsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    VARS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    command: str
    inputs: _containers.ScalarMap[str, str]
    outputs: _containers.ScalarMap[str, str]
    vars: _containers.MessageMap[str, _struct_pb2.Value]
    options: Options
    def __init__(self, name: _Optional[str] = ..., command: _Optional[str] = ..., inputs: _Optional[_Mapping[str, str]] = ..., outputs: _Optional[_Mapping[str, str]] = ..., vars: _Optional[_Mapping[str, _struct_pb2.Value]] = ..., options: _Optional[_Union[Options, _Mapping]] = ...) -> None: ...

class FileVersion(_message.Message):
    __slots__ = ("key", "version", "size_bytes", "sha256")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    key: str
    version: str
    size_bytes: int
    sha256: bytes
    def __init__(self, key: _Optional[str] = ..., version: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class Publication(_message.Message):
    __slots__ = ("key", "files", "manifest")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    key: str
    files: _containers.RepeatedCompositeFieldContainer[FileVersion]
    manifest: FileVersion
    def __init__(self, key: _Optional[str] = ..., files: _Optional[_Iterable[_Union[FileVersion, _Mapping]]] = ..., manifest: _Optional[_Union[FileVersion, _Mapping]] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[FileVersion]
    def __init__(self, files: _Optional[_Iterable[_Union[FileVersion, _Mapping]]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("message", "exit_code", "log_tail", "passing")
    CLASS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_TAIL_FIELD_NUMBER: _ClassVar[int]
    PASSING_FIELD_NUMBER: _ClassVar[int]
    message: str
    exit_code: int
    log_tail: str
    passing: bool
    def __init__(self, message: _Optional[str] = ..., exit_code: _Optional[int] = ..., log_tail: _Optional[str] = ..., passing: _Optional[bool] = ..., **kwargs) -> None: ...

class InputCache(_message.Message):
    __slots__ = ("files", "size_bytes", "size_bytes_max", "hits", "misses", "hit_bytes")
    FILES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    MISSES_FIELD_NUMBER: _ClassVar[int]
    HIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    files: int
    size_bytes: int
    size_bytes_max: int
    hits: int
    misses: int
    hit_bytes: int
    def __init__(self, files: _Optional[int] = ..., size_bytes: _Optional[int] = ..., size_bytes_max: _Optional[int] = ..., hits: _Optional[int] = ..., misses: _Optional[int] = ..., hit_bytes: _Optional[int] = ...) -> None: ...
