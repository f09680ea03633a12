"""The Python client: plain dicts and lists in and out, errors as exceptions with the server's words.

    flow = gaia.Gaia({'gaia_host': 'localhost:24442'})
    flow.upload('crick_demo_20191130.121500', {'owner': 'crick'}, commands, steps)
    flow.wait('crick_demo_20191130.121500')

What is wrong with Commands and Steps is told before anything is sent. Holds no state but the connection, and may be
shared by threads.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from gaia.v1 import api_pb2
from gaia_client import logs, transfer, waiting, watching
from gaia_client.config import client_config
from gaia_client.connection import MESSAGE_BYTES_MAX, Connection
from gaia_client.requests import build
from gaia_core.errors import AlreadyExists, GaiaError, InvalidWorkflow, NotAllowedNow, Problem, TooLarge
from gaia_core.wire import plain
from gaia_core.wire.model import (
    command_to_proto,
    commands_from_proto,
    properties_to_struct,
    step_to_proto,
    steps_from_proto,
)
from gaia_core.workflow import parse, validate
from gaia_core.workflow.metadata import parse_metadata

PLAIN = Mapping[str, Any]

CLOCK: Final = waiting.Clock(time.monotonic, time.sleep)


class Gaia:
    """A client of a Gaia server.

    Every method raises subclasses of `gaia.GaiaError`: InvalidWorkflow with all problems and their places, UnknownName,
    AlreadyExists, NotAllowedNow, TooLarge, NotAuthorized, and Unavailable when no server answers (Overloaded, when it
    has too much to do for long). Only what the file system says of a source or target stays an OSError, and `wait`
    raises TimeoutError.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """Keep where the server is; the first call connects.

        Args:
            config: `gaia_host` ("host:port", or several with commas) and `token`. What is absent comes from the
                variables GAIA_HOST and GAIA_TOKEN, then localhost:24442.

        Raises:
            ConfigError: an unknown key, or an address that is none.
        """
        self._clock = CLOCK
        self._connection = Connection(client_config(config, os.environ), self._clock.sleep)

    def workflows(
        self, prefix: str | None = None, owner: str | None = None, state: str | None = None
    ) -> list[dict[str, Any]]:
        """Return all workflows by name, or those whose name starts so, of this owner, in this state.

        Returns:
            Maps of name, owner, state, properties, steps (counts by state), created and updated.
        """
        request = build(api_pb2.WorkflowsRequest, prefix=prefix or "", owner=owner or "", state=state or "")
        answer = self._connection.call("Workflows", request, api_pb2.WorkflowsResponse)
        return [plain.workflow(each) for each in answer.workflows]

    def upload(
        self, workflow: str, properties: PLAIN | None, commands: Sequence[PLAIN], steps: Sequence[PLAIN]
    ) -> dict[str, Any]:
        """Create a workflow and start it.

        Args:
            workflow: a new name, by custom owner_program_datetime.
            properties: a free map; `owner`, `max_parallel`, `on_error` and `retention_s` act.
            commands: maps of name, image, command, inputs, outputs, vars, stdout, ….
            steps: maps of name, command, inputs, outputs, vars, ….

        Returns:
            The Steps that were added, as `merge` does.

        Raises:
            InvalidWorkflow: with every problem.
            AlreadyExists: the name is taken; nothing was changed.
        """
        kept, problems = parse.parse_properties({} if properties is None else properties)
        these, those = parse.read_commands(commands), parse.read_steps(steps)
        problems += [*these.problems, *those.problems, *validate.check(these, those)]
        content = {
            "properties": properties_to_struct(kept),
            "commands": [command_to_proto(command) for command in these.items],
            "steps": [step_to_proto(step) for step in those.items],
        }
        self._check(workflow, problems, _Check("Upload", api_pb2.UploadRequest, api_pb2.UploadResponse, content))
        request = build(api_pb2.UploadRequest, request_id=_request_id(), workflow=workflow, **content)
        return plain.diff(self._connection.call("Upload", _sendable(request), api_pb2.UploadResponse).diff)

    def command(
        self, workflow: str, commands: Sequence[PLAIN] | None = None, *, expected_revision: int | None = None
    ) -> list[dict[str, Any]]:
        """Add or replace Commands, creating the workflow if it is new, and return all of them.

        Every Step that uses a changed Command, and all that depends on it, runs again. Without Commands, or with an
        empty list, nothing changes.

        Raises:
            InvalidWorkflow: with every problem, also of Steps that would become invalid; nothing was changed.
            NotAllowedNow: the workflow has another revision than the one expected.
        """
        given = [] if commands is None else commands
        read = parse.read_commands(given)
        content = {
            "commands": [command_to_proto(command) for command in read.items],
            "expected_revision": expected_revision,
        }
        if read.items or read.problems:
            check = _Check("Command", api_pb2.CommandRequest, api_pb2.CommandResponse, content)
            self._check(workflow, read.problems, check)
        request_id = _request_id() if read.items else ""
        request = build(api_pb2.CommandRequest, request_id=request_id, workflow=workflow, **content)
        answer = self._connection.call("Command", _sendable(request), api_pb2.CommandResponse)
        return [plain.command(each) for each in answer.commands]

    def merge(
        self,
        workflow: str,
        steps: Sequence[PLAIN],
        *,
        only_changed: bool = False,
        prune: bool = False,
        expected_revision: int | None = None,
    ) -> dict[str, Any]:
        """Add or update Steps, creating the workflow if it is new.

        A new Step runs when its inputs are there. One that was there, and all that depends on it, runs again.

        Args:
            workflow: its name.
            steps: maps of name, command, inputs, outputs, vars, ….
            only_changed: leave Steps alone whose definition is the same as before.
            prune: remove elements of these sweeps that they no longer make.
            expected_revision: refuse unless the workflow has this revision; 0 means that it is new.

        Returns:
            Step names: {added, updated, unchanged, recomputed, removed}, with `reasons` (Step name → the links that
            lead to why it runs again) and the `revision` after the change.

        Raises:
            InvalidWorkflow: with every problem; nothing was changed.
            NotAllowedNow: the workflow has another revision.
        """
        read = parse.read_steps(steps)
        content = {
            "steps": [step_to_proto(step) for step in read.items],
            "prune": prune,
            "expected_revision": expected_revision,
        }
        self._check(workflow, read.problems, _Check("Merge", api_pb2.MergeRequest, api_pb2.MergeResponse, content))
        request = build(
            api_pb2.MergeRequest,
            request_id=_request_id(),
            workflow=workflow,
            only_changed=only_changed,
            **content,
        )
        return plain.diff(self._connection.call("Merge", _sendable(request), api_pb2.MergeResponse).diff)

    def remove(self, workflow: str, names: Iterable[str], *, expected_revision: int | None = None) -> dict[str, Any]:
        """Take Steps out of a workflow; what they wrote no longer counts, and its readers wait for it.

        Args:
            workflow: its name.
            names: Step names; that of a sweep or composite stands for all Steps made from it.
            expected_revision: refuse unless the workflow has this revision.

        Returns:
            What `merge` returns.

        Raises:
            UnknownName: a name is no Step; nothing was changed.
        """
        request = build(
            api_pb2.RemoveRequest,
            request_id=_request_id(),
            workflow=workflow,
            names=names,
            expected_revision=expected_revision,
        )
        return plain.diff(self._connection.call("Remove", request, api_pb2.RemoveResponse).diff)

    def delete(self, workflow: str, data: bool = False, *, expected_revision: int | None = None) -> dict[str, str]:
        """Halt a workflow and forget it; with `data`, delete the files of its data space too. Returns {workflow}."""
        request = build(
            api_pb2.DeleteRequest,
            request_id=_request_id(),
            workflow=workflow,
            data=data,
            expected_revision=expected_revision,
        )
        return {"workflow": self._connection.call("Delete", request, api_pb2.DeleteResponse).workflow}

    def run(self, workflow: str) -> dict[str, str]:
        """Resume a halted workflow; on a running one, try its failed Steps again. Returns {workflow, state}."""
        request = build(api_pb2.RunRequest, request_id=_request_id(), workflow=workflow)
        answer = self._connection.call("Run", request, api_pb2.RunResponse)
        return {"workflow": answer.workflow, "state": answer.state}

    def halt(self, workflow: str) -> dict[str, str]:
        """Cancel what runs and start nothing more until `run`. Returns {workflow, state}."""
        request = build(api_pb2.HaltRequest, request_id=_request_id(), workflow=workflow)
        answer = self._connection.call("Halt", request, api_pb2.HaltResponse)
        return {"workflow": answer.workflow, "state": answer.state}

    def status(
        self, workflow: str, debug: bool = False, *, page_start: int = 0, page_size: int = 1000
    ) -> dict[str, Any]:
        """Tell how a workflow stands.

        Args:
            workflow: its name.
            debug: add the workers and a page of the Steps under `debug`.
            page_start: the first Step of the page, as `next-page-start` of the page before it gave it.
            page_size: Steps of a page, at most 1,000.

        Returns:
            state, stalled, commands, steps (counts by state), waiting-inputs (at most 1,000, those that no Step will
            produce first), waiting-inputs-count, missing-inputs (only those that no Step will produce), and failed.
        """
        page = {"page_start": page_start, "page_size": page_size} if debug else {}
        request = build(api_pb2.StatusRequest, workflow=workflow, debug=debug, **page)
        return plain.status(self._connection.call("Status", request, api_pb2.StatusResponse))

    def steps(
        self, workflow: str, *, prefix: str = "", states: Iterable[str] = (), command: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Yield Steps, asked for page by page: those whose name starts so, in these states, that use this Command.

        Returns:
            Maps of name, command, state, attempt, worker, inputs, outputs and missing-inputs.
        """
        request = build(
            api_pb2.StepsRequest,
            workflow=workflow,
            prefix=prefix,
            states=states,
            command=command,
            page_size=1000,
        )
        while True:
            page = self._connection.call("Steps", request, api_pb2.StepsResponse)
            yield from (plain.step(each) for each in page.steps)
            if not page.next_page_start:
                return
            request.page_start = page.next_page_start

    def explain(self, workflow: str, step: str) -> list[dict[str, Any]]:
        """Tell why Steps wait, ran or will run.

        Args:
            workflow: its name.
            step: name of a Step; that of a sweep or composite stands for all Steps made from it, of which 100 are
                explained; `explanations` tells whether there are more.

        Returns:
            For each Step a map: step, state, `summary` (one sentence), attempt, worker, `reason` (first, merged,
            command changed, expired, removed, input changed, upstream, retried, worker lost, run), `chain` (the links
            from an upstream reason to the first cause), `waits-for` (Keys, with the Steps that write them and their
            states), failure, retry-at.
        """
        return self.explanations(workflow, step)["steps"]  # type: ignore[no-any-return]

    def explanations(self, workflow: str, step: str) -> dict[str, Any]:
        """Return {steps, truncated}: what `explain` returns, and whether the name stands for more Steps than that."""
        request = build(api_pb2.ExplainRequest, workflow=workflow, step=step)
        answer = self._connection.call("Explain", request, api_pb2.ExplainResponse)
        return {"steps": [plain.explanation(each) for each in answer.steps], "truncated": answer.truncated}

    def logs(
        self,
        workflow: str,
        step: str,
        attempt: int | str | None = None,
        *,
        follow: bool = False,
        tail: int | None = None,
        streams: Iterable[str] = (),
        from_offset: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Read what attempts of a Step wrote to stdout and stderr, and if wanted what they write.

        It outlives a restart of the server. Close the iterator, or leave the loop, when enough was seen.

        Args:
            workflow: its name.
            step: name of one Step, also of an inner one or of an element of a sweep.
            attempt: its number, None for the newest, "all" for one after the other.
            follow: wait for a Step that has not started, for more while an attempt runs, and, unless an attempt was
                named, for the next one where it is tried again; ends when the Step is complete or has failed.
            tail: begin with so many last lines, at most 10,000.
            streams: "stdout" or "stderr" alone; () for both, as they came.
            from_offset: begin at this place in the log of the attempt that was named.

        Returns:
            An iterator over maps with `attempt` and `kind`. "piece": offset, stream, time, and `data` as bytes. "gap":
            offset and size of what is left out. "notice": `words` for people, such as what is waited for. "end", after
            each attempt: its size, and whether it is still running.

        Raises:
            UnknownName: there is no such workflow, Step or attempt.
            NotAllowedNow: the name stands for several Steps.
        """
        first, onward = logs.first_of(attempt, follow)
        request = build(
            api_pb2.LogsRequest,
            workflow=workflow,
            step=step,
            attempt=first,
            onward=onward,
            follow=follow,
            from_offset=from_offset,
            tail_lines=tail,
            streams=[logs.stream_of(name) for name in streams],
        )
        return logs.read(self._connection, request)

    def workers(self) -> list[dict[str, Any]]:
        """Return the workers by name, each a map.

        It holds name, pool, slots, prefetch, attempts (how many it holds), credit (how many more it may be given),
        resources and used (cpus, memory, gpus; None where it does not tell), draining, trouble ("" when it is well),
        executor, host, version, metadata, cache (files, bytes, bytes_max, hits, misses and hit_bytes of inputs, as of
        its last heartbeat; None where it does not tell), and held: a list of what it holds, each with workflow, step,
        attempt, since and stopping.
        """
        answer = self._connection.call("Workers", api_pb2.WorkersRequest(), api_pb2.WorkersResponse)
        return [plain.worker(each) for each in answer.workers]

    def watch(
        self,
        workflow: str | None = None,
        from_sequence: int | None = None,
        *,
        kinds: Iterable[str] = (),
        steps: Iterable[str] = (),
        updates: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Watch one workflow or all: what is kept of the past, then everything as it happens.

        The watch begins with the call. Its iterator ends when the workflow is deleted; close it, or leave the loop,
        when enough was seen. It outlives a restart of the server, after which of all workflows together only what
        happens from then on is told.

        Args:
            workflow: its name; None for all.
            from_sequence: number of the first event to get; 0 for new ones only, None for all that are kept.
            kinds: only events of these kinds, such as "step_completed".
            steps: only events about Steps of these names, which must be there. That of a sweep stands for all its
                Steps, also those to come. Of one workflow only.
            updates: instead of events, how the workflow stands (state and Steps by state), at most four times a
                second.

        Returns:
            An iterator over maps of workflow, uid, sequence, time, kind, and the fields of that kind. Events of the
            kinds "step_started", "step_progress" and "worker_changed" are not numbered (sequence 0) and may be missed.

        Raises:
            UnknownName: there is no such workflow, or it has no such Step.
            NoLongerKept: the first event asked for is gone. The iterator, too: it was read too slowly.
            Unavailable: no server answers. The iterator, too: the server stays away.
        """
        request = build(
            api_pb2.WatchRequest,
            workflow=workflow if workflow is not None else "",
            from_sequence=from_sequence,
            every_event=not updates,
            kinds=kinds,
            steps=steps,
        )
        return watching.watch(self._connection, request)

    def expire(
        self, workflow: str, names: Iterable[str], plan: bool = False, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Make Steps, those that write these Keys, and all that depends on them, run again.

        Args:
            workflow: its name.
            names: Step names and Keys.
            plan: answer the same, with reasons, and change nothing.
            expected_revision: refuse unless the workflow has this revision.

        Returns:
            {steps, keys}: what runs again and what is made or looked up anew. A plan has `reasons` too: Step name →
            the links that lead to why it would run.

        Raises:
            UnknownName: a name is neither a Step nor a Key; nothing was changed.
        """
        request = build(
            api_pb2.ExpireRequest,
            request_id="" if plan else _request_id(),
            workflow=workflow,
            names=names,
            plan=plan,
            expected_revision=expected_revision,
        )
        return plain.expired(self._connection.call("Expire", request, api_pb2.ExpireResponse), with_reasons=plan)

    def launch(self, names: Iterable[str], metadata: PLAIN | None = None) -> list[str]:
        """Start workers with these names where the server can; each leaves 5 minutes after its last Step.

        Args:
            names: of the workers, new ones.
            metadata: a free map that is kept with them and that `workers` returns; at most 4,096 bytes as JSON.

        Returns:
            The names.
        """
        kept, problems = parse_metadata({} if metadata is None else metadata)
        _refuse(problems)
        struct: Struct = properties_to_struct(kept)
        request = build(api_pb2.LaunchRequest, request_id=_request_id(), names=names, metadata=struct)
        return list(self._connection.call("Launch", request, api_pb2.LaunchResponse).names)

    def drain(self, names: Iterable[str]) -> list[str]:
        """Ask workers to take nothing new, finish what they run, and leave; return their names.

        Raises:
            UnknownName: one of them is unknown; none was asked.
        """
        request = build(api_pb2.DrainRequest, request_id=_request_id(), names=names)
        return list(self._connection.call("Drain", request, api_pb2.DrainResponse).names)

    def wait(
        self,
        workflow: str,
        timeout_s: float | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Wait until a workflow is complete, in error, halted, stalled or without Steps; return its status then.

        Args:
            workflow: its name.
            timeout_s: seconds to wait at most; None means for ever.
            on_progress: called with every status on the way.

        Raises:
            TimeoutError: it goes on; the message tells how far it got.
        """
        if timeout_s is not None and not isinstance(timeout_s, int | float):
            _refuse([Problem("timeout_s", "must be a number of seconds")])
        return waiting.wait(lambda: self.status(workflow), self._clock, timeout_s, on_progress)

    def put(self, workflow: str, key: str, source: transfer.Source) -> list[dict[str, Any]]:
        """Store a file under a Key, or each file of a folder under a tree (a Key that ends in "/").

        Args:
            workflow: its name.
            key: where to store it.
            source: a path, bytes, or an open binary file.

        Returns:
            The stored files: maps of key, size, version and sha256.
        """
        return [plain.file(each) for each in transfer.put(self._connection, workflow, key, source)]

    def announce(self, workflow: str, keys: Iterable[str]) -> list[str]:
        """Tell that Keys lie in the store, trees as a whole, without waiting for Gaia to notice. Returns the Keys.

        Raises:
            UnknownName: nothing lies under some; nothing was announced.
            NotAllowedNow: a Step writes one.
        """
        request = build(api_pb2.AnnounceRequest, workflow=workflow, keys=keys)
        answer = self._connection.call("Announce", request, api_pb2.AnnounceResponse)
        return [publication.key for publication in answer.keys]

    def get(self, workflow: str, key: str, target: transfer.Target | None = None) -> bytes | None:
        """Read a file of the data space, or each file of a tree into a folder.

        Args:
            workflow: its name.
            key: what to read; a tree's Key ends in "/".
            target: a path, a folder or an open binary file; a path is replaced once all is there.

        Returns:
            The bytes, or None if there is a target.
        """
        return transfer.get(self._connection, workflow, key, target)

    def ls(self, workflow: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return the files whose Keys start with prefix, at most 10,000: maps of key, size, version and sha256."""
        return self.listing(workflow, prefix)["files"]  # type: ignore[no-any-return]

    def listing(self, workflow: str, prefix: str = "") -> dict[str, Any]:
        """Return {files, truncated}: what `ls` returns, and whether there is more than that."""
        answer = transfer.listing(self._connection, workflow, prefix)
        return {"files": [plain.file(each) for each in answer.files], "truncated": answer.truncated}

    def _check(self, workflow: str, problems: Sequence[Problem], check: "_Check") -> None:
        """Refuse a change whose problems are known, with all that the server finds wrong with the rest of it.

        That nobody answers is no reason to keep these back.
        """
        wrong_name = parse.name_problems(workflow)
        if not wrong_name and not problems:
            return
        told = [*wrong_name, *problems]
        request = build(check.request, workflow="" if wrong_name else workflow, check_only=True, **check.content)
        try:
            self._connection.call(check.method, request, check.answer)
        except (InvalidWorkflow, AlreadyExists, NotAllowedNow) as refusal:
            noise = {*parse.name_problems(""), *check.noise}
            told += [problem for problem in refusal.problems if problem not in noise]
            if not isinstance(refusal, InvalidWorkflow):
                problems = tuple(dict.fromkeys(told))
                raise type(refusal)(refusal.message, hint=refusal.hint, problems=problems) from None
        except GaiaError:
            pass
        raise InvalidWorkflow.of(told)

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self._connection.close()

    def __enter__(self) -> "Gaia":
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()


class _Check(NamedTuple):
    """How a server is asked what else is wrong with a change, without making it.

    Attributes:
        content: fields of the request, with unknown parts where the change was not understood.
    """

    method: str
    request: type[Message]
    answer: type[Message]
    content: Mapping[str, Any]

    @property
    def noise(self) -> list[Problem]:
        """Return what the server will find wrong with the unknown parts only."""
        _, commands = commands_from_proto(self.content.get("commands", ()))
        _, steps = steps_from_proto(self.content.get("steps", ()))
        return [*commands, *steps]


def _request_id() -> str:
    """Return an id under which a server does a mutation once, however often it is sent."""
    return uuid.uuid4().hex


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidWorkflow.of(problems)


def _sendable(request: Message) -> Any:
    """Return the request, or refuse it here, in words, rather than in the transport."""
    size = request.ByteSize()
    if size > MESSAGE_BYTES_MAX:
        message = f"The request has {size:,} bytes; the limit is {MESSAGE_BYTES_MAX:,} bytes"
        raise TooLarge(message, hint="upload a part, then merge the rest")
    return request
