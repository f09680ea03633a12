"""Logs in the client: streams that go on where they broke off, and how they are printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from google.protobuf.timestamp_pb2 import Timestamp

from gaia.v1 import api_pb2, logs_pb2
from gaia_client.cli import main as cli_main
from gaia_client.render.logs import LogLines

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(server: Any, pauses: list[float]) -> Invoke:
    """Run the command line against the fake server."""
    return lambda *args, **extra: CliRunner(env={"GAIA_HOST": server.address}).invoke(cli_main.cli, args, **extra)


def piece(offset: int, data: bytes, *, attempt: int = 1, stderr: bool = False) -> api_pb2.LogsResponse:
    stream = logs_pb2.LOG_STREAM_STDERR if stderr else logs_pb2.LOG_STREAM_STDOUT
    message = logs_pb2.LogPiece(offset=offset, stream=stream, data=data, time=Timestamp(seconds=90))
    return api_pb2.LogsResponse(attempt=attempt, piece=message)


def gap(offset: int, size: int) -> api_pb2.LogsResponse:
    return api_pb2.LogsResponse(attempt=1, gap=api_pb2.LogGap(offset=offset, size_bytes=size))


def notice(words: str) -> api_pb2.LogsResponse:
    return api_pb2.LogsResponse(notice=api_pb2.LogNotice(words=words))


def end(size: int, attempt: int = 1) -> api_pb2.LogsResponse:
    return api_pb2.LogsResponse(attempt=attempt, end=api_pb2.LogEnd(size_bytes=size))


def test_a_stream_that_breaks_goes_on_behind_what_came(invoke: Invoke, fake: Any) -> None:
    """With the attempt and the place, and without asking for the last lines again."""
    fake.logs = [
        [notice("waits"), grpc.StatusCode.UNAVAILABLE],
        [piece(5, b"one\n"), gap(9, 3), grpc.StatusCode.UNAVAILABLE],
        [piece(12, b"two\n", attempt=1), end(16), piece(0, b"next\n", attempt=2), grpc.StatusCode.UNAVAILABLE],
        [end(5, attempt=2)],
    ]
    result = invoke("logs", "w", "s", "-f", "--tail", "2")
    assert (result.exit_code, result.stdout) == (0, "one\ntwo\nnext\n")
    assert result.stderr == "waits\n… 3 bytes left out here …\n--- attempt 2 ---\n"
    asked = [(one.attempt, one.from_offset, one.HasField("tail_lines")) for one in fake.requests("Logs")]
    assert asked == [(0, 0, True), (0, 0, True), (1, 12, False), (2, 5, False)]
    assert all(one.follow and one.onward for one in fake.requests("Logs"))


def test_options_say_what_is_wanted(invoke: Invoke, fake: Any) -> None:
    """Which attempt, which stream; what cannot be meant is refused here."""
    fake.logs = [[end(0)] for _ in range(4)]
    for options in ([], ["--attempt", "3", "-f"], ["--attempt", "all", "--stderr"], ["--stdout"]):
        assert invoke("logs", "w", "s", *options).exit_code == 0
    first, of_one, of_all, of_stdout = fake.requests("Logs")
    assert (first.attempt, first.onward, first.follow, list(first.streams)) == (0, False, False, [])
    assert (of_one.attempt, of_one.onward, of_one.follow) == (3, False, True)
    assert (of_all.attempt, of_all.onward, list(of_all.streams)) == (1, True, [logs_pb2.LOG_STREAM_STDERR])
    assert list(of_stdout.streams) == [logs_pb2.LOG_STREAM_STDOUT]
    assert invoke("logs", "w", "s", "--attempt", "0").exit_code == 2
    assert invoke("logs", "w", "s", "--tail", "-1").exit_code == 2


def test_lines_have_their_times(invoke: Invoke, fake: Any) -> None:
    """Each line whole, when it was begun; one without an end is ended by us."""
    fake.logs = [[piece(0, b"a\nb"), piece(3, b"x\n", stderr=True), piece(5, b"c\nd"), end(8)]]
    result = invoke("logs", "w", "s", "--timestamps")
    time = "1970-01-01 00:01:30Z"
    assert result.stdout.splitlines() == [f"{time} a", f"{time} x", f"{time} bc", f"{time} d"]


def test_all_attempts_are_told_apart(invoke: Invoke, fake: Any) -> None:
    """By a line on stderr, so that what was written stays what it is."""
    fake.logs = [[piece(0, b"a"), end(1), piece(0, b"b\n", attempt=2), end(2, attempt=2)]]
    result = invoke("logs", "w", "s", "--attempt", "all")
    assert result.stdout == "a\nb\n"
    assert result.stderr == "--- attempt 1 ---\n--- attempt 2 ---\n"


def test_json_has_an_object_per_line(invoke: Invoke, fake: Any) -> None:
    """Bytes that are no text are replaced."""
    fake.logs = [[piece(0, b"\xffa"), gap(2, 1), end(3)]]
    told = [json.loads(line) for line in invoke("logs", "w", "s", "--json").stdout.splitlines()]
    assert told == [
        {
            "attempt": 1,
            "kind": "piece",
            "offset": 0,
            "stream": "stdout",
            "time": "1970-01-01T00:01:30Z",
            "data": "\ufffda",
        },
        {"attempt": 1, "kind": "gap", "offset": 2, "size": 1},
        {"attempt": 1, "kind": "end", "size": 3, "running": False},
    ]


def test_a_terminal_is_not_given_what_it_would_obey() -> None:
    """Colours, tabs and carriage returns pass; what moves the cursor or rings a bell does not."""
    lines = LogLines(timestamps=False, is_terminal=True)
    told = {"stream": "stdout", "time": "1970-01-01T00:01:30Z", "data": b"\x1b[31mred\x1b[0m\x1b[2J\x07\t\r\x1b]0;t\n"}
    assert lines.piece(told) == b"\x1b[31mred\x1b[0m?[2J?\t\r?]0;t\n"
