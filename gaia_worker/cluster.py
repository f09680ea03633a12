"""`gaia worker`: one worker of a cluster, on Kafka and S3. A composition root."""

import logging
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing

from gaia_core.app import kafka_settings, s3_store
from gaia_core.backends.kafka_logs import KafkaLogFeed
from gaia_core.backends.kafka_quarantine import KafkaQuarantine
from gaia_core.backends.kafka_worker import KafkaWorkerBus
from gaia_core.config import Config
from gaia_core.errors import InboxLost, NotAllowedNow
from gaia_core.version import VERSION
from gaia_worker.app import Surroundings, Worker
from gaia_worker.executors.choose import choose_executor
from gaia_worker.inputs_client import InputsClient
from gaia_worker.machine import resources_of, slots_of
from gaia_worker.metrics import WorkerMeter, serve_metrics
from gaia_worker.private import default_scratch
from gaia_worker.secrets import Secrets
from gaia_worker.settings import WorkerSettings, hidden_folders, metadata_of

log = logging.getLogger(__name__)


def run_worker(config: Config, started: Callable[[Callable[[], None], str], None]) -> str:
    """Run one worker until it is told to leave; return why it left.

    Args:
        started: called at the beginning of each incarnation with what makes it drain, and why it has its executor.

    Raises:
        ConfigError: a setting is missing.
        Unavailable: Kafka, the store or the engine does not answer.
        NotAllowedNow: the server does not want it: another process has its name, or its version is too far away.
    """
    name = config.worker_name or f"{socket.gethostname()}-{os.getpid()}"
    with ExitStack() as stack:
        store = s3_store(config)
        store.check()
        scratch = config.scratch or default_scratch()
        choice = choose_executor(config.executor, hidden_folders(config, scratch))
        stack.callback(choice.executor.close)
        quarantine = stack.enter_context(closing(KafkaQuarantine(kafka_settings(config))))
        log_feed = stack.enter_context(closing(KafkaLogFeed(kafka_settings(config))))
        inputs = InputsClient(config.host, config.token)
        stack.callback(inputs.close)
        meter = _metered(config, stack)
        around = Surroundings(store, choice.executor, inputs, log_feed, quarantine.put, meter)
        settings = WorkerSettings(
            name=name,
            slots=slots_of(config),
            scratch=scratch,
            deployment=config.topic_prefix,
            pool=config.pool,
            prefetch=None if config.prefetch < 0 else config.prefetch,
            idle_exit_s=config.idle_exit_s,
            cache_bytes=config.cache_bytes,
            disk_bytes=config.disk_bytes,
            kept_bytes=config.kept_bytes,
            host=socket.gethostname(),
            version=VERSION,
            secrets=Secrets(os.environ, config.secrets_dir),
            metadata=metadata_of(config.worker_metadata),
            log_bytes_max=config.log_bytes_max,
            resources=resources_of(config),
            disk_free_min=config.disk_free_min,
        )
        while True:
            with closing(KafkaWorkerBus(kafka_settings(config), name, quarantine.put)) as bus:
                worker = Worker(settings, uuid.uuid4().hex, bus, around)
                started(worker.agent.drain, choice.reason)
                try:
                    reason = worker.run()
                except InboxLost as error:
                    if worker.agent.draining:
                        return "stopped"
                    log.warning("begins anew as another incarnation", extra={"cause": error.message})
                    continue
            if worker.agent.sent_away:
                raise NotAllowedNow(f"The server sent this worker away. {worker.agent.sent_away}")
            return reason


def _metered(config: Config, stack: ExitStack) -> WorkerMeter | None:
    """Serve the worker's metrics where that is wanted."""
    if not config.metrics_listen:
        return None
    meter = WorkerMeter()
    port = serve_metrics(config.metrics_listen, config.token, meter)
    if port is not None:
        stack.callback(port.close)
    return meter
