"""Large requests hold up nobody, and there are never too many of them; small ones wait in a queue that has an end."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gaia.client import Gaia
from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_client import refusals
from gaia_core.coordinator import intake as intake_module
from gaia_core.coordinator import loop as loop_module
from gaia_core.errors import InvalidWorkflow, Overloaded
from gaia_core.machine.requests import Halt
from gaia_core.service import grpc_requests, original_verbs
from gaia_core.service.reception import AT_ONCE_BYTES, Reception
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Shard
from tests.unit.service.served import Served

MAKE = {"name": "make", "image": "any", "command": ["make"]}
LARGE = [{"name": f"s{number}", "command": "make", "vars": {"note": "x" * 100}} for number in range(1_000)]
LIMIT_S = 30.0


class HeldUp:
    """A function that is held up while it is called, until it may go on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        self.begun.set()
        assert self.may_end.wait(LIMIT_S)
        return self.function(*arguments)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(poll_s=0.0) as made:
        yield made


@pytest.fixture
def flow(served: Served) -> Iterator[Gaia]:
    with served.client() as client:
        yield client


@pytest.fixture
def apart() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that take long."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def healthy(served: Served) -> bool:
    """Ask the health service as orchestrators do."""
    with grpc.insecure_channel(served.config.listen) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_others_are_answered_while_a_large_upload_is_read(
    served: Served, flow: Gaia, apart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC, health and HTTP answer in the middle of reading a large request, which is done then."""
    held = HeldUp(grpc_requests.steps_to_plain)
    monkeypatch.setattr(grpc_requests, "steps_to_plain", held)
    uploaded = apart.submit(flow.upload, "large", {}, [MAKE], LARGE)
    assert held.begun.wait(LIMIT_S)
    assert flow.workflows() == []
    assert healthy(served)
    assert httpx.get(f"http://{served.config.http_listen}/healthz", timeout=LIMIT_S).status_code == 200
    assert not uploaded.done()
    held.may_end.set()
    assert len(uploaded.result(LIMIT_S)["added"]) == len(LARGE)


@pytest.mark.parametrize("wrong", [[], [{"name": "s0", "command": "make"}, {"name": "wrong"}]])
def test_others_are_answered_while_a_large_body_is_read(
    served: Served, flow: Gaia, apart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, wrong: list[Any]
) -> None:
    """The same over HTTP, also where a body with problems of form has to be looked at anew."""
    flow.command("large", [MAKE])
    name = "read_steps" if wrong else "parse_steps"
    held = HeldUp(getattr(original_verbs, name))
    monkeypatch.setattr(original_verbs, name, held)
    url = f"http://{served.config.http_listen}"
    body = {"workflow": "large", "steps": [*LARGE, *wrong]}
    merged = apart.submit(httpx.post, f"{url}/merge", json=body, timeout=LIMIT_S)
    assert held.begun.wait(LIMIT_S)
    assert httpx.get(f"{url}/healthz", timeout=LIMIT_S).status_code == 200
    assert flow.status("large")["state"] == "initialized"
    held.may_end.set()
    assert merged.result(LIMIT_S).status_code == (400 if wrong else 200)


def test_large_requests_are_refused_while_too_many_are_read(
    served: Served, flow: Gaia, apart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many bytes a large one is told to come again, small ones are taken; later there is room again."""
    monkeypatch.setattr("gaia_client.connection.PAUSES_S", ())
    monkeypatch.setattr(served.reception, "_bytes_max", 200_000)
    held = HeldUp(grpc_requests.steps_to_plain)
    monkeypatch.setattr(grpc_requests, "steps_to_plain", held)
    uploaded = apart.submit(flow.upload, "large", {}, [MAKE], LARGE)
    assert held.begun.wait(LIMIT_S)
    with pytest.raises(Overloaded) as refusal:
        flow.upload("other", {}, [MAKE], LARGE)
    assert refusal.value.hint == "ask again in a moment"
    body = {"workflow": "large", "steps": LARGE}
    reply = httpx.post(f"http://{served.config.http_listen}/merge", json=body, timeout=LIMIT_S)
    assert (reply.status_code, "too much to do" in reply.json()["error"]) == (429, True)
    flow.command("small", [MAKE])
    held.may_end.set()
    uploaded.result(LIMIT_S)
    flow.upload("other", {}, [MAKE], LARGE)
    assert served.reception._bytes == 0


def test_one_large_request_always_has_room() -> None:
    """Whatever its size; the next one has none until the first is gone."""
    tight = Reception(bytes_max=1)
    with tight.hold(AT_ONCE_BYTES + 1), pytest.raises(Overloaded), tight.hold(AT_ONCE_BYTES + 1):
        pass
    with tight.hold(AT_ONCE_BYTES + 1) as held:
        held.grow(AT_ONCE_BYTES)


def test_what_nobody_waits_for_is_counted_until_it_is_read(served: Served, apart: ThreadPoolExecutor) -> None:
    """A client that goes away does not free the memory that is still in use."""
    counting = Reception()
    slow = HeldUp(lambda: None)

    async def give_up() -> None:
        with counting.hold(AT_ONCE_BYTES + 1) as held:
            async with asyncio.timeout(0.01):
                await held.read(slow)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert counting._bytes == AT_ONCE_BYTES + 1
    slow.may_end.set()
    wait_until(lambda: counting._bytes == 0, "it was read")


def test_ten_thousand_submits_at_once_are_all_answered_or_refused() -> None:
    """While the loop is held up the queue has an end; what was taken is answered, once, and the rest was refused."""
    shard = Shard().open()
    taken: list[Any] = []
    refused: list[int] = []
    for number in range(10_000):
        try:
            taken.append(shard.loop.submit(Halt(f"none-{number}")))
        except Overloaded:
            refused.append(number)
    assert len(taken) == intake_module.REQUESTS_WAITING_MAX
    assert len(taken) + len(refused) == 10_000
    assert not any(answer.done() for answer in taken)
    shard.turn()
    assert Counter(type(answer.exception(0)).__name__ for answer in taken) == {"UnknownName": len(taken)}
    again = [shard.loop.submit(Halt(f"none-{number}")) for number in refused[: intake_module.REQUESTS_WAITING_MAX]]
    shard.turn()
    assert all(answer.done() for answer in again)


def test_calls_at_once_are_all_answered_or_refused(
    served: Served, apart: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same through gRPC: while the loop is held up, calls beyond the queue's end are refused, and none is lost."""
    monkeypatch.setattr(intake_module, "REQUESTS_WAITING_MAX", 20)
    held = HeldUp(loop_module.handle)
    monkeypatch.setattr(loop_module, "handle", held)
    codes: Counter[str] = Counter()

    async def call(halt: Any, number: int) -> None:
        try:
            await halt(api_pb2.HaltRequest(workflow=f"none-{number}", request_id=str(number)), timeout=4 * LIMIT_S)
        except grpc.aio.AioRpcError as problem:
            codes[problem.code().name] += 1

    async def calls() -> None:
        async with grpc.aio.insecure_channel(served.config.listen) as channel:
            halt = api_pb2_grpc.GaiaStub(channel).Halt  # type: ignore[no-untyped-call]
            await asyncio.gather(*(call(halt, number) for number in range(10_000)))

    all_ended = apart.submit(asyncio.run, calls())
    wait_until(lambda: codes.total() >= 9_900, "those without room to be refused", deadline_s=60)
    held.may_end.set()
    all_ended.result(4 * LIMIT_S)
    assert set(codes) == {"NOT_FOUND", "RESOURCE_EXHAUSTED"}
    assert codes.total() == 10_000
    assert codes["NOT_FOUND"] >= 20


IDS = {"": True, "x" * 128: True, "a b~!": True, "x" * 129: False, "\n": False, "é": False, "\x7f": False}


@pytest.mark.parametrize("request_id", IDS)
def test_request_ids_are_short_and_printable(served: Served, flow: Gaia, request_id: str) -> None:
    """At most 128 characters of printable ASCII; another id is refused with its place, and nothing is done."""
    flow.command("flow", [MAKE])
    with grpc.insecure_channel(served.config.listen) as channel:
        stub = api_pb2_grpc.GaiaStub(channel)  # type: ignore[no-untyped-call]
        if IDS[request_id]:
            stub.Halt(api_pb2.HaltRequest(workflow="flow", request_id=request_id))
        else:
            for call in (
                lambda: stub.Halt(api_pb2.HaltRequest(workflow="flow", request_id=request_id)),
                lambda: stub.Launch(api_pb2.LaunchRequest(names=["w"], request_id=request_id)),
            ):
                with pytest.raises(grpc.RpcError) as refusal:
                    call()
                words = refusals.refusal(refusal.value)
                assert isinstance(words, InvalidWorkflow)
                assert [problem.place for problem in words.problems] == ["request_id"]
    assert flow.status("flow")["state"] == ("halted" if IDS[request_id] else "initialized")
