"""Containers that stay: tasks that allow it run in one of the same kind, one after the other, by exec.

An exec takes the engine a fifth of what a container takes. A container serves only tasks that would get an equal one:
image, limits, network, folder to start in, and the same mounts in kind and place. Between two tasks its places are
emptied (`docker_area`), and it is thrown away unless nothing else is left of the first: no process, and no change of
its root file system. After anything but a plain success it is thrown away too. What the next task can still see of an
earlier one is told in docs/executors.md.

What cannot be served this way gets a container of its own; the end is the same. Called by `docker`.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docker.errors import APIError  # type: ignore[import-untyped,unused-ignore]

from gaia_core.workflow.model import Resources
from gaia_worker.executors.base import EngineFailed, Exit, Exited, OutOfMemory, Sink, Task
from gaia_worker.executors.docker_area import Area, AreaBroken, Shape, shapes_of
from gaia_worker.executors.docker_changes import Change, Changes
from gaia_worker.executors.docker_container import NOT_EXECUTABLE, NOT_FOUND, creation, environment, refused_code
from gaia_worker.executors.docker_engine import Engine, words_of
from gaia_worker.executors.docker_images import Image, Images
from gaia_worker.executors.docker_removal import Removals
from gaia_worker.executors.docker_streams import Held, Streams
from gaia_worker.executors.docker_watch import Watch

log = logging.getLogger(__name__)

USES_MAX: Final = 100
"""Tasks in one container. What leaks that nobody looks for stays small; the start costs a hundredth each."""

IDLE_S: Final = 60.0
IDLE_MAX: Final = 16
"""Containers that wait for a task, of all kinds together."""

TEMPORARY: Final = ("/tmp", "/var/tmp")  # noqa: S108 - inside the container
CODE_POLL_S: Final = 0.05
OVER_POLL_S: Final = 2.0
"""How often a running program is asked for, which costs the engine little."""

LAST_WORDS_S: Final = 0.5

CONFLICT: Final = 409
GONE: Final = 404
REFUSAL_BYTES: Final = 4096

PIDS_FILES: Final = (
    "/sys/fs/cgroup/pids/docker/{}/pids.current",
    "/sys/fs/cgroup/docker/{}/pids.current",
    "/sys/fs/cgroup/system.slice/docker-{}.scope/pids.current",
)
"""Where the kernel counts the threads of a container, with control groups 1 and 2, under an engine of this machine."""

HOLD: Final = ("sh", "-c", "while read -r _; do :; done")
"""Waits for the end of its standard input, which is that of the worker: nothing warm outlives a killed one."""

TERMINATE: Final = (
    "for each in /proc/[0-9]*; do parent=; "
    "while read -r name value; do case $name in PPid:) parent=$value; break;; esac; done < $each/status; "
    'pid=${each#/proc/}; [ "$parent" = 0 ] && [ $pid != 1 ] && [ $pid != $$ ] && kill -TERM $pid; done 2>/dev/null'
)
"""Asks a program to end that was started by exec: inside the container it is one without a parent."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tasks must have in common to share a container, one after the other."""

    image: str
    shapes: tuple[Shape, ...]
    workdir: str
    network: bool
    resources: Resources
    owner: tuple[str, str]
    area: Path


