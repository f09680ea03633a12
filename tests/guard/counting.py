"""Counts what Python does while something runs: lines, calls, protobuf calls, and the memory that is used at once.

Counts do not depend on how fast the machine is, or on what else it does. A loop that is written in C counts as one
call, whatever it goes through; where it makes a list of that, the memory tells.
"""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final
from unittest.mock import patch

from google.protobuf.message import Message

from gaia.v1 import events_pb2, journal_pb2, model_pb2, worker_pb2

HERE: Final = str(Path(__file__).parent)
ROOT: Final = Path(__file__).resolve().parents[2]
DECIDES: Final = tuple(f"gaia_core/{name}/" for name in ("machine", "scheduling", "workflow"))
"""The pure machine."""

INLINED: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
"""Calls in some versions of Python and none in others."""


class Cost:
    """What something took; several may be added up.

    Attributes:
        lines: how many were run, by function.
        calls: of Python functions, by function.
        c_calls: of functions in C, by name.
        messages: of those the ones of protobuf; and how many messages were made, by name.
        peak_bytes: the most that was allocated at once, beyond what there was before.
    """

    def __init__(self) -> None:
        self.lines: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()
        self.c_calls: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()
        self.peak_bytes = 0

    def figures(self, steps: int) -> dict[str, float]:
        """Return what a Step took."""
        deciding = sum(count for code, count in self.lines.items() if place_of(code).startswith(DECIDES))
        return {
            "lines": self.lines.total() / steps,
            "lines that decide": deciding / steps,
            "calls": (self.calls.total() + self.c_calls.total()) / steps,
            "protobuf calls": self.messages.total() / steps,
        }

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what runs within, in this thread; the garbage collector, which comes when it likes, stays away."""
        before = sys.gettrace(), sys.getprofile(), gc.isenabled()
        gc.disable()
        with _making_counted(self.messages):
            tracemalloc.start()
            sys.setprofile(self._profile)
            sys.settrace(self._trace)
            try:
                yield
            finally:
                sys.settrace(before[0])
                sys.setprofile(before[1])
                self.peak_bytes = max(self.peak_bytes, tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        if before[2]:
            gc.enable()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if event == "line":
            self.lines[frame.f_code] += 1
        elif frame.f_code.co_filename.startswith(HERE):
            return None
        return self._trace

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code.co_filename.startswith(HERE):
            return
        if event == "call" and frame.f_code.co_name not in INLINED:
            self.calls[frame.f_code] += 1
        elif event == "c_call":
            self.c_calls[argument.__qualname__] += 1
            owner = type(argument.__self__)
            if owner.__module__.startswith("google.") or type(owner).__module__.startswith("google."):
                self.messages[argument.__qualname__] += 1


def cost_of(act: Callable[[], Any]) -> Cost:
    """Return what doing something takes."""
    cost = Cost()
    with cost.counted():
        act()
    return cost


def memory_of(make: Callable[[], Any]) -> tuple[int, int]:
    """Return how many bytes, and how many objects that the garbage collector follows, something is that is made."""
    gc.collect()
    before = len(gc.get_objects())
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        size_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    followed = len(gc.get_objects()) - before
    del made
    return size_bytes, followed


def place_of(code: CodeType) -> str:
    """Return the file that a function is in, as one names it here."""
    path = Path(code.co_filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


@contextmanager
def _making_counted(messages: Counter[str]) -> Iterator[None]:
    """Put something that counts in the place of each class of messages that records are made of."""
    with ExitStack() as stack:
        for module in (events_pb2, journal_pb2, model_pb2, worker_pb2):
            kinds = {name: kind for name, kind in vars(module).items() if _is_message(kind)}
            stack.enter_context(patch.multiple(module, **{n: _Made(kind, messages) for n, kind in kinds.items()}))
        yield


def _is_message(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Message)


class _Made:
    """Stands in for a class of messages: whoever makes one is given a real one, and it is counted."""

    def __init__(self, kind: type[Message], messages: Counter[str]) -> None:
        self._kind, self._messages = kind, messages

    def __call__(self, *given: Any, **named: Any) -> Message:
        self._messages[self._kind.__name__] += 1
        return self._kind(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def __instancecheck__(self, one: object) -> bool:
        return isinstance(one, self._kind)
