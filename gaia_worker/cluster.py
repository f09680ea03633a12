"""`gaia worker`: one worker of a cluster, on Kafka and S3. A composition root."""

import os
import socket
import tempfile
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import grpc

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.app import kafka_settings, s3_store
from gaia_core.backends.kafka_worker import KafkaWorkerBus
from gaia_core.config import Config
from gaia_core.errors import Unavailable
from gaia_core.version import VERSION
from gaia_core.wire.files import publications_from_proto
from gaia_core.workflow.model import Fence, Publication
from gaia_worker.app import Worker
from gaia_worker.executors.choose import choose_executor
from gaia_worker.settings import WorkerSettings


class InputsClient:
    """Asks the server for input lists that were too long for a dispatch."""

    def __init__(self, config: Config) -> None:
        self._channel = grpc.insecure_channel(config.host)
        self._stub = api_pb2_grpc.GaiaStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = (("authorization", f"Bearer {config.token}"),) if config.token else ()

    def __call__(self, fence: Fence) -> dict[str, tuple[Publication, ...]]:
        """Return the sources of an attempt's inputs by input name.

        Raises:
            Unavailable: the server does not answer, or the attempt is no longer current.
        """
        request = api_pb2.InputsRequest(workflow_uid=fence.workflow_uid, step=fence.step, attempt=fence.attempt)
        found: dict[str, tuple[Publication, ...]] = {}
        try:
            for page in self._stub.Inputs(request, metadata=self._metadata, timeout=60):
                found[page.name] = found.get(page.name, ()) + publications_from_proto(page.sources)
        except grpc.RpcError as error:
            raise Unavailable(f"The server did not tell the inputs: {error.details()}") from error
        return found

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def run_worker(config: Config, started: Callable[[Callable[[], None], str], None]) -> str:
    """Run one worker until it is told to leave; return why it left.

    Args:
        started: called before the first Step with what makes the worker drain, and why it has its executor.

    Raises:
        ConfigError: a setting is missing.
        Unavailable: Kafka, the store or the engine does not answer.
    """
    name = config.worker_name or f"{socket.gethostname()}-{os.getpid()}"
    with ExitStack() as stack:
        store = s3_store(config)
        store.check()
        scratch = config.scratch or Path(tempfile.gettempdir(), "gaia-scratch")
        choice = choose_executor(config.executor, (scratch,))
        stack.callback(choice.executor.close)
        bus = KafkaWorkerBus(kafka_settings(config), name)
        stack.callback(bus.close)
        inputs = InputsClient(config)
        stack.callback(inputs.close)
        settings = WorkerSettings(
            name=name,
            slots=config.slots or os.cpu_count() or 1,
            scratch=scratch,
            deployment=config.topic_prefix,
            pool=config.pool,
            prefetch=None if config.prefetch < 0 else config.prefetch,
            idle_exit_s=config.idle_exit_s,
            host=socket.gethostname(),
            version=VERSION,
        )
        worker = Worker(settings, uuid.uuid4().hex, bus, store, choice.executor, inputs)
        started(worker.agent.drain, choice.reason)
        return worker.run()