class WarmContainers:
    """The warm containers of one engine; to be closed."""

    def __init__(self, engine: Engine, images: Images, removals: Removals) -> None:
        """Keep containers in this engine."""
        self._engine = engine
        self._images = images
        self._removals = removals
        self._guard = threading.Lock()
        self._idle: list[_Warm] = []
        self._unfit: set[str] = set()
        """Images that no warm container can be made of."""

    def run(self, task: Task, cancelled: threading.Event, sink: Sink, grace_s: float) -> Exit | None:
        """Run the program in a warm container to its end; None, nothing done, where it needs one of its own.

        Raises one of ENGINE_ERRORS, ImageProblem or Interrupted like `Run.to_end`.
        """
        if task.area is None or task.keeps_entrypoint:
            return None
        shapes = shapes_of(task.mounts)
        if shapes is None:
            return None
        image = self._images.find(task.image, cancelled)
        warm = self._take(_kind(task, shapes, image, task.area)) or self._make(task, shapes, image, task.area)
        if warm is None:
            return None
        is_fit = False
        try:
            end = warm.run(task, cancelled, sink, grace_s)
            is_fit = end == Exited(0) and warm.is_clean()
            warm.give_back(task, is_dead=not is_fit)
        except _Ended:
            is_fit = False
            warm.give_back(task, is_dead=True)
            if warm.has_no_shell():
                self._give_up(task, image)
            return None
        except AreaBroken as problem:
            is_fit = False
            return EngineFailed(f"the files of a warm container: {problem}")
        finally:
            if is_fit and warm.uses < USES_MAX:
                self._put(warm)
            else:
                self._throw_away(warm)
        return Exited(end.code, image.digest) if isinstance(end, Exited) else end

    def forget_idle(self) -> None:
        """Throw away what has not been used for a while; called now and then."""
        with self._guard:
            late_s = time.monotonic() - IDLE_S
            old = [warm for warm in self._idle if warm.used_s < late_s]
            self._idle = [warm for warm in self._idle if warm not in old]
        for warm in old:
            self._throw_away(warm)

    def forget_of(self, labels: Mapping[str, str]) -> None:
        """Throw away what is idle of one worker before returning; raises one of ENGINE_ERRORS where that fails."""
        owner = _owner(labels)
        with self._guard:
            old = [warm for warm in self._idle if warm.kind.owner == owner]
            self._idle = [warm for warm in self._idle if warm not in old]
        for warm in old:
            warm.let_go()
            self._removals.now(warm.container)
            warm.area.remove()

    def close(self) -> None:
        """Throw away all that is idle; safe to call twice."""
        with self._guard:
            idle, self._idle = self._idle, []
        for warm in idle:
            self._throw_away(warm)

    def _take(self, kind: Kind) -> "_Warm | None":
        """Return an idle container of a kind, the one that was used last, if there is any."""
        with self._guard:
            for warm in reversed(self._idle):
                if warm.kind == kind:
                    self._idle.remove(warm)
                    return warm
        return None

    def _put(self, warm: "_Warm") -> None:
        warm.used_s = time.monotonic()
        with self._guard:
            self._idle.append(warm)
            surplus, self._idle = self._idle[:-IDLE_MAX], self._idle[-IDLE_MAX:]
        for each in surplus:
            self._throw_away(each)

    def _make(self, task: Task, shapes: Sequence[Shape], image: Image, area: Path) -> "_Warm | None":
        """Start a container for this task and others of its kind; None where its image has no shell."""
        if image.id in self._unfit:
            return None
        taken = [shape.target for shape in shapes]
        temporary = [path for path in TEMPORARY if not any(_overlap(path, target) for target in taken)]
        warm = _Warm(self._engine, _kind(task, shapes, image, area), Area(area, shapes, temporary))
        try:
            warm.start(task)
        except APIError as problem:
            self._throw_away(warm)
            words = words_of(problem)
            if self._engine.learn(words, warm.asked):
                return self._make(task, shapes, image, area)
            if refused_code(words) is None:
                raise
            self._give_up(task, image)
            return None
        except BaseException:
            self._throw_away(warm)
            raise
        return warm

    def _give_up(self, task: Task, image: Image) -> None:
        """Remember that an image has nothing to hold a container with; its tasks get containers of their own."""
        if image.id not in self._unfit:
            self._unfit.add(image.id)
            log.warning("containers of an image cannot be reused, it has no sh", extra={"image": task.image})

    def _throw_away(self, warm: "_Warm") -> None:
        warm.let_go()
        if warm.container:
            self._removals.remove(warm.container, warm.area.remove)
        else:
            warm.area.remove()


class _Ended(Exception):
    """A warm container ended before it was given its next task."""


class _Over(Exception):
    """A program has ended, though its streams are open."""


