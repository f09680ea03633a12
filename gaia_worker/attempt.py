"""One attempt as a pipeline: make scratch, stage in, run, judge, stage out, publish, report.

Every way to fail ends as data, a `Failure` of the class that says who must act; a stop at any stage ends the attempt
with nothing published. Called by the agent, in a slot's thread, through `Attempts.run`.
"""

import hashlib
import logging
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from gaia_core.errors import ObjectMissing, Unavailable
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report, Started
from gaia_core.ports import LogFeed, Store
from gaia_core.workflow.keys import location
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Execution, FailureClass, Fence, Publication
from gaia_worker.cache import FOLDER as CACHE
from gaia_worker.cache import InputCache
from gaia_worker.capture import Capture, frame
from gaia_worker.control import Control
from gaia_worker.disk import DiskWatch
from gaia_worker.executors.base import (
    EngineFailed,
    Executor,
    Exit,
    Exited,
    ImageFailed,
    OutOfMemory,
    Stopped,
    Task,
    TimedOut,
)
from gaia_worker.failing import AttemptFailed
from gaia_worker.inputs import Source, pick
from gaia_worker.keeping import Logs
from gaia_worker.masking import NO_MASKS, Masks
from gaia_worker.outputs import collect
from gaia_worker.publishing import Found, Publisher
from gaia_worker.removing import ASIDE, Remover
from gaia_worker.scratch import KEPT, keep_folder, remove_folder
from gaia_worker.secret_files import FOLDER as SECRETS
from gaia_worker.secret_files import SecretFiles
from gaia_worker.secrets import Given
from gaia_worker.settings import WorkerSettings
from gaia_worker.staging import StagedInput, StagePlan, plan
from gaia_worker.transfer import ContentDiffers, Download, Interrupted, Transfers

log = logging.getLogger(__name__)

KEEP_ON_FAILURE: Final = "on_failure"

FetchInputs: TypeAlias = Callable[[Fence], Mapping[str, tuple[Publication, ...]]]
"""Asks the coordinator what the inputs of an attempt are made of: input name → sources."""

Say: TypeAlias = Callable[[Report], None]


class Attempts:
    """Runs attempts one after the other or side by side; to be closed."""

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        executor: Executor,
        fetch_inputs: FetchInputs | None = None,
        wall_clock: Callable[[], float] = time.time,
        log_feed: LogFeed | None = None,
    ) -> None:
        """Run attempts with this executor, between this store and the settings' scratch folder."""
        self.logs = Logs(settings, store, log_feed, wall_clock)
        self.settings = settings
        self.executor = executor
        self.cache = InputCache(settings.scratch.absolute() / CACHE, settings.cache_bytes)
        self.remover = Remover(settings.scratch.absolute() / ASIDE / settings.name)
        self.transfers = Transfers(store, self.cache, self.remover.settle)
        self.disk = DiskWatch()
        self.secret_files = SecretFiles(settings.scratch.absolute() / SECRETS)
        self.fetch_inputs = fetch_inputs
        self.wall_clock = wall_clock
        self.scratch = settings.scratch.absolute() / settings.name
        self.area = settings.scratch.absolute() / "executor" / settings.name

    def run(self, execution: Execution, control: Control, say: Say) -> Completed | Failed | Cancelled:
        """Run one attempt to its end and return the report of it."""
        return _Attempt(self, execution, control, say).run()

    def cleanup(self) -> None:
        """End and remove what an earlier incarnation of this worker left.

        Raises:
            Unavailable: the executor's engine does not answer.
        """
        labels = {"gaia.deployment": self.settings.deployment, "gaia.worker": self.settings.name}
        found = self.executor.cleanup(labels)
        self.secret_files.clear()
        remove_folder(self.scratch)
        self.remover.clear()
        remove_folder(self.area)
        if found:
            log.warning("leftovers removed", extra={"worker": self.settings.name, "count": found})

    def close(self) -> None:
        """End the threads that move files; safe to call twice."""
        self.logs.close()
        self.transfers.close()
        self.remover.close()
        self.secret_files.close()


