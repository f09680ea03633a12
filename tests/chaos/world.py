"""Simulated time, processes and faults: everything happens in one thread, in an order that one seed decides.

What a process does is an event at a time. While a process waits in the middle of a call (a slow append, a pause), the
events of the others go on inside that call; its own are put off. A process that is killed there never returns.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from traceback import extract_tb
from typing import Final, NamedTuple

Act = Callable[[], object]

NESTED_MAX: Final = 12
"""Processes that wait inside one another; beyond that a wait takes no time."""


class Killed(BaseException):
    """The process that runs now is no more; nothing of ours may catch this."""


class Broken(BaseException):
    """The product did what it never may: the run is over, whatever the product would catch."""


def broken(who: str, error: Exception) -> Broken:
    """Return what is to be raised when something that must not fail does."""
    place = extract_tb(error.__traceback__)[-1]
    return Broken(f"{who} broke at {Path(place.filename).name}:{place.lineno}: {error!r}")


class Fault(NamedTuple):
    """What goes wrong at one juncture, and for how long, in seconds, where that means something."""

    kind: str
    seconds: float = 0.0


class Process:
    """One process, with as many lives as it is started.

    Attributes:
        life: counts its starts; what an earlier life was to do is dropped.
    """

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.life = 0
        self.is_alive = False
        self._is_busy = False
        self._is_killed = False
        self._paused_until_s = 0.0
        self._put_off: list[Act] = []

    def born(self) -> None:
        """Begin a life."""
        self.life += 1
        self.is_alive = True
        self._is_killed = False
        self._paused_until_s = 0.0
        self._put_off.clear()

    def later(self, delay_s: float, act: Act) -> None:
        """Do something in this life after a delay, unless it is over by then."""
        self.world.at(self.world.now_s + delay_s, act, self)

    def kill(self) -> None:
        """End this life, as kill -9 does."""
        if self.is_alive and not self._is_killed:
            self.tell("is killed")
            if self._is_busy:
                self._is_killed = True
            else:
                self._end()

    def pause(self, seconds: float) -> None:
        """Stop as SIGSTOP does, from outside, and go on later."""
        if self.is_alive and not self._is_busy:
            self.tell(f"is stopped for {seconds:.0f} s")
            self._paused_until_s = max(self._paused_until_s, self.world.now_s + seconds)
            self.stopped(seconds)

    def wait(self, seconds: float) -> None:
        """Let time pass inside a call of this process."""
        self.world.run_until(self.world.now_s + seconds)
        if self._is_killed:
            raise Killed

    def meet(self, juncture: str) -> Fault | None:
        """Pass a juncture: be killed or stopped there if that is planned; return any other fault that is."""
        fault = self.world.fault_at(juncture)
        if fault is None:
            return None
        self.tell(f"meets {fault.kind!r} {juncture}")
        if fault.kind == "kill":
            self._is_killed = True
            raise Killed
        if fault.kind == "stop":
            self.stopped(fault.seconds)
            self.wait(fault.seconds)
            self.tell("goes on")
            return None
        return fault

    def perform(self, act: Act, life: int) -> None:
        """Do something now, or once this process is no longer busy or stopped."""
        if life != self.life or not self.is_alive:
            return
        if self._is_busy:
            self._put_off.append(act)
            return
        if self._paused_until_s > self.world.now_s:
            self.world.at(self._paused_until_s, act, self)
            return
        self._is_busy = True
        try:
            act()
        except Killed:
            self._is_killed = True
        except Exception as error:
            raise broken(self.name, error) from error
        finally:
            self._is_busy = False
        if self._is_killed:
            self._end()
        put_off, self._put_off = self._put_off, []
        for one in put_off:
            self.later(0.0, one)

    def died(self) -> None:
        """See to what follows from the end of a life."""

    def stopped(self, seconds: float) -> None:
        """See to what follows when it does nothing for so long."""

    def tell(self, what: str) -> None:
        """Add a line to the story."""
        self.world.tell(self.name, what)

    def _end(self) -> None:
        self.is_alive = False
        self._is_killed = False
        self.died()


class World:
    """Time, chance, and what is planned to go wrong.

    Attributes:
        story: (time, who, what) of everything worth telling.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now_s = 0.0
        self.story: list[tuple[float, str, str]] = []
        self.events = 0
        self._faults: dict[tuple[str, int], Fault] = {}
        self._met: Counter[str] = Counter()
        self._queue: list[tuple[float, int, Process | None, int, Act]] = []
        self._numbers = count()
        self._depth = 0

    def at(self, time_s: float, act: Act, process: Process | None = None) -> None:
        """Do something at a time; as a process, it is done only in the life of now."""
        life = process.life if process is not None else 0
        heappush(self._queue, (time_s, next(self._numbers), process, life, act))

    def later(self, delay_s: float, act: Act) -> None:
        """Do something after a delay, whoever is alive then."""
        self.at(self.now_s + delay_s, act)

    def run_until(self, time_s: float) -> None:
        """Let everything happen up to a time."""
        if self._depth < NESTED_MAX:
            self._depth += 1
            try:
                while self._queue and self._queue[0][0] <= time_s:
                    self._step()
            finally:
                self._depth -= 1
            self.now_s = max(self.now_s, time_s)

    def plan(self, juncture: str, number: int, fault: Fault) -> None:
        """Let the so-manieth passing of a juncture go wrong."""
        self._faults[juncture, number] = fault

    def fault_at(self, juncture: str) -> Fault | None:
        """Count a passing of a juncture; return what is to go wrong there."""
        self._met[juncture] += 1
        return self._faults.pop((juncture, self._met[juncture]), None) if self._faults else None

    def calm_down(self) -> None:
        """Let nothing more go wrong."""
        self._faults.clear()

    def tell(self, who: str, what: str) -> None:
        """Add a line to the story."""
        self.story.append((self.now_s, who, what))

    def lines(self) -> Iterator[str]:
        """Yield the story as people read it."""
        for time_s, who, what in self.story:
            yield f"{time_s:9.3f}  {who:<9} {what}"

    def soon(self, most_s: float = 0.05) -> float:
        """Return a short time."""
        return self.random.random() * most_s

    def happens(self, share: float) -> bool:
        """Tell whether something happens that does so often."""
        return self.random.random() < share

    def _step(self) -> None:
        time_s, _, process, life, act = heappop(self._queue)
        self.now_s = max(self.now_s, time_s)
        self.events += 1
        if process is None:
            act()
        else:
            process.perform(act, life)
