"""The system calls that a sandboxed program may not make, as a filter for the kernel.

A program in the sandbox has no capability and cannot make a user namespace to gain some, so the kernel refuses it most
of what could do harm. Here is what needs no capability and leads out of the namespaces, or into parts of the kernel
that programs of Steps have no use for: the kernel's key rings, which no namespace divides; io_uring, BPF, perf and
userfaultfd, where most holes of late years were; sockets to the machine's hypervisor, which no network namespace
divides; and typing into a terminal.

Source: seccomp(2), linux/seccomp.h, linux/filter.h; the default filter of Docker refuses the same, and as here with
EPERM, so that programs fall back on something else. Both are given to the first program alone and inherited by all.
"""

import platform
import struct
from typing import Final, NamedTuple

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 1  # SECCOMP_RET_ERRNO | EPERM

_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_FIRST_ARGUMENT_AT: Final = 16
_SECOND_ARGUMENT_AT: Final = 24
"""Offsets into struct seccomp_data; of an argument the low half, which is all that these calls look at."""

_X32: Final = 0x40000000
"""Calls from here on belong to another interface of the same processor, with numbers of its own."""

_AF_VSOCK: Final = 40
_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C


class _Machine(NamedTuple):
    """How a kind of processor numbers what is refused; audit is its name among the kernel's architectures."""

    audit: int
    socket: int
    ioctl: int
    refused: tuple[int, ...]


_IO_URING: Final = (425, 426, 427)
_MACHINES: Final = {
    # add_key, request_key, keyctl, perf_event_open, bpf, userfaultfd
    "x86_64": _Machine(0xC000003E, 41, 16, (248, 249, 250, 298, 321, 323, *_IO_URING)),
    "aarch64": _Machine(0xC00000B7, 198, 29, (217, 218, 219, 241, 280, 282, *_IO_URING)),
}


def seccomp_filter(machine: str = platform.machine()) -> bytes | None:
    """Return the filter as the kernel takes it, or None for a kind of processor whose numbers are not known here."""
    known = _MACHINES.get(machine)
    if known is None:
        return None
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE_AT),
            _instruction(_EQUAL, known.audit, when_true=1),
            _instruction(_RETURN, _REFUSE),  # programs of another architecture, whose numbers mean something else
            _instruction(_LOAD, _NUMBER_AT),
            *_refuse_if(_AT_LEAST, _X32),
            *(part for number in known.refused for part in _refuse_if(_EQUAL, number)),
            *_refuse_with_argument(known.socket, _FIRST_ARGUMENT_AT, _AF_VSOCK),
            *_refuse_with_argument(known.ioctl, _SECOND_ARGUMENT_AT, _TIOCSTI, _TIOCLINUX),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _refuse_if(comparison: int, value: int) -> list[bytes]:
    return [_instruction(comparison, value, when_false=1), _instruction(_RETURN, _REFUSE)]


def _refuse_with_argument(number: int, argument_at: int, *values: int) -> list[bytes]:
    """Refuse a call if its argument is one of the values; the number stays loaded for what follows."""
    inside = [
        _instruction(_LOAD, argument_at),
        *(part for value in values for part in _refuse_if(_EQUAL, value)),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    return [_instruction(_EQUAL, number, when_false=len(inside)), *inside]


def _instruction(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """Return one struct sock_filter; the jumps count the instructions that are passed over."""
    return struct.pack("=HBBI", code, when_true, when_false, value)