class _Warm:
    """One container that stays, and the places that it sees of the host."""

    def __init__(self, engine: Engine, kind: Kind, area: Area) -> None:
        self.kind = kind
        self.area = area
        self.container = ""
        self.uses = 0
        self.used_s = time.monotonic()
        self.asked = engine.offers
        self._engine = engine
        self._api = engine.api
        self._held: Held | None = None
        self._changes: Changes | None = None
        self._changed: frozenset[Change] | None = None
        """What its start left in it."""

    def start(self, task: Task) -> None:
        """Create and start it, with this task's settings but without its variables and its name."""
        arguments = creation(self._engine, task, self.kind.image, self.area.mounts)
        labels = {name: value for name, value in task.labels.items() if name in ("gaia.deployment", "gaia.worker")}
        arguments |= {"labels": {**labels, "gaia.image": task.image, "gaia.reuse": "yes"}}
        arguments |= {"environment": environment(self._engine, {})}
        created = self._api.create_container(entrypoint=list(HOLD), stdin_open=True, **arguments)
        self.container = str(created["Id"])
        self._held = Held(self._api.attach_socket(self.container, params={"stdin": 1, "stream": 1}))
        self._api.start(self.container)
        self._changes = Changes(self._api, self.container)
        self._changed = self._changes.found()

    def run(self, task: Task, cancelled: threading.Event, sink: Sink, grace_s: float) -> Exit:
        """Run a task's program in it to its end."""
        self.uses += 1
        self.area.lend(task.mounts)
        task.elsewhere.update(self.area.written(task.mounts))
        watch = Watch(task, cancelled, grace_s, self._terminate, self._kill)
        watch.check()
        if watch.ended_by is not None:
            return watch.ended_by
        exec_id, file = self._begin(task)
        said = b""
        with Streams(file) as streams, suppress(_Over):
            for stream, data in streams.read(self._looking(exec_id, watch)):
                said = (said + data)[-REFUSAL_BYTES:]
                sink(stream, data)
        ended = self._ended(exec_id, watch)
        if watch.ended_by is not None:
            return watch.ended_by
        return self._judge(ended, said)

    def _looking(self, exec_id: str, watch: Watch) -> Callable[[], None]:
        """Return what is to be done while the program's streams are open.

        A process that it left behind may hold them open. In a container of its own that would end with it.
        """
        next_s = time.monotonic() + OVER_POLL_S
        is_over = False

        def look() -> None:
            nonlocal next_s, is_over
            watch.check()
            if time.monotonic() > next_s:
                if is_over:  # and its last words were read meanwhile
                    raise _Over
                is_over = not self._api.exec_inspect(exec_id)["Running"]
                next_s = time.monotonic() + (LAST_WORDS_S if is_over else OVER_POLL_S)

        return look

    def _begin(self, task: Task) -> tuple[str, Any]:
        """Start the task's program; return the name that the engine has for it, and its streams."""
        try:
            made = self._api.exec_create(
                self.container,
                [*task.entrypoint, *task.argv],
                user=self._engine.user,
                environment=environment(self._engine, task.env),
                workdir=task.workdir or None,
            )
            return made["Id"], self._api.exec_start(made["Id"], socket=True)
        except APIError as problem:
            if problem.status_code in (CONFLICT, GONE):
                raise _Ended from problem
            raise

    def has_no_shell(self) -> bool:
        """Tell whether it ended since there is no program in the image to hold it."""
        return int(self._api.inspect_container(self.container)["State"]["ExitCode"]) in (NOT_EXECUTABLE, NOT_FOUND)

    def is_clean(self) -> bool:
        """Tell whether nothing is left of the last task but what it wrote where it may."""
        if self._processes() > self._own_processes or self._changes is None or self._changed is None:
            return False
        return self._changes.found() == self._changed

    def give_back(self, task: Task, *, is_dead: bool) -> None:
        """Put what the task wrote where its attempt looks for it; kill first what may still write."""
        if is_dead:
            self._kill()
        task.elsewhere.clear()  # the next task's from now on
        self.area.take_back(task.mounts)

    def let_go(self) -> None:
        """Close the connection that keeps it alive; safe to call twice."""
        if self._held is not None:
            self._held.close()

    @property
    def _own_processes(self) -> int:
        """The shell that waits, and the engine's init above it."""
        return 2 if self.asked.init else 1

    def _processes(self) -> int:
        """Return how many run in it: the kernel tells at once where it is ours, else the engine, which looks at all."""
        for pattern in PIDS_FILES:
            with suppress(OSError, ValueError):
                return int(Path(pattern.format(self.container)).read_text(encoding="ascii"))
        return len(self._api.top(self.container)["Processes"])

    def _ended(self, exec_id: str, watch: Watch) -> Any:
        """Return what the engine knows of a program once it has ended; it may have closed its streams long before."""
        while True:
            self._engine.knock()
            state = self._api.exec_inspect(exec_id)
            if not state["Running"] and state["ExitCode"] is not None:
                return state
            watch.check()
            time.sleep(CODE_POLL_S)

    def _judge(self, ended: Any, said: bytes) -> Exit:
        code = int(ended["ExitCode"])
        if code == 0:
            return Exited(0)
        if not self._engine.lets_in():
            return EngineFailed("the engine was stopped while the program ran; how it ended is not known")
        if not ended["Pid"]:  # it never ran; the engine has said why, as if the program had
            return Exited(refused_code(said.decode("utf-8", "replace")) or NOT_FOUND)
        self._kill()
        state = self._api.inspect_container(self.container)["State"]
        return OutOfMemory() if state["OOMKilled"] else Exited(code)

    def _terminate(self) -> None:
        with suppress(APIError):
            made = self._api.exec_create(self.container, ["sh", "-c", TERMINATE], user=self._engine.user)
            self._api.exec_start(made["Id"], detach=True)

    def _kill(self) -> None:
        """Kill all that runs in it, and return when that is dead."""
        with suppress(APIError):
            self._api.kill(self.container)
        with suppress(APIError):
            self._api.wait(self.container, condition="not-running")


def _kind(task: Task, shapes: Sequence[Shape], image: Image, area: Path) -> Kind:
    return Kind(image.id, tuple(shapes), task.workdir, task.network, task.resources, _owner(task.labels), area)


def _owner(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get("gaia.deployment", ""), labels.get("gaia.worker", "")


def _overlap(one: str, other: str) -> bool:
    """Tell whether two folders are the same, or one lies in the other."""
    return f"{one}/".startswith(f"{other.rstrip('/')}/") or f"{other}/".startswith(f"{one}/")
