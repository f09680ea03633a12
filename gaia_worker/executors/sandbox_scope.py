"""Keeps programs that share the host's network from the host's abstract sockets.

An abstract socket has no file: who shares the network can reach it, and container engines, desktops and message buses
listen on some. A thread that scoped itself passes that on to all it starts. Source: landlock(7), Linux 6.12; before it
nothing is forbidden.
"""

import ctypes
import os
import struct
from typing import Final

_CREATE_RULESET: Final = 444  # the same numbers on every architecture
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_SCOPES_SINCE: Final = 6
_ABSTRACT_UNIX_SOCKETS: Final = 1
_SET_NO_NEW_PRIVILEGES: Final = 38


def forbid_abstract_sockets() -> bool:
    """Keep this thread, and all that it starts, from abstract sockets of others; tell whether the kernel can.

    It cannot be undone: call it in a thread that ends with what it runs.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION) < _SCOPES_SINCE:
        return False
    rules = struct.pack("=QQQ", 0, 0, _ABSTRACT_UNIX_SOCKETS)  # files and ports: nothing is restricted
    ruleset = libc.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return False
    try:
        zero = ctypes.c_ulong(0)
        libc.prctl(_SET_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), zero, zero, zero)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