class _Attempt:
    """The stages of one attempt, with what they hand on."""

    def __init__(self, attempts: Attempts, execution: Execution, control: Control, say: Say) -> None:
        self._attempts = attempts
        self._execution = execution
        self._control = control
        self._say = say
        self._stopped = control.stopped
        self._transfers = attempts.transfers
        self._id = attempt_id(execution.fence)
        self._scratch = attempts.scratch / self._id
        mark = attempt_mark(attempts.settings.deployment, execution.fence)
        self._publisher = Publisher(self._transfers, execution, mark, self._scratch, self._stopped)
        self._plan: StagePlan = plan(execution, self._scratch)
        self._log = attempts.logs.begin(execution, self._scratch, say)
        self._capture: Capture | None = None
        self._inputs_laid_in: set[Path] = set()
        self._size_bytes_max = attempts.settings.disk_bytes
        self._began_s = attempts.wall_clock()
        self._run_ms = 0
        self._secrets = Given()
        self._masks = NO_MASKS
        self._elsewhere: dict[Path, Path] = {}

    def run(self) -> Completed | Failed | Cancelled:
        """Go through the stages; whatever happens, leave nothing behind."""
        try:
            end = self._guarded()
        except Interrupted:
            end = self._control.end(self._execution.fence)
        finally:
            self._close_capture()
            self._log.settle()
        end = self._clear_away(end)
        log.info("attempt ended", extra=self._fields(end))
        return end

    def _guarded(self) -> Completed | Failed | Cancelled:
        """Go through the stages and turn every problem into a report."""
        try:
            return self._stages()
        except AttemptFailed as problem:
            return self._failed(problem)
        except (ObjectMissing, ContentDiffers) as problem:
            return self._failed(AttemptFailed(FailureClass.INPUT_CHANGED, problem.message))
        except Unavailable as problem:
            return self._failed(AttemptFailed(FailureClass.STORE, problem.message))
        except OSError as problem:
            return self._failed(AttemptFailed(FailureClass.ENGINE, f"the worker's files: {problem}"))

    def _stages(self) -> Completed | Failed | Cancelled:
        self._make_scratch()
        settings = self._attempts.settings
        self._secrets = settings.secrets.take(self._execution.secrets, settings.name)
        self._masks = Masks(self._secrets.values)
        self._stage_in()
        end = self._judge(self._run_program())
        outputs = self._stage_out()
        if self._stopped.is_set():
            raise Interrupted
        return Completed(self._execution.fence, outputs, self._run_ms, end.image_digest)

    def _make_scratch(self) -> None:
        remove_folder(self._scratch)
        for folder in self._plan.folders:
            folder.mkdir(parents=True, exist_ok=True)

    def _stage_in(self) -> None:
        """Fetch the inputs, then make the empty files of the plan where no input brought one."""
        sources = self._sources()
        jobs = [job for staged in self._plan.inputs for job in self._downloads(staged, sources[staged.input.name])]
        for folder in {job.target.parent for job in jobs}:
            folder.mkdir(parents=True, exist_ok=True)
        self._transfers.download(jobs, self._stopped)
        for path in self._plan.files:
            if not path.exists():
                path.touch()
            os.utime(path, ns=(0, 0))

    def _sources(self) -> Mapping[str, tuple[Publication, ...]]:
        execution = self._execution
        if not execution.inputs_by_rpc:
            return {item.name: item.sources for item in execution.inputs}
        if self._attempts.fetch_inputs is None:
            raise AttemptFailed(FailureClass.ENGINE, "this worker has no way to ask for its inputs")
        found = self._attempts.fetch_inputs(execution.fence)
        return {item.name: found.get(item.name, ()) for item in execution.inputs}

    def _downloads(self, staged: StagedInput, publications: tuple[Publication, ...]) -> Iterator[Download]:
        """Yield what must be fetched for one input."""
        for relative, file in pick(staged.input, self._expanded(publications)):
            target = staged.source / relative if relative else staged.source
            if staged.laid_in:
                self._size_bytes_max += file.size_bytes
                if staged.read_only:
                    self._inputs_laid_in.add(target)
            place = location(self._execution.workflow, file.key)
            yield Download(file, place, target, staged.read_only, shared=not staged.laid_in)

    def _expanded(self, publications: tuple[Publication, ...]) -> list[Source]:
        return [(publication, self._transfers.files_of(publication, self._stopped)) for publication in publications]

    def _run_program(self) -> Exit:
        captured = self._plan.both or self._plan.always
        both = self._words() if captured else None
        self._capture = Capture(self._plan.stdout, both, self._log.write, self._masks)
        if self._stopped.is_set():
            raise Interrupted
        self._control.has_started = True
        self._say(Started(self._execution.fence))
        began_s = time.monotonic()
        try:
            with (
                self._watching(),
                self._secrets.given_to(self._task(), self._attempts.secret_files, self._id) as task,
            ):
                return self._attempts.executor.run(task, self._control.halted, self._capture.write)
        finally:
            self._run_ms = int((time.monotonic() - began_s) * 1000)
            self._close_capture()

    def _watching(self) -> AbstractContextManager[None]:
        """Watch what the program writes; of its words only those that are outputs: the log has a limit of its own."""
        written = tuple(self._scratch / name for name in ("outputs", "logs", "progress", "tmp"))
        end_program = self._control.end_program
        return self._attempts.disk.watching(written, self._size_bytes_max, end_program, self._elsewhere)

    def _task(self) -> Task:
        execution, settings = self._execution, self._attempts.settings
        fence = execution.fence
        progress, variables = self._log.begin(self._masks, self._elsewhere)
        return Task(
            name=f"gaia-{self._id}-{short_hash(settings.deployment)}",
            image=execution.image,
            keeps_entrypoint=execution.keeps_entrypoint,
            argv=execution.argv,
            mounts=(*self._plan.mounts, progress),
            labels={
                "gaia.deployment": settings.deployment,
                "gaia.worker": settings.name,
                "gaia.workflow": execution.workflow,
                "gaia.step": execution.step,
                "gaia.attempt": str(fence.attempt),
            },
            entrypoint=execution.entrypoint,
            env={**variables, **execution.env},
            workdir=execution.workdir,
            tmp=self._scratch / "tmp",
            network=execution.network,
            resources=execution.resources,
            timeout_s=execution.timeout_s,
            reuse=execution.reuse,
            words_count=bool(self._plan.stdout or self._plan.both),
            area=self._attempts.area,
            elsewhere=self._elsewhere,
        )

    def _judge(self, end: Exit) -> Exited:
        """Let a success pass; turn anything else into the failure it is."""
        match end:
            case Exited(code=0):
                return end
            case Exited(code=code):
                raise AttemptFailed(FailureClass.COMMAND, exit_message(code), exit_code=code)
            case TimedOut():
                raise AttemptFailed(FailureClass.TIMEOUT, f"not done after {self._execution.timeout_s:g} s")
            case OutOfMemory():
                raise AttemptFailed(FailureClass.OUT_OF_MEMORY, self._memory_message())
            case Stopped():
                raise self._control.problem or Interrupted
            case ImageFailed(message=message, is_passing=is_passing):
                raise AttemptFailed(FailureClass.IMAGE, message, is_passing=is_passing)
            case EngineFailed(message=message):
                raise AttemptFailed(FailureClass.ENGINE, message)

    def _memory_message(self) -> str:
        limit = self._execution.resources.memory_bytes
        return "killed for want of memory" + (f"; it was given {limit} bytes" if limit else "")

    def _stage_out(self) -> tuple[Publication, ...]:
        """Store every output as new versions; return what each Key then stands for, in the order of the outputs."""
        made = set(self._plan.files)
        excluded = made | self._inputs_laid_in
        found = [
            Found(one.index, one.output, collect(one, made if one.with_inputs else excluded, self._size_bytes_max))
            for one in self._plan.outputs
        ]
        found += [Found(index, output, [(output.key, self._words())]) for index, output in self._plan.both]
        found += self._framed("exit code 0")
        return self._publisher.publish(found)

    def _failed(self, problem: AttemptFailed) -> Failed:
        """Return the report of a failure, with the outputs that are kept in spite of it."""
        self._close_capture()
        if self._stopped.is_set():
            raise Interrupted
        problem.message = self._masks.masked_text(problem.message)  # it may quote the program, or name its files
        tail = self._capture.tail() if self._capture is not None else ""
        outcome = f"failed, {problem.kind.name}: {problem.message}"
        return Failed(self._execution.fence, problem.failure(tail), self._kept(outcome))

    def _kept(self, outcome: str) -> tuple[Publication, ...]:
        try:
            return self._publisher.publish(self._framed(outcome))
        except (Unavailable, OSError) as problem:
            log.warning("log of a failed attempt not stored", extra={"step": self._execution.step, "why": str(problem)})
            return ()

    def _framed(self, outcome: str) -> list[Found]:
        """Write the log with header and footer, if an output asks for it."""
        if not self._plan.always:
            return []
        target = self._scratch / "logs" / "always"
        footer = [f"{outcome}; {self._run_ms / 1000:.3f} s; {self._time()}"]
        frame(self._words(), self._header(), footer, target)
        return [Found(index, output, [(output.key, target)]) for index, output in self._plan.always]

    def _header(self) -> list[str]:
        execution, attempts = self._execution, self._attempts
        began = datetime.fromtimestamp(self._began_s, UTC).isoformat(timespec="seconds")
        return [
            f"workflow {execution.workflow}, step {execution.step}, attempt {execution.fence.attempt}",
            f"command {shlex.join((*execution.entrypoint, *execution.argv))}",
            f"image {execution.image or '-'}",
            f"worker {attempts.settings.name}, executor {attempts.executor.describe()}",
            f"began {began}",
        ]

    def _time(self) -> str:
        return datetime.fromtimestamp(self._attempts.wall_clock(), UTC).isoformat(timespec="seconds")

    def _words(self) -> Path:
        """Return the file of stdout and stderr together."""
        return self._scratch / "logs" / "output"

    def _close_capture(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._log.close()

    def _clear_away(self, end: Completed | Failed | Cancelled) -> Completed | Failed | Cancelled:
        """Remove the scratch folder, or put it aside, and say where, if a failed attempt's files shall be kept."""
        try:
            return self._keep_or_remove(end)
        except OSError as problem:  # the next life of this worker tries again
            log.warning("scratch not cleared", extra={"folder": str(self._scratch), "cause": str(problem)})
            return end

    def _keep_or_remove(self, end: Completed | Failed | Cancelled) -> Completed | Failed | Cancelled:
        settings = self._attempts.settings
        if isinstance(end, Failed) and self._execution.keep == KEEP_ON_FAILURE and self._scratch.exists():
            kept = settings.scratch.absolute() / KEPT / self._id
            if keep_folder(self._scratch, kept, settings.kept_bytes):
                log.info("scratch kept", extra={"step": self._execution.step, "folder": str(kept)})
                message = f"{end.failure.message}; its files are kept on worker {settings.name!r} in {kept}"
                return replace(end, failure=replace(end.failure, message=message))
        if isinstance(end, Completed):
            self._attempts.remover.remove(self._scratch)
        else:  # it may have filled the disk
            remove_folder(self._scratch)
        return end

    def _fields(self, end: Completed | Failed | Cancelled) -> dict[str, object]:
        execution = self._execution
        fields: dict[str, object] = {
            "worker": self._attempts.settings.name,
            "workflow": execution.workflow,
            "step": execution.step,
            "attempt": execution.fence.attempt,
            "executor": self._attempts.executor.name,
            "outcome": type(end).__name__.lower(),
            "run_ms": self._run_ms,
        }
        if isinstance(end, Failed):
            fields |= {"failure": end.failure.kind.name, "cause": end.failure.message}
        return fields


def attempt_id(fence: Fence) -> str:
    """Return a name for an attempt that no other attempt of the deployment has."""
    return f"{fence.workflow_uid}-{fence.step}-a{fence.attempt}"


def short_hash(text: str) -> str:
    """Return a few characters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def exit_message(code: int) -> str:
    """Say how a program ended, with the name of the signal that a code above 128 stands for."""
    try:
        return f"exit code {code} ({signal.Signals(code - 128).name})"
    except ValueError:
        return f"exit code {code}"
